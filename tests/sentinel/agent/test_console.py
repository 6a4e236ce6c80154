"""Whoever may look inside may ask a few things, and change nothing."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.sentinel.agent.agent_process import (
    CLIENT_URI,
    CONSOLE_CLIENT,
    OPERATOR,
    WORKLOAD_CLIENT,
    AgentProcess,
    until,
)
from tests.sentinel.pki import Issued

ALLOWED: list[tuple[str, str, object]] = [
    ("POST", "/v1/hello", {"nonce": "a" * 64}),
    ("GET", "/v1/status", None),
    ("GET", "/v1/metrics", None),
    ("POST", "/v1/connectivity", {"targets": []}),
    ("GET", "/v1/logs", None),
]
OPERATORS = [
    ("POST", "/v1/enrol"),
    ("PUT", "/v1/certificate"),
    ("PUT", "/v1/egress"),
    ("PUT", "/v1/secrets/token"),
    ("POST", "/v1/integrity"),
    ("POST", "/v1/start"),
    ("GET", "/v1/workload-metrics"),
    ("POST", "/v1/drain"),
    ("POST", "/v1/stop"),
    ("POST", "/v1/seal"),
    ("GET", "/v1/nothing"),
    ("DELETE", "/v1/status"),
]
STRANGERS = [
    WORKLOAD_CLIENT,
    OPERATOR.issue(f"{CLIENT_URI}/console/x"),
    OPERATOR.issue(f"{CLIENT_URI}2/console"),
    OPERATOR.issue(f"{CLIENT_URI}/console", CLIENT_URI),
]


def test_a_console_may_look(running: AgentProcess) -> None:
    for method, path, body in ALLOWED:
        assert running.raw(method, path, body, client=CONSOLE_CLIENT)[0] == 200
    status, answer = running.raw("GET", "/v1/shell", client=CONSOLE_CLIENT)
    assert (status, json.loads(answer)["reason"]) == (426, "UpgradeRequired")


@pytest.mark.parametrize(("method", "path"), OPERATORS)
def test_a_console_changes_nothing(running: AgentProcess, method: str, path: str) -> None:
    before = running.status()["workload"]
    status, answer = running.raw(method, path, {"reason": "console"}, client=CONSOLE_CLIENT)
    assert (status, json.loads(answer)["reason"]) == (403, "OperatorOnly")
    assert running.status()["workload"] == before
    assert running.status()["state"] == "Running"


@pytest.mark.parametrize("stranger", STRANGERS)
def test_nobody_else_is_a_console(running: AgentProcess, stranger: Issued) -> None:
    assert not _answers(running.connection(stranger), "/v1/status")


def _answers(connection: http.client.HTTPSConnection, path: str) -> bool:
    try:
        connection.request("GET", path)
        return bool(connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def test_a_console_is_no_client_of_the_workload(running: AgentProcess) -> None:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", running.data, context=running.context(CONSOLE_CLIENT), timeout=10
    )
    assert not _answers(connection, "/")


def test_consoles_never_keep_the_operator_out(sealed: AgentProcess) -> None:
    opened = [sealed.connection(CONSOLE_CLIENT) for _ in range(17)]
    codes = []
    for each in opened:
        each.request("GET", "/v1/status")
        codes.append(each.getresponse().status)
    assert codes == [200] * 16 + [503]
    assert sealed.status()["state"] == "Sealed"
    for each in opened:
        each.close()
    until(lambda: sealed.raw("GET", "/v1/status", client=CONSOLE_CLIENT)[0] == 200)
