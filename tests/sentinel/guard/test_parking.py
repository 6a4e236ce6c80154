"""What a changed policy denies and cannot reach yet is named for as long as it lives."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from devenv.checkout import ROOT
from tests.sentinel.guard.conftest import PROGRAMS
from tests.sentinel.guard.netns import ALLOWED, Wire
from tests.sentinel.guard.rungs import options

PLACE = f"{ALLOWED}:80"


def drive(wire: Wire, name: str) -> dict[str, Any]:
    lost = ",".join(options(name)[3::2])
    argv = [sys.executable, str(PROGRAMS / "parking.py"), name, lost, ALLOWED]
    done = wire.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT / "operator")})
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["rung"], told["faults"]) == (name, [])
    return told


@pytest.mark.parametrize(
    "name",
    [
        *("strict", "emulated"),
        *(pytest.param(each, marks=pytest.mark.long) for each in ("strict-tcp", "emulated-tcp")),
    ],
)
def test_a_socket_that_was_parked_is_ended_once_it_is_taken_out(name: str, clean: Wire) -> None:
    told = drive(clean, name)
    assert (told["closed"], told["remaining"], told["parked"]) == (0, [PLACE], [PLACE])
    assert told["found"]
    assert told["answer"] in {"end", "BrokenPipeError", "ConnectionResetError"}
    (ended,) = told["ended"]
    assert (ended["closed"], ended["remaining"]) == (1, [])


@pytest.mark.parametrize("name", ["addfd-tcp", pytest.param("addfd", marks=pytest.mark.long)])
def test_where_the_guard_may_copy_nothing_it_is_named_until_the_workload_closes_it(
    name: str, clean: Wire
) -> None:
    told = drive(clean, name)
    assert (told["closed"], told["remaining"], told["parked"]) == (0, [PLACE], [PLACE])
    assert told["gone"]
    (ended,) = told["ended"]
    assert (ended["closed"], ended["remaining"]) == (0, [])
