"""``WWW-Authenticate``: how a registry wants to be spoken to (RFC 9110 section 11.6.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PART = re.compile(
    r"\s*,?\s*(?:"
    r'(?P<key>[A-Za-z0-9_-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
    r"|(?P<scheme>[A-Za-z0-9_-]+)(?=\s|,|$))"
)
MAX_HEADER = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One scheme, in lower case, and its parameters; absent ones are ""."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenges(headers: Sequence[str]) -> tuple[Challenge, ...]:
    """Return the challenges in all the header's lines; what cannot be read ends its line."""
    return tuple(challenge for header in headers for challenge in _challenges(header))


def _challenges(header: str) -> list[Challenge]:
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while len(header) <= MAX_HEADER and (match := _PART.match(header, position)):
        position = match.end()
        if match["scheme"] is not None:
            found.append((match["scheme"].lower(), {}))
        elif found:
            found[-1][1][match["key"].lower()] = _value(match)
    return [
        Challenge(
            scheme=scheme,
            realm=parameters.get("realm", ""),
            service=parameters.get("service", ""),
            scope=parameters.get("scope", ""),
        )
        for scheme, parameters in found
    ]


def _value(match: re.Match[str]) -> str:
    if match["plain"] is not None:
        return match["plain"]
    return re.sub(r"\\(.)", r"\1", match["quoted"])
