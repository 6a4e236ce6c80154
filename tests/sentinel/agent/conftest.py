"""Agents for tests: a fresh one, one that is enrolled, one whose workload runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sentinel.agent.agent_process import AgentProcess


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[AgentProcess]:
    with AgentProcess(tmp_path) as agent:
        yield agent


@pytest.fixture
def enrolled(sealed: AgentProcess) -> AgentProcess:
    sealed.enrol()
    return sealed


@pytest.fixture
def running(enrolled: AgentProcess) -> AgentProcess:
    enrolled.start()
    return enrolled
