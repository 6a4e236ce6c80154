"""The command ``run``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

EX_UNAVAILABLE = 69


def run(argv: Sequence[str]) -> int:
    """Hold a rented container; returns the exit code of the workload."""
    sys.stderr.write(f"sentinel: 'run {' '.join(argv)}' is not there yet; use guard or probe\n")
    return EX_UNAVAILABLE
