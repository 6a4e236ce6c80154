"""Every reason that a person may read is met by a test: a new one without a case fails here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from devenv.checkout import ROOT
from tests.docs.expectations import expected_words
from tests.docs.reasons import GARRISON, reasons, reasons_in
from tests.docs.test_reasons import PASSING
from tests.e2e.refusals import ELSEWHERE, REFUSALS, UNREADABLE_SECRET

TESTS = ROOT / "tests"
REFUSING = (
    GARRISON / "core" / "acceptance.py",
    GARRISON / "core" / "hindrance.py",
    GARRISON / "core" / "budget.py",
    GARRISON / "controllers" / "images.py",
)
"""Where the reasons are decided that keep a workload from being accepted or served."""


def texts(path: Path) -> set[str]:
    """Return the string constants of a module."""
    found = ast.walk(ast.parse(path.read_text()))
    return {
        each.value
        for each in found
        if isinstance(each, ast.Constant)
        if isinstance(each.value, str)
    }


def test_every_reason_is_expected_by_some_test() -> None:
    files = [path for path in TESTS.rglob("*.py") if not path.is_relative_to(TESTS / "docs")]
    assert sorted(reasons() - PASSING - expected_words(files)) == []


def test_every_refusal_of_a_workload_is_driven_with_kubectl_or_named_with_its_test() -> None:
    driven = {each.reason for each in (*REFUSALS, UNREADABLE_SECRET)}
    decided = set().union(*(reasons_in(path) for path in REFUSING))
    assert sorted(decided - driven - ELSEWHERE.keys()) == []
    assert sorted(ELSEWHERE.keys() & driven) == []


@pytest.mark.parametrize("reason", ELSEWHERE)
def test_a_reason_that_is_driven_elsewhere_stands_there(reason: str) -> None:
    path = ROOT / ELSEWHERE[reason].rpartition(" ")[2]
    assert reason in texts(path)


def test_no_two_refusals_share_a_name() -> None:
    names = [each.name for each in REFUSALS]
    assert len(set(names)) == len(names)
