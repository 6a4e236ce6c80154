"""What strangers print cannot rule a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.cli.terminal import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext é 模", "plain\ttext é 模"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("\x1b[2J\x1b[1;1H", "\ufffd[2J\ufffd[1;1H"),
        ("a\rb\x08\x9b2J", "a\ufffdb\ufffd\ufffd2J"),
    ],
)
def test_colours_pass_and_nothing_else(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text(st.characters(max_codepoint=0xFF)))
def test_no_control_character_passes(text: str) -> None:
    left = harmless(text)
    assert not [each for each in left if not each.isprintable() and each not in "\t\x1b"]
    assert left.count("\x1b") <= text.count("\x1b")
