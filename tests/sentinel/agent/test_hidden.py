"""The workload looks into none of the sentinel's processes, also where nothing can be enforced."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sentinel.agent.agent_process import PYTHON, AgentProcess, until

LOOK = """
import os, sys
for line in sys.stdin:
    for name, mode in (("environ", "rb"), ("mem", "rb"), ("mem", "r+b")):
        try:
            open(f"/proc/{line.strip()}/{name}", mode, buffering=0).close()
        except OSError:
            continue
        print(line.strip(), name, mode)
print("done")
"""


SYSTEM = shutil.which("python3", path="/usr/bin") or PYTHON
"""Which anybody may run."""
AS_ROOT = (SYSTEM, ())
NOBODY = "65534"
AS_NOBODY = (
    "setpriv",
    (
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        SYSTEM,
    ),
)
"""Workload and sentinel are the same user without rights: nothing but the sentinel's own care holds."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        found = Path(name)
        found.chmod(0o777)  # the agent is another user
        yield found


def below(pid: int) -> list[int]:
    """Return the process and its descendants, parents first."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(each) for file in children for each in file.read_text().split()]
    return [pid, *(each for child in found for each in below(child))]


@pytest.mark.parametrize(
    "options",
    [(), ("--rung", "relay"), ("--rung", "none")],
    ids=["the strongest rung", "relay", "no rung"],
)
@pytest.mark.parametrize("user", [AS_ROOT, AS_NOBODY], ids=["root", "nobody"])
def test_no_process_of_the_sentinel_can_be_looked_into(
    user: tuple[str, tuple[str, ...]], options: tuple[str, ...], folder: Path
) -> None:
    if user is AS_NOBODY and os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    python, flags = user
    ours, seen = folder / "ours", folder / "seen"
    os.mkfifo(ours)
    seen.touch()
    for each in (ours, seen):
        each.chmod(0o666)
    script = f'"{SYSTEM}" -c "$1" < {ours} > {seen}; shift; exec "$@"'
    with AgentProcess(folder, options=options, python=python, flags=flags) as agent:
        agent.enrol()
        agent.start(argv=["sh", "-c", script, "sh", LOOK, *agent.launch()["argv"]])
        workload = agent.status()["workload"]["pid"]
        pids = [each for each in below(agent.process.pid) if each not in below(workload)]
        assert len(pids) > 2  # the agent, the relay's master, its workers
        ours.write_text("".join(f"{each}\n" for each in pids))
        until(lambda: seen.read_text().endswith("done\n"))
        assert seen.read_text() == "done\n"
