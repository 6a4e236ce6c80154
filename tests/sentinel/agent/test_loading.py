"""What Python loads from the image's disk is loaded before a workload could have changed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.agent.supervisor import EX_RESTART
from tests.sentinel.agent.agent_process import PYTHON, SECONDS, AgentProcess, Refused, until
from tests.sentinel.agent.test_shell import session

TOKEN = {"value": "c2VjcmV0", "file": "token.txt", "onRotate": "Restart"}


def loaded(agent: AgentProcess) -> list[str]:
    """Return the modules that the agent's processes have imported, in order."""
    lines = agent.stderr.read_text().splitlines()
    return [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]


def test_nothing_is_loaded_once_a_workload_exists(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nexec {PYTHON} -X importtime "$@"\n')
    python.chmod(0o755)
    with AgentProcess(tmp_path, python=str(python)) as agent:
        agent.enrol()
        agent.call("PUT", "/v1/secrets/token", {"version": 1, **TOKEN})
        agent.start(metricsPath="/metrics")
        before = loaded(agent)
        assert {"sentinel.agent.operations", "sentinel.relay.exchange", "subprocess"} <= {*before}
        use(agent)
        agent.call("POST", "/v1/seal", {"reason": "done"})
        assert loaded(agent) == before


INTRUDER = """#!/bin/sh
{ cat /proc/self/status; env; } > %s
exec %s "$@"
"""


def test_a_python_that_the_workload_replaced_is_never_executed(tmp_path: Path) -> None:
    """A policy of another mode needs another start, and executes nothing from this disk."""
    python, other, ran = tmp_path / "python3", tmp_path / "other", tmp_path / "ran"
    python.symlink_to(PYTHON)
    other.write_text(INTRUDER % (ran, PYTHON))
    other.chmod(0o755)
    with AgentProcess(tmp_path, python=str(python)) as agent:
        agent.enrol()
        command = agent.launch()["argv"]
        agent.start(argv=["sh", "-c", f'mv {other} {python} && exec "$@"', "sh", *command])
        until(lambda: agent.get() != "")
        assert not python.is_symlink()
        with pytest.raises(Refused) as caught:
            agent.call("PUT", "/v1/egress", {"version": 2, "spec": {"mode": "Audit"}})
        assert caught.value.reason == "RestartNeeded"
        assert agent.process.wait(SECONDS) == EX_RESTART
        assert not ran.exists()


def use(agent: AgentProcess) -> None:
    """Make every kind of call."""
    until(lambda: agent.get("/file") == "secret")
    agent.call("PUT", "/v1/secrets/token", {"version": 2, **TOKEN, "value": "bmV3"})
    until(lambda: agent.get("/file") == "new")
    for terminal in (0, 1):
        with session(agent, "exit 3", f"&tty={terminal}") as held:
            assert held.rest()[2] == 3
    for path in ("status", "metrics", "workload-metrics", "logs?tail=1"):
        assert agent.raw("GET", f"/v1/{path}")[0] == 200
    agent.call("POST", "/v1/connectivity", {"targets": [{"host": "127.0.0.1", "port": 9}]})
    agent.call("POST", "/v1/integrity", {"nonce": "a" * 32, "paths": ["/etc/host*"]})
    agent.call("PUT", "/v1/egress", {"version": 2, "spec": {"requireEnforced": False}})
    agent.enrol()
    assert agent.raw("POST", "/v1/unknown", {})[0] == 404
    agent.call("POST", "/v1/drain", {"seconds": 0})
