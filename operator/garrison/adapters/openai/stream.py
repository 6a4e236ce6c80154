"""A streamed completion, timed: server-sent events as OpenAI-compatible servers send them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 4 << 20
MAX_LINE = 1 << 18
_DATA = b"data:"
_DONE = b"[DONE]"


class StreamError(Exception):
    """The stream is not what a server of this API sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One event's JSON and when its bytes came, in seconds of the event loop's clock."""

    at: float
    event: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Reception:
    """What has come so far. ``tokens`` is the server's own count, None when it sends none."""

    first: float | None = None
    last: float | None = None
    chunks: int = 0
    tokens: int | None = None

    def take(self, arrival: Arrival) -> None:
        """Count one event. Raises StreamError when the server reports an error in it."""
        if arrival.event.get("error"):
            raise StreamError(f"the server reports {str(arrival.event['error'])[:200]}")
        if _text(arrival.event):
            self.first = arrival.at if self.first is None else self.first
            self.last = arrival.at
            self.chunks += 1
        reported = _reported(arrival.event)
        self.tokens = self.tokens if reported is None else reported


async def arrivals(pieces: AsyncIterator[tuple[float, bytes]]) -> AsyncIterator[Arrival]:
    """Yield the events in timed pieces of a body, up to ``[DONE]`` or the end.

    Raises StreamError for anything but JSON objects, and beyond the bounds on lines and bytes.
    """
    buffered = b""
    total = 0
    async for at, piece in pieces:
        total += len(piece)
        *lines, buffered = (buffered + piece).split(b"\n")
        if total > MAX_BYTES or len(buffered) > MAX_LINE:
            raise StreamError(f"the stream exceeds {MAX_BYTES} bytes, or {MAX_LINE} in a line")
        for line in lines:
            data = _data(line)
            if data == _DONE:
                return
            if data:
                yield Arrival(at=at, event=_event(data))


def _data(line: bytes) -> bytes:
    return line[len(_DATA) :].strip() if line.startswith(_DATA) else b""


def _event(data: bytes) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StreamError(f"an event is not JSON: {error}") from error
    if not isinstance(event, dict):
        raise StreamError("an event is not a JSON object")
    return event


def _text(event: dict[str, Any]) -> str:
    """Return the generated text in an event: of a chat's delta, or of a completion."""
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return ""
    delta = choices[0].get("delta")
    holder = delta if isinstance(delta, dict) else choices[0]
    found = (holder.get(name) for name in ("content", "text", "reasoning_content", "reasoning"))
    return next((each for each in found if isinstance(each, str) and each), "")


def _reported(event: dict[str, Any]) -> int | None:
    usage = event.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else None
