"""Which version of which policy a replica should enforce, and whether what it does is enough."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from garrison.api.egress import DENY_ALL, SPEC_ADAPTER, DeniedStatus, EgressPolicySpec
from garrison.api.lease import LeaseEgress
from garrison.api.parsing import dump
from garrison.ports.sentinel import EgressView

COUNT_PERIOD = timedelta(minutes=1)
"""How often counters that move by themselves are written to a status, at most."""
MAX_DENIED = 50
STILL_CONNECTED = "still connected though denied:"
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedEgress:
    """The policy that a workload refers to. ``name`` None: it refers to none, so nothing is allowed."""

    name: str | None = None
    generation: int = 0
    spec: EgressPolicySpec = DENY_ALL


@lru_cache(maxsize=4096)
def digest(spec: EgressPolicySpec) -> str:
    """Return the SHA-256 of a policy's content, hex: equal content is not sent again."""
    text = json.dumps(dump(SPEC_ADAPTER, spec), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def wanted_version(known: LeaseEgress | None, wanted: WantedEgress) -> LeaseEgress:
    """Return the record with a new version where the policy's content differs.

    Versions only grow, so a sentinel can refuse what is older than what it knows.
    """
    new = digest(wanted.spec)
    if known is None:
        return LeaseEgress(
            policy=wanted.name,
            generation=wanted.generation,
            digest=new,
            version=1,
            mode=wanted.spec.mode,
        )
    if known.digest != new:
        return replace(
            known,
            policy=wanted.name,
            generation=wanted.generation,
            digest=new,
            version=known.version + 1,
        )
    return _renamed(known, wanted)


def _renamed(known: LeaseEgress, wanted: WantedEgress) -> LeaseEgress:
    """The same content under another name or generation is in force as soon as it is known."""
    if (known.policy, known.generation) == (wanted.name, wanted.generation):
        return known
    reached = known.in_force == known.version
    generation = wanted.generation if reached else known.in_force_generation
    return replace(
        known,
        policy=wanted.name,
        generation=wanted.generation,
        in_force_generation=generation,
    )


def is_current(record: LeaseEgress, view: EgressView | None) -> bool:
    """Return whether the replica says that it enforces the wanted version."""
    return view is not None and view.version == record.version


def in_force(record: LeaseEgress, view: EgressView, entered: Sequence[str] = ()) -> LeaseEgress:
    """Return the record with what the replica says that it enforces; its counters stay.

    ``entered`` are programs that were started there beside the guard: no level covers those.
    """
    current = view.version == record.version
    leaks = [f"{each} was started from outside the container" for each in entered]
    if view.remaining:
        leaks.insert(0, f"{STILL_CONNECTED} {_some(view.remaining)}")
    return replace(
        record,
        in_force=view.version,
        in_force_generation=record.generation if current else record.in_force_generation,
        level="BestEffort" if leaks and view.level == "Enforced" else view.level,
        rung=view.rung[:64],
        mode=view.mode[:16],
        leaks=tuple(each[:253] for each in (*leaks, *view.leaks)[:16]),
        limits=tuple(each[:253] for each in view.limits[:16]),
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def still_connected(record: LeaseEgress | None) -> str:
    """Return what of a replica's leaks is a connection that the policy denies, "" for none."""
    leaks = record.leaks if record is not None else ()
    return next((each for each in leaks if each.startswith(STILL_CONNECTED)), "")


def acknowledged(
    record: LeaseEgress, view: EgressView, now: datetime, entered: Sequence[str] = ()
) -> LeaseEgress:
    """Return the record with what the replica says that it enforces and has denied."""
    return _counted(in_force(record, view, entered), record, view, now)


def _counted(
    stated: LeaseEgress, record: LeaseEgress, view: EgressView, now: datetime
) -> LeaseEgress:
    """Counters are written on a transition, and otherwise at most once a minute."""
    moved = view.denied_total != record.denied_total
    due = record.counted_at is None or now - record.counted_at >= COUNT_PERIOD
    known = {(each.destination, each.port) for each in record.denied if each.mining}
    mining = len(known) < MAX_DENIED and any(
        each.mining and (each.destination[:253], each.port) not in known for each in view.denied
    )
    if not (moved or mining) or not (due or mining or stated != record):
        return stated
    first = sorted(view.denied, key=lambda each: (each.mining is None, -each.count))
    return replace(
        stated,
        denied_total=view.denied_total,
        denied=tuple(
            DeniedStatus(
                destination=each.destination[:253],
                port=each.port,
                protocol=each.protocol[:16],
                process=each.process[:253],
                count=each.count,
                last_seen=each.last_seen.replace(microsecond=0),
                mining=each.mining[:128] if each.mining else None,
            )
            for each in first[:MAX_DENIED]
        ),
        counted_at=now.replace(microsecond=0),
    )


def shortfall(spec: EgressPolicySpec, view: EgressView) -> str:
    """Return why a replica's guard is not enough for the policy, "" when it is.

    Connections that live on through a change of policy are no fault of the machine: the replica
    stays, and its status names them.
    """
    if spec.mode == "Audit" or not spec.require_enforced or view.level == "Enforced":
        return ""
    if view.level == "BestEffort" and view.remaining and not view.leaks:
        return ""
    leaks = "; ".join(view.leaks) or "it did not say what leaks"
    return (
        f"the egress guard there is {view.level} ({view.rung or 'no rung'}: {leaks}), and the policy "
        "has requireEnforced: true"
    )
