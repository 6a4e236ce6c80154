"""One lease as a row of the demo's table, and the times of a failover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from garrison.api.lease import Lease, LeaseStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A phase and when it was entered."""

    phase: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """``gone``: the object is no longer there."""

    name: str
    provider: str
    region: str
    phase: str
    price: str
    tokens_per_second: str
    first_token: str
    trail: tuple[Entry, ...]
    failure: str = ""
    gone: bool = False

    @property
    def is_ready(self) -> bool:
        return self.phase == "Ready" and not self.gone

    def entered(self, phase: str) -> datetime | None:
        """Return when the phase was entered the first time."""
        return next((each.at for each in self.trail if each.phase == phase), None)

    def story(self) -> str:
        """Return the phases with the seconds since the lease's beginning."""
        said = [f"{each.phase} {self._since_begin(each):.1f}" for each in self.trail]
        return " > ".join([*said, "gone"] if self.gone else said)

    def news(self, before: LeaseRow | None) -> list[str]:
        """Return a line for each thing that the row before did not have."""
        known = 0 if before is None else len(before.trail)
        lines = [
            f"{self.name}: {each.phase} (+{self._since_begin(each):.1f} s){self._about(each.phase)}"
            for each in self.trail[known:]
        ]
        if self.gone and not (before and before.gone):
            lines.append(f"{self.name}: gone")
        return lines

    def _since_begin(self, entry: Entry) -> float:
        return (entry.at - self.trail[0].at).total_seconds()

    def _about(self, phase: str) -> str:
        match phase:
            case "Deploying":
                return f" at {self.provider}, {self.region}, {self.price} $/h"
            case "Ready" if self.tokens_per_second:
                return f" {self.tokens_per_second} tokens/s, first token {self.first_token}"
            case "Closing" if self.failure:
                return f" {self.failure}"
            case _:
                return ""


def row_of(lease: Lease, provider_names: Mapping[str, str]) -> LeaseRow:
    """Return the row of a lease; providers that are not in ``provider_names`` go by address."""
    status = lease.status
    address = status.provider or ""
    return LeaseRow(
        name=lease.meta.name,
        provider=provider_names.get(address, address),
        region=status.region or "",
        phase=status.phase,
        price="" if status.price_per_hour is None else f"{status.price_per_hour}",
        tokens_per_second="" if status.benchmark is None else status.benchmark.tokens_per_second,
        first_token=_first_token(status),
        trail=tuple(Entry(phase=each.phase, at=each.at) for each in status.timings),
        failure="" if status.failure is None else status.failure.message,
    )


def _first_token(status: LeaseStatus) -> str:
    if status.benchmark is None:
        return ""
    return f"{status.benchmark.time_to_first_token_milliseconds} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """Seconds from the provider's death to each milestone; None for one that was not seen."""

    detected: float | None
    ordered: float | None
    leased: float | None
    answering: float | None
    ready: float | None

    def lines(self) -> list[str]:
        """Return a sentence for each milestone with the seconds since the one before."""
        said: list[str] = []
        before = 0.0
        for name, seconds in (
            ("detected", self.detected),
            ("new order on the market", self.ordered),
            ("new lease", self.leased),
            ("the model answers", self.answering),
            ("measured and Ready", self.ready),
        ):
            if seconds is not None:
                said.append(f"{seconds:5.1f} s  {name} (+{max(0.0, seconds - before):.1f} s)")
                before = seconds
        return said


def failover(killed: datetime, old: LeaseRow, new: LeaseRow) -> Failover:
    """Return the times after ``killed``: the old lease left Ready, the new one went its way."""

    def after(at: datetime | None) -> float | None:
        return None if at is None else (at - killed).total_seconds()

    left = next((each.at for each in old.trail if each.at > killed), None)
    return Failover(
        detected=after(left),
        ordered=after(new.entered("Ordering")),
        leased=after(new.entered("Deploying")),
        answering=after(new.entered("Benchmarking")),
        ready=after(new.entered("Ready")),
    )
