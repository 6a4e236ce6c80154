"""Typed views over the engine's cache. Reads only; what is not cached is fetched once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from garrison.api.account import Account, parse_account
from garrison.api.container import TEMPLATE_ADAPTER, Template
from garrison.api.egress import EgressPolicy, parse_egress_policy
from garrison.api.lease import Lease, parse_lease
from garrison.api.meta import (
    ACCOUNT,
    ANNOTATION_PROCESS,
    EGRESS,
    LABEL_WORKLOAD,
    LEASE,
    POLICY,
    PROVIDER,
    REVISION,
    ROTATING,
    WORKLOAD,
    Key,
    Raw,
)
from garrison.api.parsing import parse
from garrison.api.policy import Policy, parse_policy
from garrison.api.provider import Provider, parse_provider
from garrison.api.secret import RotatingSecret, parse_rotating_secret
from garrison.api.workload import Workload, parse_workload
from garrison.errors import InvalidSpecError
from garrison.ports.kube import Kube
from garrison.runtime.cache import Cache

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageProcess:
    """What an image runs by itself, as its config says."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


PROCESS: TypeAdapter[ImageProcess] = TypeAdapter(ImageProcess)
MEMORY = 20_000


class Parsed(Generic[T]):
    """Remembers what was parsed from a version of an object; a version never changes."""

    def __init__(self, parse_one: Callable[[Raw], T]) -> None:
        self._parse = parse_one
        self._known: dict[str, tuple[str, T]] = {}

    def of(self, raw: Raw) -> T:
        """Return the typed object. Raises InvalidSpecError."""
        meta = raw["metadata"]
        known = self._known.get(meta["uid"])
        if known is not None and known[0] == meta["resourceVersion"]:
            return known[1]
        if len(self._known) > MEMORY:
            self._known.clear()
        value = self._parse(raw)
        self._known[meta["uid"]] = (meta["resourceVersion"], value)
        return value

    def valid(self, raw: Raw) -> T | None:
        """Return the typed object, None when its spec cannot be read."""
        try:
            return self.of(raw)
        except InvalidSpecError:
            return None


class Catalog:
    """What the controllers know about each other's objects."""

    def __init__(self, cache: Cache, kube: Kube) -> None:
        self._cache = cache
        self._kube = kube
        self.workloads = Parsed(parse_workload)
        self.leases = Parsed(parse_lease)
        self.accounts = Parsed(parse_account)
        self.policies = Parsed(parse_policy)
        self.egress_policies = Parsed(parse_egress_policy)
        self.rotating_secrets = Parsed(parse_rotating_secret)
        self.provider_objects = Parsed(parse_provider)
        self._revisions: dict[tuple[str, str], tuple[Template, ImageProcess]] = {}

    def workload(self, namespace: str, name: str) -> Workload | None:
        """Return a workload, None when it does not exist or cannot be read."""
        raw = self._cache.get(Key(kind=WORKLOAD.kind, namespace=namespace, name=name))
        return self.workloads.valid(raw) if raw is not None else None

    def account(self, name: str) -> Account | None:
        """Return an account, None when it does not exist or cannot be read."""
        raw = self._cache.get(Key(kind=ACCOUNT.kind, namespace="", name=name))
        return self.accounts.valid(raw) if raw is not None else None

    def default_account(self) -> Account | None:
        """Return the account with ``spec.default``; the oldest name wins among several."""
        found = [self.accounts.valid(raw) for raw in self._cache.list(ACCOUNT.kind)]
        return next((each for each in found if each is not None and each.spec.default), None)

    def policy(self, namespace: str, name: str) -> Policy | None:
        """Return a policy, None when it does not exist or cannot be read."""
        raw = self._cache.get(Key(kind=POLICY.kind, namespace=namespace, name=name))
        return self.policies.valid(raw) if raw is not None else None

    def egress_policy(self, namespace: str, name: str) -> EgressPolicy | None:
        """Return an egress policy, None when it does not exist or cannot be read."""
        raw = self._cache.get(Key(kind=EGRESS.kind, namespace=namespace, name=name))
        return self.egress_policies.valid(raw) if raw is not None else None

    def rotating_secret(self, namespace: str, name: str) -> RotatingSecret | None:
        """Return a RotatingSecret, None when it does not exist or cannot be read."""
        raw = self._cache.get(Key(kind=ROTATING.kind, namespace=namespace, name=name))
        return self.rotating_secrets.valid(raw) if raw is not None else None

    def providers(self) -> dict[str, Provider]:
        """Return every known provider by its id."""
        found = [self.provider_objects.valid(raw) for raw in self._cache.list(PROVIDER.kind)]
        return {each.meta.name: each for each in found if each is not None}

    def provider(self, name: str) -> Provider | None:
        """Return a provider, None when nothing is known of it."""
        raw = self._cache.get(Key(kind=PROVIDER.kind, namespace="", name=name))
        return self.provider_objects.valid(raw) if raw is not None else None

    def leases_of(self, workload: Workload) -> dict[str, Lease]:
        """Return the leases that a workload owns, by name."""
        label = (LABEL_WORKLOAD, workload.meta.name)
        raws = self._cache.list(LEASE.kind, namespace=workload.meta.namespace, label=label)
        found = [self.leases.valid(raw) for raw in raws]
        return {
            each.meta.name: each
            for each in found
            if each is not None and workload.meta.uid in each.meta.owners
        }

    def all_leases(self) -> list[Lease]:
        """Return every lease, ordered by key."""
        found = [self.leases.valid(raw) for raw in self._cache.list(LEASE.kind)]
        return [each for each in found if each is not None]

    def all_workloads(self) -> list[Workload]:
        """Return every readable workload, ordered by key."""
        found = [self.workloads.valid(raw) for raw in self._cache.list(WORKLOAD.kind)]
        return [each for each in found if each is not None]

    async def template(self, namespace: str, name: str) -> Template | None:
        """Return the container fields of a revision, None when it does not exist.

        A revision's data never changes, and its name is the hash of it.
        """
        found = await self._revision(namespace, name)
        return found[0] if found is not None else None

    async def process(self, namespace: str, name: str) -> ImageProcess | None:
        """Return what a revision's image runs by itself, None when the revision does not exist."""
        found = await self._revision(namespace, name)
        return found[1] if found is not None else None

    async def _revision(self, namespace: str, name: str) -> tuple[Template, ImageProcess] | None:
        known = self._revisions.get((namespace, name))
        if known is not None:
            return known
        raw = await self._kube.get(REVISION, namespace, name)
        return self.remember_revision(raw) if raw is not None else None

    def remember_revision(self, raw: Raw) -> tuple[Template, ImageProcess]:
        """Return what a ControllerRevision holds, and ask for it no more."""
        namespace, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
        template = parse(TEMPLATE_ADAPTER, raw["data"], f"ControllerRevision {name}")
        stated = (raw["metadata"].get("annotations") or {}).get(ANNOTATION_PROCESS)
        process = PROCESS.validate_json(stated) if stated else ImageProcess()
        if len(self._revisions) > MEMORY:
            self._revisions.clear()
        self._revisions[namespace, name] = (template, process)
        return template, process
