"""What images hold, read layer by layer in the background and remembered by digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from garrison.api.container import Template
from garrison.api.meta import Key
from garrison.api.workload import WorkloadSpec
from garrison.errors import GarrisonError, RateLimitedError, TransientError
from garrison.ports.clock import Clock
from garrison.ports.registry import Contents, Credentials, Registry
from garrison.runtime.jobs import Jobs, Result

RETRY = timedelta(seconds=30)
MEMORY = 64


class PullSecrets(Protocol):
    """Finds registry logins in the Secrets that a workload names."""

    async def credentials(
        self, namespace: str, names: Sequence[str], reference: str
    ) -> Credentials | None:
        """Return the login for the reference's registry, None when no Secret has one.

        Raises AuthError when a Secret is missing or may not be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An image and the patterns of files that matter in it."""

    namespace: str
    image: str
    pull_secrets: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far the reading of an image is. ``hopeless``: trying again is useless."""

    since: datetime
    contents: Contents | None = None
    error: str = ""
    hopeless: bool = False
    failed_at: datetime | None = None
    owner: Key | None = None
    """whose job reads it now"""


class References:
    """One walk per image and patterns at a time, whoever asks."""

    def __init__(
        self, *, jobs: Jobs, registry: Registry, secrets: PullSecrets, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._secrets = secrets
        self._clock = clock
        self._known: dict[tuple[str, tuple[str, ...]], Reading] = {}

    def reading(self, key: Key, wanted: Wanted) -> Reading:
        """Return what is known of an image's layers; start to read them for ``key`` when due."""
        slot = (wanted.image, wanted.patterns)
        known = self._folded(slot)
        if self._is_due(known) and not self._jobs.running(key, _job(slot)):
            self._jobs.start(key, _job(slot), lambda: self._read(wanted))
            known = _replaced(known, owner=key)
        self._keep(slot, known)
        return known

    def _folded(self, slot: tuple[str, tuple[str, ...]]) -> Reading:
        known = self._known.get(slot) or Reading(since=self._clock.now())
        if known.owner is None:
            return known
        result = self._jobs.take(known.owner, _job(slot))
        if result is not None:
            return _finished(known, result, self._clock.now())
        return (
            known if self._jobs.running(known.owner, _job(slot)) else _replaced(known, owner=None)
        )

    def _is_due(self, known: Reading) -> bool:
        if known.contents is not None or known.owner is not None or known.hopeless:
            return False
        return known.failed_at is None or self._clock.now() - known.failed_at >= RETRY

    def _keep(self, slot: tuple[str, tuple[str, ...]], known: Reading) -> None:
        """The ones that are asked for stay: the oldest of the others goes."""
        self._known.pop(slot, None)
        self._known[slot] = known
        if len(self._known) > MEMORY:
            idle = next((each for each, of in self._known.items() if of.owner is None), None)
            if idle is not None and idle != slot:
                del self._known[idle]

    async def _read(self, wanted: Wanted) -> Contents:
        credentials = await self._secrets.credentials(
            wanted.namespace, wanted.pull_secrets, wanted.image
        )
        return await self._registry.contents(wanted.image, credentials, wanted.patterns)


def wanted_of(
    namespace: str, container: WorkloadSpec | Template, patterns: tuple[str, ...]
) -> Wanted:
    """Return what is to be read for a container."""
    return Wanted(
        namespace=namespace,
        image=container.image,
        pull_secrets=tuple(each.name for each in container.image_pull_secrets),
        patterns=patterns,
    )


def _job(slot: tuple[str, tuple[str, ...]]) -> str:
    return f"contents {hashlib.sha256(repr(slot).encode()).hexdigest()[:16]}"


def _finished(known: Reading, result: Result, now: datetime) -> Reading:
    if isinstance(result.value, Contents):
        return Reading(since=known.since, contents=result.value)
    error = result.error
    return Reading(
        since=known.since,
        error=str(error) or type(error).__name__,
        hopeless=not isinstance(error, TransientError | RateLimitedError)
        and isinstance(error, GarrisonError),
        failed_at=now,
    )


def _replaced(known: Reading, *, owner: Key | None) -> Reading:
    return Reading(
        since=known.since,
        contents=known.contents,
        error=known.error,
        hopeless=known.hopeless,
        failed_at=known.failed_at,
        owner=owner,
    )
