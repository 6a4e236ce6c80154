"""What a machine that lies may write into an answer: bounded, printable, never more than enforced."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.adapters.sentinel.answers import egress_view, evidence_of, view_of
from garrison.errors import UnavailableError
from garrison.ports.sentinel import EgressView, View

SEEN: dict[str, Any] = {
    "destination": "hub.example",
    "address": "203.0.113.9",
    "port": 443,
    "protocol": "tcp",
    "process": "/usr/bin/curl",
    "count": 2,
    "lastSeen": "2026-11-26T12:00:00Z",
    "mining": None,
}
LEVEL: dict[str, Any] = {
    "level": "Enforced",
    "rung": "strict",
    "mode": "Enforce",
    "leaks": [],
    "selfTest": "passed",
}
ANSWER: dict[str, Any] = {
    "instance": "a" * 32,
    "state": "Running",
    "egress": {"version": 3, "level": LEVEL},
    "denied": [SEEN],
    "observed": [],
    "deniedTotal": 2,
    "secrets": {"hub": 1},
    "entered": ["/bin/sh"],
}


def seen(**changes: Any) -> View:
    return view_of({**ANSWER, **changes}, digest="d" * 64, key=None)


def guard(level: Mapping[str, Any], **changes: Any) -> EgressView:
    found = seen(egress={"version": 3, "level": {**LEVEL, **level}}, **changes).egress
    assert found is not None
    return found


def test_what_was_denied_is_taken() -> None:
    (denied,) = guard({}).denied
    assert (denied.destination, denied.address, denied.count) == ("hub.example", "203.0.113.9", 2)
    assert seen().entered == ("/bin/sh",)
    assert guard({"limits": ["no UDP"]}).limits == ("no UDP",)


def test_of_an_audit_what_it_would_deny_is_taken() -> None:
    would = {**SEEN, "destination": "other.example"}
    found = guard({"mode": "Audit", "level": "DeclaredOnly"}, denied=[], observed=[would])
    assert [each.destination for each in found.denied] == ["other.example"]


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ({}, "Enforced"),
        ({"mode": "Audit"}, "DeclaredOnly"),
        ({"selfTest": "failed: it connected"}, "BestEffort"),
        ({"level": "BestEffort"}, "BestEffort"),
    ],
)
def test_no_more_is_believed_than_fits_together(level: dict[str, Any], shown: str) -> None:
    assert guard(level).level == shown
    assert egress_view({"version": 3, "level": {**LEVEL, **level}}).level == shown


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"instance": "short"}, "instance"),
        ({"state": "Trusted"}, "state"),
        ({"denied": [SEEN] * 201}, "denied"),
        ({"observed": [SEEN] * 201}, "observed"),
        ({"denied": [{**SEEN, "port": 65536}]}, "denied.0.port"),
        ({"denied": [{**SEEN, "count": -1}]}, "denied.0.count"),
        ({"denied": [{**SEEN, "destination": "x" * 1025}]}, "denied.0.destination"),
        ({"denied": [{**SEEN, "lastSeen": "2026-11-26T12:00:00"}]}, "denied.0.lastSeen"),
        ({"deniedTotal": 2**60}, "deniedTotal"),
        ({"entered": ["sh"] * 21}, "entered"),
        ({"egress": {"version": 1, "level": {**LEVEL, "level": "Perfect"}}}, "egress.level.level"),
    ],
)
def test_nonsense_is_refused_by_name(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(UnavailableError, match=f"makes no sense at {where}"):
        seen(**changes)


def test_nothing_in_it_moves_a_cursor() -> None:
    evil = "\x1b[2J\x1b]0;ok\x07hub\n.example\u202e"
    found = guard({"rung": evil, "leaks": [evil]}, denied=[{**SEEN, "destination": evil}])
    texts = [found.rung, *found.leaks, found.denied[0].destination]
    texts += seen(entered=[evil], sealedBecause=evil).entered
    texts.append(seen(sealedBecause=evil).sealed_because)
    assert all(each.isprintable() for each in texts)
    assert "hub?.example" in texts[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ANSWER, *LEVEL, *SEEN]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(ANSWER)), JSON, max_size=4))
def test_any_answer_is_a_view_or_is_refused(changes: dict[str, Any]) -> None:
    for read in (
        lambda body: view_of(body, digest="", key=None),
        egress_view,
        lambda body: evidence_of(body, instance="a" * 32),
    ):
        with contextlib.suppress(UnavailableError):
            read({**ANSWER, **changes})
