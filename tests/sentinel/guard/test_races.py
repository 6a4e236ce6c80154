"""Memory and descriptors that change while the guard decides: still nothing leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sentinel.guard.conftest import NOBODY, Runner
from tests.sentinel.guard.netns import ALLOWED, FORBIDDEN, Wire
from tests.sentinel.guard.rungs import NOTIFYING, WEAKER, options

PORT = 9
"""Nobody listens there, so a packet that leaves is answered at once and followed by no other."""
POLICY = {"allow": [{"cidr": f"{ALLOWED}/32", "ports": [PORT]}]}
VARIANTS = [(rung.name, options(rung.name)) for rung in NOTIFYING] + WEAKER
QUICK = [each for each in VARIANTS if each[0] in ("strict", "emulated-tcp", "addfd-tcp")]
FEW, MANY, ROUNDS = 1000, 20000, 40
KINDS = ("flip", "swap")


def race(program: Path, kind: str, tries: int) -> list[str]:
    return [str(program), kind, str(tries), FORBIDDEN, str(PORT), ALLOWED]


@pytest.mark.parametrize("kind", KINDS)
def test_unguarded_the_race_is_won(kind: str, clean: Wire, compiled: Callable[[str], Path]) -> None:
    rounds = 0
    while not clean.forbidden({PORT}) and rounds < ROUNDS:
        clean.run(race(compiled("races"), kind, MANY))
        rounds += 1
    assert clean.forbidden({PORT})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "options"), QUICK, ids=[name for name, _ in QUICK])
def test_guarded_it_is_lost(
    name: str,
    options: tuple[str, ...],
    *,
    kind: str,
    clean: Wire,
    guarded: Runner,
    compiled: Callable[[str], Path],
) -> None:
    program = race(compiled("races"), kind, FEW)
    done = guarded(*program, policy=POLICY, options=options, on=clean)
    assert done.start["rung"] == options[1], name
    assert done.code == 0, done.errors
    assert clean.forbidden({PORT}) == []


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=[name for name, _ in VARIANTS])
def test_guarded_it_is_lost_every_time(
    name: str,
    options: tuple[str, ...],
    *,
    kind: str,
    user: int,
    clean: Wire,
    guarded: Runner,
    compiled: Callable[[str], Path],
) -> None:
    program = race(compiled("races"), kind, MANY)
    done = guarded(*program, policy=POLICY, options=options, on=clean, user=user, seconds=280)
    assert done.start["rung"] == options[1], name
    assert done.code == 0, done.errors
    assert clean.forbidden({PORT}) == []
