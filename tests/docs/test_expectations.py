"""Which words count as a reason that a test expects, and which do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.expectations import expected_words

COLUMN = """
@pytest.mark.parametrize(("given", "phase", "reason"), [("Given", "Phase", "Word")])
def test_it(given, phase, reason):
    found = step(given)
    assert (found.phase, found.reason) == (phase, reason)
"""
PARAM = """
CASES = [pytest.param(see("Given"), ("Word", "Blame"), id="a case")]

@pytest.mark.parametrize(("o", "expected"), CASES)
def test_it(o, expected):
    failure = step(o).failure
    assert (failure.reason, failure.blame) == expected
"""
FIELD = """
CASES = (Case(name="Given", reason="Word"),)

@pytest.mark.parametrize("case", CASES)
def test_it(case):
    assert condition(case.name) == case.reason
"""
HELPER = """
class Cluster:
    def says(self, type_, reason):
        def is_told():
            found = self.conditions()[0]
            return found["type"] == type_ and found["reason"] == reason
        assert is_told()

def test_it(cluster):
    cluster.says("Given", "Word")
"""
TABLE = """
def test_it(status):
    found = {each.type: each.reason for each in status.conditions}
    assert {"Given": "Word"}.items() <= found.items()
"""
INPUT = """
def test_it():
    found = step(LeaseFailure(reason="Given"))
    assert found.phase == "Phase"
    assert found.failure.message == "Message"
"""
IDLE = """
WORD = "Word"

def test_it(status):
    words = {"reason": "Word"}
    assert status.failure.reason == status.failure.blame
"""


@pytest.mark.parametrize("source", [COLUMN, PARAM, FIELD, HELPER, TABLE])
def test_a_word_that_is_compared_with_a_reason_counts(source: str, tmp_path: Path) -> None:
    found = words_of(source, tmp_path)
    assert "Word" in found
    assert not found & {"Given", "Phase"}


@pytest.mark.parametrize("source", [INPUT, IDLE])
def test_a_word_that_only_stands_there_does_not(source: str, tmp_path: Path) -> None:
    assert not words_of(source, tmp_path) & {"Word", "Given", "Phase", "Message"}


def words_of(source: str, folder: Path) -> frozenset[str]:
    path = folder / "test_it.py"
    path.write_text(source)
    return expected_words([path])
