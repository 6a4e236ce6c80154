"""The Events of looks inside: one for each thing that is new."""

from __future__ import annotations

from dataclasses import replace

from garrison.api.lease import IntegrityStatus
from garrison.controllers.stories import lease_notes
from tests.builders import lease

GOOD = IntegrityStatus(reference="Image", state="Verified")
BAD = replace(GOOD, state="Drifted", drifted=("/app/a.py",))
STRANGE = replace(GOOD, unexplained=("/tmp/x (uid 0)",))


def told(before: IntegrityStatus | None, after: IntegrityStatus | None) -> list[tuple[str, str]]:
    of = lease("Ready", integrity=before, provider="p1")
    notes = lease_notes(of, replace(of.status, integrity=after))
    return [(each.reason, each.message) for each in notes]


def test_drift_is_told_once_with_its_paths_and_its_end_too() -> None:
    ((reason, message),) = told(GOOD, BAD)
    assert reason == "IntegrityDrift"
    assert "/app/a.py" in message
    assert told(BAD, replace(BAD, truncated=True)) == []
    ((reason, _),) = told(BAD, GOOD)
    assert reason == "IntegrityVerified"


def test_what_nothing_explains_is_told_once() -> None:
    ((reason, message),) = told(GOOD, STRANGE)
    assert reason == "Unexplained"
    assert "/tmp/x (uid 0)" in message
    assert told(STRANGE, replace(STRANGE, truncated=True)) == []


def test_a_first_look_that_finds_nothing_says_nothing() -> None:
    assert told(None, GOOD) == []
    assert told(GOOD, None) == []
