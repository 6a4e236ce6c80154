"""The patterns that name files: absolute, ``*`` and ``?`` within a name, ``**`` for any folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

SKIPPED = ("/proc/", "/sys/", "/dev/")
"""What a machine makes up by itself; patterns never reach there."""


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return whether a path matches one of the patterns. Linear in the path for each of them."""
    wanted = [_segments(each) for each in patterns]

    def matches(path: str) -> bool:
        if not wanted or path.startswith(SKIPPED):
            return False
        names = path.split("/")[1:]
        return any(_fits(pattern, names) for pattern in wanted)

    return matches


def _segments(pattern: str) -> Sequence[re.Pattern[str] | None]:
    """One expression for each name; None stands for any number of folders."""
    names = pattern.split("/")[1:]
    if names[-1] == "**":
        names.append("*")
    return [None if each == "**" else _name(each) for each in names]


def _name(segment: str) -> re.Pattern[str]:
    """Possessive parts between stars: the first place where a part fits is as good as any."""
    first, *parts = [
        "".join("." if each == "?" else re.escape(each) for each in part)
        for part in segment.split("*")
    ]
    if not parts:
        return re.compile(first, re.DOTALL)
    *inner, last = parts
    middle = "".join(f"(?>.*?{each})" for each in inner if each)
    return re.compile(f"{first}{middle}.*{last}", re.DOTALL)


def _fits(pattern: Sequence[re.Pattern[str] | None], names: Sequence[str]) -> bool:
    """Go back to the newest ``**`` only: an earlier one cannot fit where that one does not."""
    at = name = mark = 0
    star = -1
    while name < len(names):
        if at < len(pattern) and pattern[at] is None:
            star, mark, at = at, name, at + 1
            continue
        expression = pattern[at] if at < len(pattern) else None
        if expression is not None and expression.fullmatch(names[name]):
            at, name = at + 1, name + 1
            continue
        if star < 0:
            return False
        mark += 1
        at, name = star + 1, mark
    return at == len(pattern)
