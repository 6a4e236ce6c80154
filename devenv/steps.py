"""One line per step that takes time: what, why, how long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Print one line at once, beside the program's own output."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def step(what: str, why: str, say: Say = to_stderr) -> Iterator[None]:
    """Announce a step and its reason, then how long it took or that it failed."""
    say(f"{what}: {why}")
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"{what}: failed after {time.monotonic() - start:.1f} s")
        raise
    say(f"{what}: done in {time.monotonic() - start:.1f} s")
