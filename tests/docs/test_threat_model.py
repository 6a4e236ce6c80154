"""Every row of the threat model says how it ends, and names a test that is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from devenv.checkout import ROOT
from tests.docs.document import document

OUTCOMES = ("stopped", "noticed", "not stopped")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in document("docs/threat-model.md").prose.splitlines()
    if line.startswith("|") and not line.startswith("|---")
]
ATTACKS = [row for row in ROWS if row[-1] != "Shown by"]


def test_every_attacker_has_rows() -> None:
    assert len(ROWS) - len(ATTACKS) == 5
    assert len(ATTACKS) > len(ROWS) - len(ATTACKS)


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row[0])
def test_the_outcome_is_stated(row: list[str]) -> None:
    assert len(row) == 3
    assert row[1].startswith(OUTCOMES)


@pytest.fixture(scope="module")
def collected() -> dict[str, bool]:
    """What pytest collects of the rows' tests, by name, and whether it is ever run."""
    command = [
        sys.executable,
        "-m",
        "tests.docs.collecting",
        *sorted({_shown(each) for each in ATTACKS}),
    ]
    env = {name: each for name, each in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, bool] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row[0])
def test_the_row_s_test_is_collected_and_run(row: list[str], collected: dict[str, bool]) -> None:
    assert _shown(row).rpartition("::")[2].startswith("test_"), "a whole file shows no row"
    assert collected.get(_shown(row)), row[2]


def _shown(row: list[str]) -> str:
    return row[2].strip("`")
