"""HTTP/1.1, as much of it as the control port speaks, read strictly and within bounds (RFC 9112)."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import Any, Dict, Mapping, NamedTuple, Optional  # noqa: UP035 -- run time, Python 3.9

from sentinel.agent.errors import Refusal, bad

MAX_HEAD, MAX_BODY = 16 * 1024, 1024 * 1024
IDLE_SECONDS, HEAD_SECONDS, BODY_SECONDS, WRITE_SECONDS = 75.0, 10.0, 60.0, 30.0
_LINE = re.compile(r"(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) (/[!-~]*) HTTP/1\.1")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*)")
_REASONS = {101: "Switching Protocols", 200: "OK"}
JSON, TEXT = "application/json", "text/plain; version=0.0.4"


class Request(NamedTuple):
    """One call; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Dict[str, str]  # noqa: UP006
    body: bytes


class Ended(Exception):  # noqa: N818 -- the ordinary end of a connection
    """The peer has gone, or takes too long."""


class Stream:
    """One connection: reads requests, writes answers. For one thread at a time.

    ``taken``: after the answer under way nothing else follows.
    """

    def __init__(self, sock: socket.socket, headers: Mapping[str, str]) -> None:
        self.socket, self.taken = sock, False
        self.rest = b""
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    def read(self) -> Request:
        """Return the next request. Raises Ended, and Refusal for one that is not understood."""
        if not self.rest:
            self.rest = self._receive(IDLE_SECONDS)
        head = self._until_blank(time.monotonic() + HEAD_SECONDS)
        try:
            lines = head.decode("ascii").split("\r\n")
        except UnicodeDecodeError as error:
            raise bad("the head is not ASCII") from error
        line = _LINE.fullmatch(lines[0])
        if not line:
            raise bad("the request line is not HTTP/1.1")
        headers = _fields(lines[1:])
        path, _, query = line[2].partition("?")
        body = self._body(_length(headers))
        return Request(line[1], path, query, headers, body)

    def _until_blank(self, deadline: float) -> bytes:
        while b"\r\n\r\n" not in self.rest[: MAX_HEAD + 4]:
            if len(self.rest) > MAX_HEAD:
                raise Refusal(431, "HeadTooLarge", f"a head has at most {MAX_HEAD} bytes")
            self.rest += self._receive(deadline - time.monotonic())
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return head

    def _body(self, size: int) -> bytes:
        if size > MAX_BODY:
            raise Refusal(413, "TooLarge", f"a body has at most {MAX_BODY} bytes")
        parts, have, deadline = [self.rest], len(self.rest), time.monotonic() + BODY_SECONDS
        while have < size:
            parts.append(self._receive(deadline - time.monotonic()))
            have += len(parts[-1])
        data = b"".join(parts)
        self.rest = data[size:]
        return data[:size]

    def _receive(self, seconds: float) -> bytes:
        if seconds <= 0:
            raise Ended
        try:
            self.socket.settimeout(seconds)
            data = self.socket.recv(65536)
        except OSError as error:
            raise Ended from error
        if not data:
            raise Ended
        return data

    def write(self, data: bytes) -> None:
        """Send all of ``data``. Raises Ended."""
        try:
            self.socket.settimeout(WRITE_SECONDS)
            self.socket.sendall(data)
        except OSError as error:
            raise Ended from error

    def answer(self, status: int, body: bytes, kind: str = JSON, *, close: bool = False) -> None:
        """Send an answer. Raises Ended."""
        self.write(self._head(status, kind, f"Content-Length: {len(body)}", close=close) + body)

    def answer_json(self, status: int, value: Mapping[str, Any], *, close: bool = False) -> None:
        """Send an answer of JSON. Raises Ended."""
        self.answer(status, json.dumps(value).encode(), close=close)

    def begin(self, status: int, kind: str, *fields: str) -> None:
        """Send the head of an answer whose body follows in ``chunk`` or is not HTTP."""
        self.write(self._head(status, kind, *fields, close=status != 101))

    def chunk(self, data: bytes) -> None:
        """Send a part of a chunked body; an empty one ends it. Raises Ended."""
        self.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _head(self, status: int, kind: str, *fields: str, close: bool) -> bytes:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Refused')}", *fields]
        if kind:
            lines.append(f"Content-Type: {kind}")
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n" + self._headers + "\r\n").encode()


def _fields(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if not field:
            raise bad("a header is not understood")
        name = field[1].lower()
        if name in headers and name in ("content-length", "host"):
            raise bad(f"{name} is given twice")
        headers[name] = field[2].rstrip(" \t")
    return headers


def _length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise Refusal(411, "LengthRequired", "send the body with Content-Length")
    given: Optional[str] = headers.get("content-length")  # noqa: UP045
    if given is None:
        return 0
    if not given.isdigit() or len(given) > 15:
        raise bad("content-length is not a number")
    return int(given)
