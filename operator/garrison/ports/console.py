"""Looking into one replica: its output, and a shell in it.

Two ways lead there, the sentinel's control port and the provider's gateway. Every call may raise
UnavailableError (nothing answers, or the connection broke), AuthError (the other side is not who it
should be, or refuses the identity), RejectedError (it refuses what was asked, with its reason).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Stream(StrEnum):
    OUT = "stdout"
    ERR = "stderr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a workload's output. ``at`` is RFC 3339, "" where nobody says when."""

    text: str
    at: str = ""
    stream: Stream = Stream.OUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A terminal's size in characters."""

    rows: int
    columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What came of dialling a destination from inside, under the guard. ``error`` "": nothing to say."""

    host: str
    port: int
    resolved: tuple[str, ...]
    allowed: bool
    reachable: bool
    milliseconds: int
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEvent:
    """An Event of the provider's own cluster about a lease's container."""

    type: str
    reason: str
    note: str
    about: str


class Session(Protocol):
    """A command that runs in the container."""

    async def send(self, data: bytes) -> None:
        """Write to its input."""

    async def end_input(self) -> bool:
        """End its input; False where this way has no means of saying so."""

    async def resize(self, size: Size) -> None:
        """Change its terminal's size."""

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """Yield what it writes; ends when the command has ended."""

    @property
    def exit_code(self) -> int:
        """Return how the command ended, once ``output`` has."""

    async def close(self) -> None:
        """End the connection, and the command where this way has means to."""


class Console(Protocol):
    """One replica."""

    def lines(self, *, follow: bool, tail: int | None) -> AsyncIterator[Line]:
        """Yield the newest ``tail`` lines (None: all that are kept), and those that follow."""

    async def shell(self, argv: Sequence[str], size: Size | None, *, reads: bool) -> Session:
        """Run ``argv`` (empty: a shell), on a terminal of ``size`` or without one.

        ``reads``: the command gets input.
        """

    async def close(self) -> None:
        """Close every connection."""
