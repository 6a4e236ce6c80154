"""Whatever comes in: one refusal, no secret in it, no change of state, and the next call works."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.agent import bootstrap, fields
from sentinel.agent.errors import BootstrapError, Refusal
from tests.sentinel.agent.agent_process import AgentProcess

FEW = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CANARY = "canary-7d21"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
CALLS = st.sampled_from(
    [
        ("POST", "/v1/hello"),
        ("POST", "/v1/enrol"),
        ("PUT", "/v1/certificate"),
        ("PUT", "/v1/egress"),
        ("PUT", "/v1/secrets/token"),
        ("POST", "/v1/integrity"),
        ("POST", "/v1/start"),
        ("POST", "/v1/connectivity"),
    ]
)
FIELDS = st.sampled_from(
    [
        *("nonce", "certificate", "operatorCAs", "version", "spec", "value", "env", "file"),
        *("onRotate", "paths", "argv", "port", "cwd", "uid", "targets", "seconds", "drainSeconds"),
    ]
)
BODIES = st.dictionaries(FIELDS, JSON, max_size=6)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    with AgentProcess(tmp_path_factory.mktemp("agent")) as started:
        started.enrol()
        value = base64.b64encode(CANARY.encode()).decode()
        body = {"version": 2**53, "value": value, "env": "TOKEN", "file": None}
        started.call("PUT", "/v1/secrets/token", body)
        yield started


def _unchanged(agent: AgentProcess) -> None:
    status = agent.status()
    assert status["state"] == "Enrolled"
    assert status["secrets"] == {"token": 2**53}
    assert status["egress"]["version"] == 1
    assert status["workload"] is None


@FEW
@given(CALLS, BODIES)
def test_any_body(agent: AgentProcess, call: tuple[str, str], body: dict[str, Any]) -> None:
    if call[1] == "/v1/egress":
        body.pop("spec", None)
    status, answer = agent.raw(*call, body)
    assert status in (200, 400, 409, 413, 422)
    assert CANARY.encode() not in answer
    if status != 200:
        refusal = json.loads(answer)
        assert refusal["reason"].isalnum()
        assert refusal["message"]
    _unchanged(agent)


@FEW
@given(
    st.binary(max_size=300)
    | st.sampled_from(
        [
            b"GET /v1/status HTTP/1.0\r\n\r\n",
            b"GET /v1/status HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            b"POST /v1/seal HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"POST /v1/seal HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST /v1/seal HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n",
            b"POST /v1/seal HTTP/1.1\nContent-Length: 2\n\n{}",
            b"POST /v1/seal HTTP/1.1\r\n Content-Length: 2\r\n\r\n{}",
            b"POST /v1/seal HTTP/1.1\r\nContent-Length : 2\r\n\r\n{}",
            b"POST http://x/v1/seal HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
            b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
            b"POST /v1/seal HTTP/1.1\r\nContent-Length: 20000\r\n\r\n" + b"[" * 20_000,
        ]
    )
)
def test_any_bytes(agent: AgentProcess, data: bytes) -> None:
    connection = agent.connection()
    connection.connect()
    with suppress(OSError):
        connection.sock.sendall(data)
        connection.sock.unwrap()
    answer = b""
    with suppress(OSError, ssl.SSLError):
        while part := connection.sock.recv(65536):
            answer += part
    connection.close()
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    _unchanged(agent)


@settings(deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bootstrap_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(BootstrapError):
        bootstrap.parse(data)
    with pytest.raises(BootstrapError):
        bootstrap.decode(base64.b64encode(data).decode())


@settings(deadline=None)
@given(place=st.integers(min_value=0), value=JSON)
def test_a_damaged_bootstrap_is_refused_and_shows_no_key(
    good: dict[str, Any], place: int, value: Any
) -> None:
    name = sorted(good)[place % len(good)]
    shown = _shown(json.dumps({**good, name: value}).encode())
    assert good["key"][40:80] not in shown


def _shown(data: bytes) -> str:
    try:
        return repr(bootstrap.parse(data))
    except BootstrapError as error:
        return str(error)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = AgentProcess(tmp_path_factory.mktemp("agent")).bootstrap
    assert bootstrap.parse(json.dumps(made).encode()).lease == made["lease"]
    return made


@given(st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_json(data: bytes) -> None:
    with suppress(Refusal):
        assert isinstance(fields.read_object(data), dict)


def test_deep_json_is_refused() -> None:
    with pytest.raises(Refusal):
        fields.read_object(b'{"a":' + b"[" * 200_000)
