"""This side's terminal: raw while a remote one is shown, safe for what strangers print."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from garrison.ports.console import Size

CHUNK = 1 << 15
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def is_terminal() -> bool:
    """Return whether a person types here and sees what is printed."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def size() -> Size:
    """Return this terminal's size."""
    found = os.get_terminal_size(sys.stdout.fileno())
    return Size(rows=found.lines, columns=found.columns)


@contextlib.contextmanager
def raw() -> Iterator[None]:
    """Let every key through, Ctrl-C as well; put back as it was at the end."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setraw(number, termios.TCSADRAIN)  # keeps what was typed ahead
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


@contextlib.contextmanager
def resized(tell: Callable[[], None]) -> Iterator[None]:
    """Call ``tell`` whenever the window's size changes."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, tell)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


async def typed() -> AsyncIterator[bytes]:
    """Yield standard input as it comes; ends with it."""
    number = sys.stdin.fileno()
    while True:
        await _readable(number)
        data = os.read(number, CHUNK)
        if not data:
            return
        yield data


async def _readable(number: int) -> None:
    """Wait until a read would not block. Files never do, and cannot be waited for."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def tell() -> None:
        loop.remove_reader(number)
        if not ready.done():
            ready.set_result(None)

    try:
        loop.add_reader(number, tell)
    except PermissionError:
        return
    try:
        await ready
    finally:
        loop.remove_reader(number)


def harmless(text: str) -> str:
    """Return text without control characters but tabs and colours: others could rule a terminal."""
    parts: list[Any] = []
    end = 0
    for colour in _COLOURS.finditer(text):
        parts += [_printable(text[end : colour.start()]), colour[0]]
        end = colour.end()
    return "".join([*parts, _printable(text[end:])])


def _printable(text: str) -> str:
    return "".join(
        each if each.isprintable() or each == "\t" else "\N{REPLACEMENT CHARACTER}" for each in text
    )
