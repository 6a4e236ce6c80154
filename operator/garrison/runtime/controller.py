"""What a controller is to the engine: observe, plan, act, status. Nothing here knows a kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from garrison.api.meta import Key, Kind, Raw
from garrison.ports.kube import Note

Observed = TypeVar("Observed")
Action = TypeVar("Action")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[Action]):
    """What became of one action: ``value`` or ``error``, never both."""

    action: Action
    value: object = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Generic[Action]):
    """What to do now, and when to look again (seconds; None: only when something changes)."""

    actions: tuple[Action, ...] = ()
    requeue_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The end of a pass: the whole new status (None: write nothing), Events, and the next look."""

    status: Mapping[str, Any] | None = None
    notes: tuple[Note, ...] = ()
    requeue_after: float | None = None


Trigger: TypeAlias = Callable[[Raw], Iterable[Key]]
"""From a changed object to the keys that must be looked at again."""


class Controller(Protocol[Observed, Action]):
    """One kind's reconciler. A pass runs ``observe → plan → act* → conclude``.

    The engine acts in order and stops at the first action that raises; it writes the verdict's
    status with the resourceVersion that was observed, skips an equal one, and drops the pass on a
    conflict. ``observe`` may raise; then the pass is retried with backoff.
    """

    @property
    def kind(self) -> Kind: ...

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        """Other kinds (CamelCase) whose changes matter, and to whom."""

    async def observe(self, raw: Raw) -> Observed: ...

    def plan(self, observed: Observed, now: datetime) -> Plan[Action]: ...

    async def act(self, action: Action, observed: Observed) -> object: ...

    def conclude(
        self, observed: Observed, outcomes: tuple[Outcome[Action], ...], now: datetime
    ) -> Verdict: ...
