"""The machine's own clock and randomness, and what it may write of this process."""

from __future__ import annotations

import ctypes
import secrets
import sys
from datetime import UTC, datetime

_PR_SET_DUMPABLE = 4  # linux/prctl.h


class SystemClock:
    """The wall clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SystemChance:
    """Randomness of the operating system."""

    def fraction(self) -> float:
        return secrets.randbits(53) / (1 << 53)

    def token(self) -> str:
        return secrets.token_hex(16)


def forbid_core_dumps() -> None:
    """Let nobody but root write this process's memory to a file: it holds keys.

    Other operating systems than Linux get the ordinary limit only, and Windows writes none unasked.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # The limit does not hold where the kernel hands dumps to a program, as on most desktops.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
