"""A workload with what its order depends on, from the cluster or from a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from garrison.adapters.kube.client import connect as connect_kube
from garrison.api.account import Account, parse_account
from garrison.api.meta import ACCOUNT, POLICY, WORKLOAD
from garrison.api.policy import Policy, parse_policy
from garrison.api.workload import Workload, parse_workload
from garrison.cli.documents import read
from garrison.errors import InvalidSpecError, NotFoundError
from garrison.ports.kube import Kube

Raw = dict[str, Any]
_NEVER = "1970-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """``policy`` is None when the workload names none."""

    workload: Workload
    policy: Policy | None
    account: Account


async def from_cluster(
    kubeconfig: str | None, context: str | None, namespace: str, name: str
) -> Resources:
    """Return what the cluster holds. Raises NotFoundError, and what the API server's client does."""
    kube = await connect_kube(kubeconfig, context)
    try:
        return await found_in(kube, namespace, name)
    finally:
        await kube.close()


async def found_in(kube: Kube, namespace: str, name: str) -> Resources:
    """Return what a cluster holds. Raises NotFoundError, and what the API server's client does."""
    raw = await kube.get(WORKLOAD, namespace, name)
    if raw is None:
        raise NotFoundError(
            f"InferenceWorkload {namespace}/{name} does not exist; see: kubectl get iw -A"
        )
    workload = parse_workload(raw)
    ref = workload.spec.provider_policy_ref
    policy = await kube.get(POLICY, namespace, ref.name) if ref is not None else None
    return _resources(workload, policy, await kube.list(ACCOUNT))


def from_file(path: str, namespace: str, name: str) -> Resources:
    """Return what a file of several documents holds. Raises NotFoundError or InvalidSpecError."""
    found = [_located(each, namespace) for each in _documents(path)]
    mine = [each for each in found if each["metadata"]["namespace"] == namespace]
    workloads = [each for each in mine if _is(each, WORKLOAD.kind, name)]
    if not workloads:
        raise NotFoundError(
            f"{path} has no InferenceWorkload {name!r} of namespace {namespace!r}; check the name, "
            "or name the namespace with -n"
        )
    workload = parse_workload(workloads[0])
    ref = workload.spec.provider_policy_ref
    policies = [each for each in mine if ref is not None and _is(each, POLICY.kind, ref.name)]
    accounts = [each for each in found if each["kind"] == ACCOUNT.kind]
    return _resources(workload, next(iter(policies), None), accounts)


def _documents(path: str) -> list[Raw]:
    try:
        found = list(yaml.safe_load_all(read(path)))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidSpecError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    return [each for each in found if isinstance(each, dict) and isinstance(each.get("kind"), str)]


def _located(raw: Raw, namespace: str) -> Raw:
    """Return a resource with the metadata that the API server would have added."""
    written = raw.get("metadata")
    meta = written if isinstance(written, dict) else {}
    return {
        **raw,
        "metadata": {
            "name": str(meta.get("name") or ""),
            "namespace": str(meta.get("namespace") or namespace),
            "uid": "",
            "resourceVersion": "0",
            "creationTimestamp": _NEVER,
        },
    }


def _is(raw: Raw, kind: str, name: str) -> bool:
    return bool(raw["kind"] == kind and raw["metadata"]["name"] == name)


def _resources(workload: Workload, policy: Raw | None, accounts: Iterable[Raw]) -> Resources:
    ref = workload.spec.provider_policy_ref
    if ref is not None and policy is None:
        raise NotFoundError(f"ProviderPolicy {ref.name!r} is not there; create or add it")
    return Resources(
        workload=workload,
        policy=parse_policy(policy) if policy is not None else None,
        account=_payer(workload, [parse_account(each) for each in accounts]),
    )


def _payer(workload: Workload, accounts: list[Account]) -> Account:
    ref = workload.spec.account_ref
    for account in accounts:
        if account.meta.name == ref.name if ref is not None else account.spec.default:
            return account
    wanted = (
        f"AkashAccount {ref.name!r}" if ref is not None else "an AkashAccount with default: true"
    )
    raise NotFoundError(f"{wanted} is not there, and the price comes from it; create or add it")
