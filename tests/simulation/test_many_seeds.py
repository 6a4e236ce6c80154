"""Seeds beyond those of every day: as many as fit into six minutes, two thousand at most."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.progress import say
from tests.simulation.test_seeds import ENOUGH, broken, quietly

SECONDS = 360.0
BATCH = 50
LAST = 2300


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 240)
def test_seeds_beyond_those_of_every_day_hold() -> None:
    """Never ends early for want of time but after a whole batch; prints how far it came."""
    context = multiprocessing.get_context("spawn")
    began = time.monotonic()
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=context) as pool:
        for first in range(ENOUGH, LAST, BATCH):
            assert broken(pool.map(quietly, range(first, first + BATCH))) == []
            spent = time.monotonic() - began
            say(f"seeds {ENOUGH} to {first + BATCH - 1} hold, {spent:.0f} s")
            if spent > SECONDS:
                break
