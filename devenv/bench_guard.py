"""``make bench``: what the egress guard adds to a connect, and to the data path.

Raw and guarded take turns in one run, on this machine's loopback. Figures are printed, and gate
nothing.

Connects come spaced and back to back. Back to back, the server is still awake from the last one
when the next raw one comes, and asleep again when a guarded one does: waking it is then counted
as added, though it is no part of the guard. Beside them stands a supervisor in C that only lets
each connect through: what the kernel takes for asking, whoever answers.
"""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from devenv.bench_pythons import Interpreter, begin_with_pythons
from devenv.sentinel import write

ROUNDS, CONNECTS, MEBIBYTES = 6, 500, 1024
PAUSES = {"spaced by 200 µs": 200, "back to back": 0}
GOAL_MEDIAN_US, GOAL_P99_US = 60, 200
RUNGS = ("strict", "emulated", "addfd")
BARE = "bare C"
_WIDTH = 110
_CPU_GROUPS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))
SOURCE = Path(__file__).with_suffix(".c")


def build(folder: Path) -> Path:
    """Return the compiled program; raises SystemExit without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        sys.exit("no C compiler: the guard's benchmark needs one. Install gcc")
    target = folder / SOURCE.stem
    command = [compiler, "-O2", "-pthread", "-o", str(target), str(SOURCE)]
    subprocess.run(command, check=True)
    return target


@contextmanager
def one_cpu_group() -> Iterator[bool]:
    """Share one CPU group with what this process starts, as in a container; gives whether it does.

    Elsewhere every session has a group of its own (sched(7), autogroup), and to wake a process of
    another one takes longer. Needs root.
    """
    parent = next((each for each in _CPU_GROUPS if _divides(each)), None)
    if parent is None:
        yield False
        return
    group, mine = parent / f"garrison-bench-{os.getpid()}", str(os.getpid())
    group.mkdir()
    (group / "cgroup.procs").write_text(mine)
    try:
        yield True
    finally:
        (parent / "cgroup.procs").write_text(mine)
        with suppress(OSError):  # what ended this moment may not have left yet
            group.rmdir()


def _divides(folder: Path) -> bool:
    """Return whether CPU groups can be made in a folder, by either version of cgroups."""
    inherited = folder / "cgroup.subtree_control"
    given = not inherited.exists() or "cpu" in inherited.read_text().split()
    return given and os.access(folder / "cgroup.procs", os.W_OK)


@contextmanager
def serving(program: Path) -> Iterator[str]:
    """Run the server outside of any guard; gives its port."""
    with subprocess.Popen([str(program), "serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.kill()


def nanoseconds(argv: Sequence[str]) -> list[int]:
    """Return the numbers that a program prints."""
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]


def prefixes(zipapp: Path, program: Path, pythons: Sequence[Interpreter]) -> dict[str, list[str]]:
    """Return how each variant is started: nothing, the bare supervisor, each rung by each Python."""
    found: dict[str, list[str]] = {"raw": [], BARE: [str(program), "supervise"]}
    for rung, python in itertools.product(RUNGS, pythons):
        guard = [str(python.path), "-I", "-S", str(zipapp), "guard", "--report", "/dev/null"]
        words = [*guard, "--rung", rung, "--"]
        name = f"{rung} by {python}"
        if _works(words):
            found[name if name not in found else f"{rung} by {python.path}"] = words
    return found


def _works(words: Sequence[str]) -> bool:
    return subprocess.run([*words, "true"], check=False, capture_output=True).returncode == 0


def measure(folder: Path, pythons: Sequence[Interpreter]) -> list[Table]:
    """Return the tables of connects, one a pause, and of the data path.

    The data path is measured by the first Python only: none runs in it.
    """
    program = build(folder)
    variants = prefixes(write(folder / "sentinel.pyz"), program, pythons)
    connects = {pause: {name: list[int]() for name in variants} for pause in PAUSES}
    path = prefixes(folder / "sentinel.pyz", program, pythons[:1])
    sends = {name: list[int]() for name in path if name != BARE}
    with one_cpu_group() as grouped, serving(program) as port:
        for _ in range(ROUNDS):
            for name, words in variants.items():
                for pause, micros in PAUSES.items():
                    connect = [str(program), "connect", port, str(CONNECTS), str(micros)]
                    connects[pause][name] += nanoseconds([*words, *connect])
            for name, nanos in sends.items():
                send = [str(program), "send", port, str(MEBIBYTES)]
                nanos.extend(nanoseconds([*variants[name], *send]))
    groups = "one CPU group" if grouped else "a CPU group for each session"
    return [
        *(_connect_table(each, f"{pause}, {groups}") for pause, each in connects.items()),
        _send_table(sends),
    ]


def _connect_table(connects: dict[str, list[int]], how: str) -> Table:
    title = f"connect() on the loopback, {how}"
    table = Table("", "median µs", "added", "p99 µs", "added", title=title)
    raw = _summary(connects["raw"])
    for name, values in connects.items():
        median, p99 = _summary(values)
        table.add_row(
            name,
            f"{median:.1f}",
            "" if name == "raw" else f"+{median - raw[0]:.1f} (goal {GOAL_MEDIAN_US})",
            f"{p99:.1f}",
            "" if name == "raw" else f"+{p99 - raw[1]:.1f} (goal {GOAL_P99_US})",
        )
    return table


def _send_table(sends: dict[str, list[int]]) -> Table:
    table = Table("", "median Gbit/s", "of raw", title=f"{MEBIBYTES} MiB over one connection")
    raw = statistics.median(sends["raw"])
    for name, values in sends.items():
        median = statistics.median(values)
        table.add_row(name, f"{MEBIBYTES * 8.388608 / (median / 1e6):.1f}", f"{raw / median:.2f}x")
    return table


def _summary(values: Sequence[int]) -> tuple[float, float]:
    """Return median and 99th percentile in microseconds."""
    return statistics.median(values) / 1e3, statistics.quantiles(values, n=100)[98] / 1e3


def main() -> int:
    pythons = begin_with_pythons("devenv.bench_guard", __doc__)
    with tempfile.TemporaryDirectory(prefix="garrison-bench-guard-") as folder:
        for table in measure(Path(folder), pythons):
            Console(width=_WIDTH).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
