"""A policy changes under a running workload, which gets company: the agent's way to use the guard."""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import Any

import pytest

from devenv.checkout import ROOT
from sentinel.guard.ladder import RELAY
from tests.sentinel.guard.conftest import PROGRAMS
from tests.sentinel.guard.netns import ALLOWED, NEIGHBOUR, SILENT, Wire
from tests.sentinel.guard.rungs import ENFORCED, options

TCP_CLOSE = "7"
NAMES = [*(rung.name for rung in ENFORCED if rung.connect != "none"), "addfd-dns"]


def drive(wire: Wire, name: str) -> dict[str, Any]:
    lost = ",".join(options(name)[3::2])
    argv = [sys.executable, str(PROGRAMS / "live.py"), name, lost, ALLOWED, NEIGHBOUR, SILENT]
    done = wire.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT / "operator")})
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("name", NAMES)
def test_a_new_policy_ends_what_it_denies(name: str, clean: Wire) -> None:
    told = drive(clean, name)
    first, second, again, other, waiting = told["answers"]
    assert first == "held", "an allowed connection goes on"
    assert other == "0"
    assert (told["closed"], told["remaining"]) == (1 if name == RELAY else 2, [])
    assert second in ("end", "BrokenPipeError", "ConnectionResetError")
    assert told["rung"] == name
    assert (told["short"] >= 2) == (name != RELAY), "the second connect, and the one under way"
    assert told["replacedRecord"]
    assert told["faults"] == []
    assert told["inward"] == "IN"
    assert told["executed"] == ["0", "0", 2 if name != RELAY else 0], "one program, then another"
    assert told["threads"] == ["MainThread"]
    assert told["late"] == str(errno.ECONNREFUSED if name == RELAY else errno.ENOSYS)
    if name != RELAY:  # there the connect succeeds and is reset, as the start record says
        assert waiting == TCP_CLOSE, "a connect under way is given up"
        assert again == told["shell"] == str(errno.EACCES)
