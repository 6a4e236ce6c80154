"""Takes JSON objects apart, strictly; what is wrong is named, never repeated."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Dict, Optional, Union  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.agent.errors import Refusal, bad

Body = Dict[str, Any]  # noqa: UP006
_NONCE = re.compile(r"[0-9a-f]{32,64}")
_MAX_PORT = 65535


def read_object(data: bytes) -> Body:
    """Return the JSON object in ``data``. Raises Refusal."""
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad("the body is not JSON") from error
    if not isinstance(value, dict):
        raise bad("the body is not a JSON object")
    return value


def _no_constant(_name: str) -> None:
    raise ValueError("no JSON number")


def text(body: Body, name: str, *, limit: int = 4096, default: Optional[str] = None) -> str:  # noqa: UP045
    """Return a text without NUL, of at most ``limit`` characters. Raises Refusal."""
    value = body.get(name, default)
    if not isinstance(value, str) or len(value) > limit or "\0" in value:
        raise bad(f"{name}: a text of at most {limit} characters is needed")
    return value


def number(
    body: Body,
    name: str,
    low: int,
    high: int,
    default: Union[int, None] = None,  # noqa: UP007
) -> int:
    """Return a whole number in a range, both ends included. Raises Refusal."""
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise bad(f"{name}: a whole number from {low} to {high} is needed")
    return value


def port(body: Body, name: str) -> int:
    """Return a TCP port. Raises Refusal."""
    return number(body, name, 1, _MAX_PORT)


def texts(body: Body, name: str, *, limit: int, length: int = 4096) -> list[str]:
    """Return a list of at most ``limit`` texts. Raises Refusal."""
    value = body.get(name)
    if not isinstance(value, list) or len(value) > limit:
        raise bad(f"{name}: a list of at most {limit} texts is needed")
    return [text({name: each}, name, limit=length) for each in value]


def nonce(body: Body) -> str:
    """Return the caller's nonce: 32 to 64 hexadecimal digits. Raises Refusal."""
    value = text(body, "nonce", limit=64)
    if not _NONCE.fullmatch(value):
        raise bad("nonce: 32 to 64 hexadecimal digits are needed")
    return value


def blob(body: Body, name: str, *, limit: int) -> bytes:
    """Return base64 content of at most ``limit`` bytes. Raises Refusal."""
    try:
        value = base64.b64decode(text(body, name, limit=limit * 2), validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad(f"{name}: base64 is needed") from error
    if len(value) > limit:
        raise Refusal(413, "TooLarge", f"{name}: at most {limit} bytes")
    return value
