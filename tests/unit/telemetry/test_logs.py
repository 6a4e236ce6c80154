"""No line of the log carries a credential, in either format."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.telemetry.logs import JsonFormatter, TextFormatter, redact

JWT = "eyJhbGciOiJFUzI1NksifQ.eyJpc3MiOiJha2FzaDEifQ.c2lnbmF0dXJlLWJ5dGVz"
WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=40)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("x-api-key: ak-123456", "ak-123456"),
        ("{'x-api-key': 'ak-123456'}", "ak-123456"),
        (f"token sent: {JWT}", "c2lnbmF0dXJlLWJ5dGVz"),
        ("password=hunter2hunter2", "hunter2hunter2"),
        ('{"token": "s3cr3ts3cr3t"}', "s3cr3ts3cr3t"),
        ("api_key=0123456789", "0123456789"),
    ],
)
def test_credentials_are_taken_out(line: str, secret: str) -> None:
    assert secret not in redact(line)
    assert "[redacted]" in redact(line)


@pytest.mark.parametrize(
    "line",
    [
        "InferenceWorkload/prod/chat: CreateDeployment failed: Unavailable: HTTP 503",
        "Secret garrison-system/console-key does not exist; create it",
        "the token is too old",
        "",
    ],
)
def test_what_is_no_credential_stays(line: str) -> None:
    assert redact(line) == line


@given(secret=WORDS)
def test_a_redacted_line_stays_as_it_is(secret: str) -> None:
    once = redact(f"Authorization: Bearer {secret}, x-api-key: {secret}")
    assert secret not in once
    assert redact(once) == once


def record(message: str, *, error: Exception | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error is not None else None
    return logging.LogRecord("garrison.engine", logging.INFO, "x.py", 1, message, (), info)


def test_json_is_one_object_a_line_without_credentials() -> None:
    error = RuntimeError("Bearer abcdefgh12345678")
    line = JsonFormatter().format(record("key x-api-key: ak-123456\nmore", error=error))
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"]) == ("info", "garrison.engine")
    assert "ak-123456" not in line
    assert "abcdefgh12345678" not in entry["exception"]


def test_text_redacts_the_traceback_too() -> None:
    line = TextFormatter("%(message)s").format(
        record("failed", error=RuntimeError("password=hunter2hunter2"))
    )
    assert "RuntimeError" in line
    assert "hunter2hunter2" not in line
