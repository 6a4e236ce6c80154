"""Three hundred seeds hold every promise, and between them reach everything that can be reached."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

import pytest

from tests.simulation.coverage import LATER, operations, union
from tests.simulation.run import Story, run_seed

SEEDS = int(os.environ.get("GARRISON_SIMULATION_SEEDS", "300"))
ENOUGH = 300
"""seeds after which everything must have been reached"""


DEATHS = 2
"""how many seeds, at least, have an operator that dies of an operation, if so many call it in the chaos"""


def quietly(seed: int, last: str | None = None) -> Story:
    """Run a seed in a process of its own."""
    logging.disable(logging.CRITICAL)
    return run_seed(seed, last=last)


def broken(stories: Iterable[Story]) -> list[str]:
    """Return a line for each seed that broke a promise, with what shows it again."""
    return [
        f"seed {each.name}: {'; '.join(each.broken[:3])} (make simulate SEEDS={each.name} VERBOSE=1)"
        for each in stories
        if each.broken
    ]


def outlived(stories: Sequence[Story]) -> Iterator[tuple[int, str]]:
    """Yield seeds in which everybody outlived an operation that operators die of in too few others.

    A seed says by itself what is seldom called: no chance has to meet another.
    """
    for name in sorted(operations() - LATER):
        died = [each for each in stories if name in each.reached.crashed_after]
        lived = (
            (each.seed, name)
            for each in stories
            if name in each.reached.chaos - each.reached.crashed_after
        )
        yield from islice(lived, max(0, DEATHS - len(died)))


@pytest.mark.timeout(1500)
def test_every_seed_holds_and_everything_is_reached() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=context) as pool:
        stories = list(pool.map(quietly, range(SEEDS), chunksize=5))
        again = list(outlived(stories))
        deaths = list(pool.map(quietly, *zip(*again, strict=True))) if again else []
    assert [each.name for each in deaths if each.last not in each.reached.crashed_after] == []
    stories += deaths
    complaints = broken(stories)
    assert not complaints, "\n".join(complaints)
    if len(stories) >= ENOUGH:
        assert union(each.reached for each in stories).missing() == {}


@pytest.mark.parametrize("seed", [3, 8])
def test_a_seed_is_the_same_every_time(seed: int) -> None:
    tales: list[list[str]] = []
    for _ in range(2):
        lines: list[str] = []
        run_seed(seed, lines.append)
        tales.append(lines)
    assert tales[0] == tales[1]
    assert len(tales[0]) > 20
