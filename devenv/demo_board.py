"""What the demo has done so far: steps with their times, leases with their phases, answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from devenv.demo_lease import LeaseRow
from devenv.steps import step

_ENDED = re.compile(r"(?P<name>.+): (?P<how>done in|failed after) (?P<seconds>[0-9.]+) s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """``seconds`` is None while it runs; ``detail`` is the newest remark about it."""

    name: str
    why: str
    started: float
    seconds: float | None = None
    failed: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A question to the model and its answer as far as it has come."""

    question: str
    answer: str = ""
    first_token_seconds: float | None = None
    seconds: float | None = None
    tokens: int = 0


@dataclass(slots=True, kw_only=True)
class Board:
    """Everything that the view shows. ``tell`` gets one line for each thing that happened."""

    title: str
    tell: Callable[[str], None] = lambda _line: None
    clock: Callable[[], float] = time.monotonic
    begun: float = field(init=False)
    steps: list[Step] = field(default_factory=list)
    workload: str = ""
    leases: dict[str, LeaseRow] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    ended: float | None = None

    def __post_init__(self) -> None:
        self.begun = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning; it stands still once ``end`` was called."""
        return (self.clock() if self.ended is None else self.ended) - self.begun

    def end(self) -> None:
        """Stop the clock."""
        self.ended = self.clock()

    def say(self, line: str) -> None:
        """Take a line of ``devenv.steps``: a step's beginning, its end, or an indented remark."""
        self.tell(line)
        if line.startswith(" "):
            self._remark(line.strip())
        elif ended := _ENDED.fullmatch(line):
            self._end_step(ended["name"], float(ended["seconds"]), failed=ended["how"] != "done in")
        else:
            name, _, why = line.partition(": ")
            self.steps.append(Step(name=name, why=why, started=self.clock()))

    @contextmanager
    def step(self, what: str, why: str) -> Iterator[None]:
        """Show a step while the body runs."""
        with step(what, why, self.say):
            yield

    def remark(self, text: str) -> None:
        """Say more about the step that runs."""
        self.say(f"  {text}")

    def fact(self, text: str) -> None:
        """Keep a line that stays in sight below everything."""
        self.facts.append(text)
        self.tell(text)

    def saw(self, workload: str, rows: Sequence[LeaseRow]) -> None:
        """Take the leases as they are now; one that is missing is gone."""
        if workload != self.workload:
            self.workload = workload
            self.tell(f"  {workload}")
        present = {row.name: row for row in rows}
        for name, known in self.leases.items():
            if name not in present and not known.gone:
                present[name] = replace(known, gone=True)
        for name, row in present.items():
            for line in row.news(self.leases.get(name)):
                self.tell(f"  {line}")
            self.leases[name] = row

    def ask(self, question: str) -> None:
        """Begin an exchange."""
        self.exchanges.append(Exchange(question=question))

    def hear(self, text: str, *, first_token_seconds: float) -> None:
        """Add to the newest answer."""
        now = self.exchanges[-1]
        self.exchanges[-1] = replace(
            now,
            answer=now.answer + text,
            tokens=now.tokens + 1,
            first_token_seconds=now.first_token_seconds or first_token_seconds,
        )

    def heard(self, seconds: float) -> None:
        """End the newest exchange."""
        now = replace(self.exchanges[-1], seconds=seconds)
        self.exchanges[-1] = now
        self.tell(f"  you: {now.question}")
        self.tell(f"  model: {' '.join(now.answer.split())}")

    def _remark(self, text: str) -> None:
        for index in reversed(range(len(self.steps))):
            if self.steps[index].seconds is None:
                self.steps[index] = replace(self.steps[index], detail=text)
                return

    def _end_step(self, name: str, seconds: float, *, failed: bool) -> None:
        for index in reversed(range(len(self.steps))):
            each = self.steps[index]
            if each.name == name and each.seconds is None:
                self.steps[index] = replace(each, seconds=seconds, failed=failed)
                return
