"""A workload whose spec this operator cannot read, such as one of a newer version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from garrison.api.meta import Condition, ConditionStatus, Raw, parse_meta
from garrison.api.parsing import dump, parse
from garrison.api.workload import STATUS_ADAPTER
from garrison.runtime.controller import Verdict

_SAID: tuple[tuple[str, ConditionStatus], ...] = (("Ready", "False"), ("Stalled", "True"))
_REPLACED = {"Ready", "Stalled", "Reconciling"}


def unreadable(raw: Raw, why: str, now: datetime) -> Verdict:
    """Return a verdict that stalls the workload; nothing that runs is touched."""
    meta = parse_meta(raw)
    status = parse(STATUS_ADAPTER, raw.get("status") or {}, "status")
    conditions = [each for each in status.conditions if each.type not in _REPLACED]
    conditions += [
        Condition(
            type=type_,
            status=state,
            reason="InvalidSpec",
            message=why[:1024],
            observed_generation=meta.generation,
            last_transition_time=_since(status.conditions, type_, state, now),
        )
        for type_, state in _SAID
    ]
    status = replace(status, conditions=tuple(conditions), observed_generation=meta.generation)
    return Verdict(status=dump(STATUS_ADAPTER, status), requeue_after=300.0)


def _since(
    known: Iterable[Condition], type_: str, state: ConditionStatus, now: datetime
) -> datetime:
    old = next((each for each in known if each.type == type_), None)
    return old.last_transition_time if old and old.status == state else now.replace(microsecond=0)
