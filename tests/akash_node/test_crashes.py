"""Operators die after any call of a lease's life: nothing is lost, doubled or orphaned, spend is exact."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count

import pytest

from tests import progress
from tests.akash_node.lifetime import Life, live
from tests.akash_node.mortality import Death
from tests.safeguards import without_intent

FEW, MANY = 10, 200
WRITES = (
    "MsgCreateDeployment",
    "MsgCreateLease",
    "MsgAccountDeposit",
    "MsgCloseDeployment",
    "MsgMintACT",
    "/deployment/*/manifest",
)
"""Words in the names of the calls that change the market; one transaction may carry several."""
MOMENTS = {"before": 0, "midway": 8, "answered": None}
"""turns of the event loop after the call began"""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.getLogger("garrison").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("garrison").setLevel(logging.NOTSET)


def quietly(seed: int) -> Life:
    """Live in a process of its own."""
    logging.disable(logging.CRITICAL)
    return live(seed)


def written(life: Life) -> dict[str, int]:
    """Return how often each write was asked for."""
    return {
        word: sum(count for name, count in life.calls.items() if word in name.split())
        for word in WRITES
    }


def told(life: Life) -> str:
    """Return what broke, and what shows it again."""
    return (
        f"seed {life.seed}: {'; '.join(life.broken)}; died at {', '.join(life.died_at)} "
        f"(from tests.akash_node.lifetime import live; live({life.seed}))"
    )


def test_nobody_dies_and_every_write_is_made_once() -> None:
    life = live(0, deaths=())
    assert life.broken == ()
    assert life.died_at == ()
    assert life.books is not None
    assert (len(life.books.markers), life.books.mints) == (1, 1)
    assert written(life) == dict.fromkeys(WRITES, 1)


@pytest.mark.timeout(300)
def test_a_few_lives_hold_every_promise() -> None:
    lives = [live(seed) for seed in range(FEW)]
    assert [told(each) for each in lives if each.broken] == []
    assert sum(len(each.died_at) for each in lives) >= FEW


@pytest.mark.timeout(300)
def test_without_an_intent_some_life_pays_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The create goes out from a granted lease, under a number that nobody recorded."""
    without_intent(monkeypatch)
    assert live(0, deaths=()).broken == (), "it is only found out when somebody dies"
    life = live(0, deaths=[Death(after=1, writing=True), Death(after=1, writing=True)])
    assert "MsgCreateDeployment" in " ".join(life.died_at)
    assert any("serve" in each or "more than one" in each for each in life.broken)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_death_at_every_write_breaks_nothing(moment: str) -> None:
    died_at: set[str] = set()
    for number in count(1):
        life = live(number, deaths=[Death(after=number, writing=True, turns=MOMENTS[moment])])
        assert not life.broken, told(life)
        if not life.died_at:
            break
        progress.say(f"{moment}: {life.died_at[0]}")
        died_at.update(life.died_at[0].split())
    assert set(WRITES) <= died_at


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_lives_hold_every_promise_and_die_everywhere() -> None:
    context = multiprocessing.get_context("spawn")
    lives: list[Life] = []
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=context) as pool:
        for life in pool.map(quietly, range(FEW, FEW + MANY), chunksize=5):
            lives.append(life)
            if len(lives) % 20 == 0:
                deaths = sum(len(each.died_at) for each in lives)
                progress.say(f"{len(lives)} of {MANY} lives, {deaths} deaths")
    assert [told(each) for each in lives if each.broken] == []
    died_at = {word for each in lives for name in each.died_at for word in name.split()}
    assert set(WRITES) <= died_at
