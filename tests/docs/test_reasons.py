"""Troubleshooting lists every reason that can be met, and no other."""

from __future__ import annotations

from garrison.api.schema import crds
from tests.docs.document import document
from tests.docs.reasons import GARRISON, reasons

PASSING = {
    "Transient",
    "Conflict",
    "NotFound",
    "AlreadyExists",
    "OutcomeUnknown",
    "InternalError",
    "Warning",
}
"""Errors that are retried or looked up, and shown to nobody but the log."""

TROUBLESHOOTING = document("docs/troubleshooting.md")


def test_the_code_is_read_right() -> None:
    assert {"RevisionFailed", "TooManyLeases", "Unhealthy", "NobodyMatches", "Orphans"} <= reasons()


def test_every_reason_listed_exists() -> None:
    listed = TROUBLESHOOTING.cells("Reason")
    assert listed
    assert sorted(set(listed) - reasons()) == []


def test_every_reason_is_listed() -> None:
    assert sorted(reasons() - PASSING - set(TROUBLESHOOTING.inline_code)) == []


def test_no_reason_is_explained_twice() -> None:
    listed = TROUBLESHOOTING.cells("Reason")
    assert sorted({each for each in listed if listed.count(each) > 1}) == []


def test_every_failure_in_failover_exists() -> None:
    lines = document("docs/failover.md").prose.splitlines()
    rows = [each.split("|")[3].strip(" `") for each in lines if each.count("|") == 5]
    named = {each for each in rows if each.isalpha()}
    assert "LeaseClosed" in named
    assert named <= reasons()


def test_every_condition_exists() -> None:
    text = "".join(path.read_text() for path in sorted((GARRISON / "core").glob("*.py")))
    kinds = {each["spec"]["names"]["kind"] for each in crds()}
    for line in TROUBLESHOOTING.prose.splitlines():
        cells = [each.strip(" `") for each in line.split("|")]
        if len(cells) == 5 and cells[1] in kinds:
            assert f'"{cells[2]}"' in text or f'type="{cells[2]}"' in text, line
