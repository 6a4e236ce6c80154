"""The whole way, by every Python that images carry and that is here or can be fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sentinel.agent.agent_process import AgentProcess, until
from tests.sentinel.pythons import OTHERS, python_or_skip


@pytest.mark.parametrize("version", OTHERS)
def test_other_pythons_hold_a_container(version: str, tmp_path: Path) -> None:
    python = python_or_skip(version)
    with AgentProcess(tmp_path, python=python, flags=("-W", "always")) as agent:
        agent.enrol()
        body = {"version": 1, "value": "c2VjcmV0", "file": "token.txt", "onRotate": "Restart"}
        agent.call("PUT", "/v1/secrets/token", body)
        agent.start(metricsPath="/metrics")
        assert agent.get("/file") == "secret"
        agent.call("PUT", "/v1/secrets/token", {**body, "version": 2, "value": "bmV3"})
        until(lambda: agent.get("/file") == "new")
        assert agent.call("POST", "/v1/integrity", {"nonce": "a" * 32, "paths": []})["proof"]
        assert agent.raw("GET", "/v1/metrics")[0] == 200
        agent.call("POST", "/v1/connectivity", {"targets": [{"host": "127.0.0.1", "port": 9}]})
        agent.enrol()
        assert agent.get("/file") == "new"
        agent.call("POST", "/v1/seal", {"reason": "done"})
    assert agent.process.returncode == 0
    said = agent.stderr.read_text().splitlines()
    assert [line for line in said if "sealed; instance" not in line] == []
