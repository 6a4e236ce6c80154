"""The board on a terminal: a live picture, or plain lines where there is no terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from devenv.demo_board import Board, Exchange, Step
from devenv.demo_lease import LeaseRow

_REFRESHES = 8
_SVG_WIDTH = 110
_LEAST_STEPS = 3
_COLUMNS = ("LEASE", "PROVIDER", "REGION", "PHASE", "$/HOUR", "TOKENS/S", "FIRST TOKEN")
_PHASE_STYLES = {
    "Ready": "bold green",
    "Draining": "magenta",
    "Closing": "magenta",
    "Closed": "dim",
    "Failed": "bold red",
}


def picture(board: Board, height: int | None = None) -> RenderableType:
    """Return the whole board; with ``height``, older steps are folded so that it fits."""
    below: list[RenderableType] = []
    lines = 3
    if board.leases:
        below += [Text(""), _lease_table(board), *map(_story, board.leases.values())]
        lines += 5 + 3 * len(board.leases)
    for exchange in board.exchanges:
        below += [Text(""), _exchange(exchange)]
        lines += 4
    if board.facts:
        below += [Text(""), *(Text(fact, style="bold") for fact in board.facts)]
        lines += 1 + len(board.facts)
    room = None if height is None else max(_LEAST_STEPS, height - lines)
    return Panel(
        Group(_step_table(board, room), *below),
        title=escape(board.title),
        subtitle=f"{board.elapsed:.1f} s",
        title_align="left",
        subtitle_align="right",
    )


def folded(steps: Sequence[Step], room: int | None) -> tuple[Sequence[Step], Sequence[Step]]:
    """Return the steps to fold away and those to show in ``room`` lines."""
    if room is None or len(steps) <= room:
        return (), steps
    cut = len(steps) - max(1, room - 1)
    return steps[:cut], steps[cut:]


def _step_table(board: Board, room: int | None) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=2)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
    table.add_column(justify="right", no_wrap=True)
    hidden, shown = folded(board.steps, room)
    if hidden:
        table.add_row(Text("ok", style="green"), f"{len(hidden)} steps before", "", "")
    for step in shown:
        table.add_row(*_step(step, board.elapsed + board.begun))
    return table


def _step(step: Step, now: float) -> tuple[Text, str, str, str]:
    if step.seconds is None:
        said = step.detail or step.why
        return Text("..", style="yellow"), step.name, escape(said), f"{now - step.started:.1f} s"
    mark = Text("no", style="bold red") if step.failed else Text("ok", style="green")
    return mark, step.name, escape(step.detail or step.why), f"{step.seconds:.1f} s"


def _lease_table(board: Board) -> Table:
    table = Table(title=escape(board.workload), title_justify="left", title_style="bold", box=None)
    for column in _COLUMNS:
        table.add_column(column, no_wrap=True, header_style="dim")
    for row in board.leases.values():
        table.add_row(
            row.name, row.provider, row.region, _phase(row),
            row.price, row.tokens_per_second, row.first_token,
        )  # fmt: skip
    return table


def _phase(row: LeaseRow) -> Text:
    phase = "gone" if row.gone else row.phase
    return Text(phase, style="dim" if row.gone else _PHASE_STYLES.get(phase, "yellow"))


def _story(row: LeaseRow) -> Text:
    return Text(f" {row.name}: {row.story()}", style="dim")


def _exchange(exchange: Exchange) -> Text:
    text = Text()
    text.append("you    ", style="cyan")
    text.append(f"{exchange.question}\n")
    text.append("model  ", style="green")
    text.append(" ".join(exchange.answer.split()) or "...")
    if exchange.seconds is not None and exchange.first_token_seconds is not None:
        text.append(
            f"  (first token {exchange.first_token_seconds:.2f} s, all {exchange.seconds:.1f} s)",
            style="dim",
        )
    return text


@contextmanager
def shown(board: Board, console: Console) -> Iterator[None]:
    """Show the board while the body runs: live on a terminal, else a line for each news."""
    if not console.is_terminal:
        board.tell = _teller(board)
        yield
        return
    with Live(
        console=console,
        get_renderable=lambda: picture(board, console.size.height),
        refresh_per_second=_REFRESHES,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield


def _teller(board: Board) -> _Teller:
    return _Teller(board)


class _Teller:
    """Prints lines with the time since the beginning."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __call__(self, line: str) -> None:
        print(f"[{self._board.elapsed:6.1f} s] {line}", file=sys.stdout, flush=True)


def save_svg(board: Board, path: Path) -> None:
    """Write the board's last picture as an SVG file."""
    console = Console(record=True, width=_SVG_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(picture(board))
    console.save_svg(str(path), title="make demo")
