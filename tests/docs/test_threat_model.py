"""Every row of the threat model says how it ends, and names a test that exists."""

from __future__ import annotations

import re

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


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row[0])
def test_the_test_exists(row: list[str]) -> None:
    path, _, name = row[2].strip("`").partition("::")
    assert name.startswith("test_"), "a whole file shows no row"
    text = (ROOT / path).read_text()
    assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), row[2]
