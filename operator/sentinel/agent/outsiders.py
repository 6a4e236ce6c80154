"""Who entered the container from outside: beside the guard, as a shell through a provider's gateway is.

Such a program is remembered as long as this instance lives: what it leaves behind is not under the guard
either.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Dict, List  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.agent import processes

_SHOWN, _TEXT = 10, 200


class Outsiders:
    """Looks at intervals: a program that is gone within seconds may be missed."""

    def __init__(self) -> None:
        self._names: Dict[str, None] = {}  # noqa: UP006 -- in the order in which they came

    def look(self) -> List[str]:  # noqa: UP006
        """Return the programs that were seen so far, each once, the first ten."""
        if os.getpid() == 1:
            for pid in sorted(processes.entered(processes.snapshot())):
                if len(self._names) < _SHOWN:
                    self._names[_name(pid)] = None
        return list(self._names)


def _name(pid: int) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe")[:_TEXT]
    with suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()[:_TEXT]
    return "a process"
