"""Whether a spec can be served: mistakes that only the operator can see."""

from __future__ import annotations

from collections.abc import Sequence

from garrison.api.account import Account
from garrison.api.egress import EgressPolicy
from garrison.api.money import format_dollars, parse_dollars
from garrison.api.policy import Policy
from garrison.api.workload import Workload
from garrison.core.situation import Problem


def problem(
    workload: Workload,
    account: Account | None,
    policy: Policy | None,
    accounts: Sequence[str],
    *,
    egress: EgressPolicy | None = None,
    secrets: frozenset[str] = frozenset(),
) -> Problem | None:
    """Return the first thing a person must change, None when the spec can be served.

    ``accounts`` are the names of those that exist, for the remedy; ``secrets`` those of the
    RotatingSecrets in the namespace.
    """
    return (
        _account(workload, account, accounts)
        or _policy(workload, policy)
        or _egress(workload, egress)
        or _secrets(workload, secrets)
        or _integrity(workload)
        or _metrics(workload)
        or _adoption(workload)
        or _budget(workload, account)
    )


def _account(
    workload: Workload, account: Account | None, accounts: Sequence[str]
) -> Problem | None:
    ref = workload.spec.account_ref
    if account is None:
        known = f"known: {', '.join(accounts)}" if accounts else "none exists yet"
        message = (
            f"spec.accountRef names AkashAccount {ref.name!r}, which does not exist ({known})"
            if ref is not None
            else f"spec.accountRef is not set and no AkashAccount has spec.default: true ({known})"
        )
        return Problem(
            reason="AccountNotFound", message=f"{message}; create it or change the reference"
        )
    allowed = account.spec.allowed_namespaces.names
    if allowed and workload.meta.namespace not in allowed:
        return Problem(
            reason="NamespaceNotAllowed",
            message=f"AkashAccount {account.meta.name!r} does not pay for namespace "
            f"{workload.meta.namespace!r}; add it to spec.allowedNamespaces.names there",
        )
    if account.meta.deleting:
        return Problem(
            reason="AccountDeleting",
            message=f"AkashAccount {account.meta.name!r} is being deleted; use another one",
        )
    return None


def _policy(workload: Workload, policy: Policy | None) -> Problem | None:
    ref = workload.spec.provider_policy_ref
    if ref is None or policy is not None:
        return None
    return Problem(
        reason="PolicyNotFound",
        message=f"spec.providerPolicyRef names ProviderPolicy {ref.name!r}, which does not exist in namespace "
        f"{workload.meta.namespace!r}; create it or change the reference",
    )


def _egress(workload: Workload, policy: EgressPolicy | None) -> Problem | None:
    ref = workload.spec.egress_policy_ref
    if ref is None:
        return None
    if workload.spec.trust == "Unverified":
        return Problem(
            reason="EgressNeedsSentinel",
            message="spec.egressPolicyRef is set, and spec.trust: Unverified runs without the agent "
            "that enforces it; remove one of the two",
        )
    if policy is not None:
        return None
    return Problem(
        reason="EgressPolicyNotFound",
        message=f"spec.egressPolicyRef names EgressPolicy {ref.name!r}, which does not exist in namespace "
        f"{workload.meta.namespace!r}; create it or change the reference",
    )


def _secrets(workload: Workload, known: frozenset[str]) -> Problem | None:
    wanted = [each.rotating_secret_ref.name for each in workload.spec.secrets]
    if wanted and workload.spec.trust == "Unverified":
        return Problem(
            reason="SecretsNeedSentinel",
            message="spec.secrets is set, and spec.trust: Unverified runs without the agent that takes "
            "them; remove one of the two",
        )
    missing = [each for each in wanted if each not in known]
    if not missing:
        return None
    return Problem(
        reason="SecretNotFound",
        message=f"spec.secrets names RotatingSecret {missing[0]!r}, which does not exist in namespace "
        f"{workload.meta.namespace!r}; create it or change the reference",
    )


def _integrity(workload: Workload) -> Problem | None:
    if workload.spec.integrity is None or workload.spec.trust == "Verified":
        return None
    return Problem(
        reason="IntegrityNeedsSentinel",
        message="spec.integrity is set, and spec.trust: Unverified runs without the agent that looks "
        "inside; remove one of the two",
    )


def _metrics(workload: Workload) -> Problem | None:
    if workload.spec.metrics is None or workload.spec.trust == "Verified":
        return None
    return Problem(
        reason="MetricsNeedSentinel",
        message="spec.metrics is set, and spec.trust: Unverified runs without the agent that asks for "
        "them; remove one of the two",
    )


def _adoption(workload: Workload) -> Problem | None:
    wanted = workload.spec.adopt is not None and workload.status.adopted is None
    if not wanted or workload.spec.trust == "Unverified":
        return None
    return Problem(
        reason="AdoptionIsUnverified",
        message="spec.adopt takes over a container that has no agent: set spec.trust: Unverified; once "
        "it is adopted, trust: Verified replaces it by a replica that has one",
    )


def _budget(workload: Workload, account: Account | None) -> Problem | None:
    wanted = workload.spec.budget.max_price_per_hour
    if account is None or wanted is None:
        return None
    ceiling = parse_dollars(account.spec.limits.max_price_per_hour)
    if parse_dollars(wanted) <= ceiling:
        return None
    return Problem(
        reason="BudgetAboveAccountLimit",
        message=f"spec.budget.maxPricePerHour {wanted} is above limits.maxPricePerHour "
        f"{format_dollars(ceiling)} of AkashAccount {account.meta.name!r}; lower the one or raise the other",
    )
