"""Patterns of files: a table, a slow reading of the same words, and no pattern that takes long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.glob import matcher


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/usr/bin/python3*", "/usr/bin/python3.11", True),
        ("/usr/bin/python3*", "/usr/bin/python3/x", False),
        ("/app/**", "/app/a/b.py", True),
        ("/app/**", "/app", False),
        ("/app/**/x.py", "/app/x.py", True),
        ("/app/**/x.py", "/app/a/b/x.py", True),
        ("/**/*.so", "/a/b.so", True),
        ("/a?c", "/abc", True),
        ("/a?c", "/a/c", False),
        ("/a.c", "/abc", False),
        ("/**", "/proc/1/exe", False),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    assert matcher([pattern])(path) is fits


def slowly(pattern: str) -> re.Pattern[str]:
    """The whole pattern as one expression, as the agent reads it."""
    out = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part)
        out += re.escape(part) if wild is None else wild
    return re.compile(out, re.DOTALL)


SEGMENT = st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=4))


@given(
    segments=st.lists(SEGMENT, min_size=1, max_size=5).filter(
        lambda found: not any("**" in each and each != "**" for each in found)
    ),
    names=st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=6),
)
def test_both_sides_read_a_pattern_alike(segments: list[str], names: list[str]) -> None:
    pattern, path = "/" + "/".join(segments), "/" + "/".join(names)
    assert matcher([pattern])(path) is (slowly(pattern).fullmatch(path) is not None)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("pattern", ["/" + "*a" * 100 + "b", "/" + "**/a/" * 50 + "b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    assert not matcher([pattern])("/" + "a" * 250)
    assert not matcher([pattern])("/" + "/".join("a" * 250))
