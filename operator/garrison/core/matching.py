"""Which known providers a policy lets through, so that "no bids" always has a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from garrison.api.meta import Condition, set_condition
from garrison.api.policy import ExclusionStatus, Policy, PolicyStatus
from garrison.api.provider import Provider
from garrison.core.placement import violated


def policy_status(policy: Policy, providers: Mapping[str, Provider], now: datetime) -> PolicyStatus:
    """Return the counts by clause, and whether anybody is left."""
    by_clause: dict[str, list[str]] = {}
    for name in sorted(providers):
        clause = violated(policy.spec, name, providers[name]).partition(":")[0]
        if clause:
            by_clause.setdefault(clause, []).append(name)
    excluded = tuple(
        ExclusionStatus(clause=clause, providers=len(names), examples=tuple(names[:5]))
        for clause, names in sorted(by_clause.items())
    )
    matching = len(providers) - sum(each.providers for each in excluded)
    return replace(
        policy.status,
        observed_generation=policy.meta.generation,
        known=len(providers),
        matching=matching,
        excluded=excluded,
        conditions=set_condition(
            policy.status.conditions, _ready(policy, matching, len(providers), now)
        ),
    )


def _ready(policy: Policy, matching: int, known: int, now: datetime) -> Condition:
    if known == 0:
        state, reason, message = "Unknown", "NoProviderKnown", "no market has been read yet"
    elif matching == 0:
        state, reason = "False", "NobodyMatches"
        message = "no known provider passes every clause; status.excluded says which one to loosen"
    else:
        state, reason, message = "True", "Matching", f"{matching} of {known} known providers match"
    return Condition(
        type="Ready",
        status="True" if state == "True" else "False" if state == "False" else "Unknown",
        reason=reason,
        message=message,
        observed_generation=policy.meta.generation,
        last_transition_time=now.replace(microsecond=0),
    )
