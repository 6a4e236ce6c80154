"""The workload looks into none of the sentinel's processes, also where nothing can be enforced."""

from __future__ import annotations

import os
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
def test_no_process_of_the_sentinel_can_be_looked_into(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    ours, seen = tmp_path / "ours", tmp_path / "seen"
    os.mkfifo(ours)
    seen.touch()
    script = f'"{PYTHON}" -c "$1" < {ours} > {seen}; shift; exec "$@"'
    with AgentProcess(tmp_path, options=options) as agent:
        agent.enrol()
        agent.start(argv=["sh", "-c", script, "sh", LOOK, *agent.launch()["argv"]])
        workload = agent.status()["workload"]["pid"]
        pids = [each for each in below(agent.process.pid) if each not in below(workload)]
        assert len(pids) > 2  # the agent, the relay's master, its workers
        ours.write_text("".join(f"{each}\n" for each in pids))
        until(lambda: seen.read_text().endswith("done\n"))
        assert seen.read_text() == "done\n"
