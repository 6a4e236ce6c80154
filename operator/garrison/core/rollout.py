"""How many leases of which revision: scaling, rolling, replacing, with one lease of surge.

At no moment may more leases be open (not verified closed) than ``replicas + SURGE``. An old replica is
retired only when enough others are Ready, so a rolling update never serves from fewer than it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SURGE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One lease of the workload, as far as counting goes.

    ``open``: may still cost something. ``leaving``: deleted, failed or closing. ``outgoing``: the
    provider gave notice, or a repeated benchmark failed; it serves on until a successor is Ready.
    """

    name: str
    revision: str
    ready: bool
    leaving: bool
    open: bool
    outgoing: bool = False
    order: int = 0
    """position in the ledger: higher is newer"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What to do: how many leases to create, of the target revision and of the one to fall back to,
    and which ones to retire."""

    create: int = 0
    create_fallback: int = 0
    retire: tuple[str, ...] = ()


def rollout(
    views: Sequence[View],
    *,
    replicas: int,
    target: str,
    may_create: bool,
    fallback: str | None = None,
) -> Rollout:
    """Return the next moves towards ``replicas`` Ready leases of the ``target`` revision.

    ``fallback`` is given while the target is to blame for failures: what dies is then replaced by the
    revision that served last, so that a bad roll-out never costs what still worked.
    """
    alive = [each for each in views if not each.leaving]
    current = [each for each in alive if each.revision == target and not each.outgoing]
    stale = [each for each in alive if each.revision != target or each.outgoing]
    lost = _lost(views, alive, replicas) if fallback is not None else 0
    room = _room(views, replicas) - lost
    return Rollout(
        create=max(0, min(replicas - len(current), room)) if may_create else 0,
        create_fallback=lost,
        retire=tuple(_surplus(current, replicas) + _replaced(stale, current, replicas, fallback)),
    )


def first(views: Sequence[View], *, may_create: bool) -> Rollout:
    """Return the move towards the one lease that adopts: whatever else is wanted waits for it.

    Nothing is retired meanwhile: what is about to be adopted must not be closed for an edit.
    """
    return Rollout(create=int(may_create and not any(each.open for each in views)))


def _room(views: Sequence[View], replicas: int) -> int:
    return max(0, replicas + SURGE - sum(each.open for each in views)) if replicas else 0


def _lost(views: Sequence[View], alive: Sequence[View], replicas: int) -> int:
    return max(0, min(replicas - len(alive), _room(views, replicas)))


def _surplus(current: Sequence[View], replicas: int) -> list[str]:
    """Too many of the right revision: those that do not serve go first, then the newest."""
    ranked = sorted(current, key=lambda each: (each.ready, -each.order))
    return [each.name for each in ranked[: max(0, len(current) - replicas)]]


def _replaced(
    stale: Sequence[View], current: Sequence[View], replicas: int, fallback: str | None
) -> list[str]:
    """Old ones that are no longer needed: all that do not serve, and one per Ready successor."""
    ready_current = sum(each.ready for each in current)
    coming = [each for each in stale if not each.ready and each.revision == fallback]
    idle = [each.name for each in stale if not each.ready and each not in coming]
    serving = sorted((each for each in stale if each.ready), key=lambda each: each.order)
    needed = max(0, replicas - ready_current)
    surplus = max(0, len(serving) + len(coming) - needed)
    return idle + [each.name for each in (*coming, *serving)[:surplus]]
