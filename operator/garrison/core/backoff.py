"""How long to wait before the next try."""

from __future__ import annotations


def delay(failures: int, fraction: float, *, base: float = 1.0, cap: float = 300.0) -> float:
    """Return seconds to wait after ``failures`` failures in a row: exponential with full jitter.

    ``fraction`` in [0, 1) is the randomness. At least ``base / 2``, so that a storm cannot spin.
    """
    ceiling = min(cap, base * 2.0 ** min(failures, 30))
    return max(base / 2, ceiling * fraction)


def growing(count: int, *, base: float, cap: float) -> float:
    """Return the ``count``-th pause of a series that doubles from ``base`` up to ``cap`` seconds."""
    return 0.0 if count <= 0 else min(cap, base * 2.0 ** min(count - 1, 30))
