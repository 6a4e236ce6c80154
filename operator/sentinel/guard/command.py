"""The commands ``guard`` and ``probe``."""

from __future__ import annotations

from collections.abc import Sequence


def guard(argv: Sequence[str]) -> int:
    """Run a command under an egress policy; returns its exit code."""
    raise NotImplementedError(argv)


def probe(argv: Sequence[str]) -> int:
    """Print what this machine can enforce, as JSON."""
    raise NotImplementedError(argv)
