"""Hashes against a reference: what is drift, what is only noticed, and when to look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.core.integrity import (
    MAX_DRIFTED,
    MAX_UNEXPLAINED,
    UNREADABLE,
    Baseline,
    Finding,
    extended,
    is_due,
    jitter_of,
    judge,
    known_readable,
    learned,
    printable,
)
from garrison.ports.sentinel import Evidence, ProcessEvidence
from tests.builders import NOW

AGENT = "d" * 64
ONE, TWO = "1" * 64, "2" * 64
FILES = {"/app/a.py": ONE, "/usr/bin/python3": ONE, "/usr/lib/libc.so.6": ONE}
IMAGE = Baseline(files=FILES, named=frozenset({"/app/a.py"}), complete=True)
INIT = ProcessEvidence(pid=1, parent=0, uid=0, executable="/usr/bin/python3")
GOOD = Evidence(
    instance="one",
    sentinel=AGENT,
    files={"/app/a.py": ONE},
    executables={"/usr/bin/python3": ONE},
    libraries={"/usr/lib/libc.so.6": ONE},
    processes=(INIT,),
)


def process(pid: int, executable: str, parent: int = 1) -> ProcessEvidence:
    return ProcessEvidence(pid=pid, parent=parent, uid=7, executable=executable, name="x")


def found(baseline: Baseline = IMAGE, **changed: Any) -> Finding:
    evidence = replace(GOOD, **changed)
    return judge(baseline, evidence, ("/app/**",), sentinel=AGENT, stage="Running", now=NOW)


def test_what_is_as_it_should_be() -> None:
    assert found().state == "Verified"
    assert (found().drifted, found().unexplained, found().truncated) == ((), (), False)


@pytest.mark.parametrize(
    ("changed", "drifted"),
    [
        ({"files": {"/app/a.py": TWO}}, "/app/a.py"),
        ({"files": {"/app/a.py": ONE, "/app/b.py": ONE}}, "/app/b.py (added)"),
        ({"files": {"/app/a.py": ONE, "/app/b.py": UNREADABLE}}, "/app/b.py (added)"),
        ({"files": {}}, "/app/a.py (missing)"),
        ({"executables": {"/usr/bin/python3": TWO}}, "/usr/bin/python3"),
        ({"libraries": {"/usr/lib/libc.so.6": TWO}}, "/usr/lib/libc.so.6"),
        ({"executables": {"/tmp/miner": ONE}}, "/tmp/miner (not in the image)"),
        (
            {"executables": {"/usr/bin/python3 (deleted)": ONE}},
            "/usr/bin/python3 (deleted) (not in the image)",
        ),
        ({"executables": {"/tmp/nvidia-smi": ONE}}, "/tmp/nvidia-smi (not in the image)"),
        ({"sentinel": "e" * 64}, "the sentinel itself"),
    ],
)
def test_drift(changed: dict[str, Any], drifted: str) -> None:
    assert (found(**changed).state, found(**changed).drifted) == ("Drifted", (drifted,))


@pytest.mark.parametrize(
    "changed",
    [
        {"files": {"/app/a.py": ONE, "/etc/hosts": TWO}},
        {"files": {"/app/a.py": UNREADABLE}},
        {"files": {}, "truncated": True},
        {"executables": {"/usr/bin/nvidia-smi": ONE}},
        {"libraries": {"/usr/lib/x86_64-linux-gnu/libcuda.so.550.54": ONE}},
        {"libraries": {"/root/.triton/cache/k.so": ONE}},
        {"processes": (INIT, process(9, "/usr/bin/python3", parent=0))},
    ],
)
def test_what_is_no_drift(changed: dict[str, Any]) -> None:
    assert found(**changed).state == "Verified"


@pytest.mark.parametrize(
    ("changed", "unexplained"),
    [
        ({"libraries": {"/root/.triton/cache/k.so": ONE}}, ("/root/.triton/cache/k.so",)),
        ({"processes": (process(9, "/tmp/miner"),)}, ("/tmp/miner (uid 7)",)),
        ({"processes": (process(9, ""),)}, ("x (uid 7)",)),
        (
            {"processes": (INIT, process(9, "/usr/bin/python3", parent=0))},
            ("/usr/bin/python3 (entered from outside)",),
        ),
    ],
)
def test_what_is_noticed(changed: dict[str, Any], unexplained: tuple[str, ...]) -> None:
    assert found(**changed).unexplained == unexplained


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("files", "/app/a.py"),
        ("executables", "/usr/bin/python3"),
        ("libraries", "/usr/lib/libc.so.6"),
    ],
)
def test_what_hides_itself_is_drift_and_what_nobody_could_ever_read_is_none(
    kind: str, path: str
) -> None:
    hidden: dict[str, Any] = {kind: {path: UNREADABLE}}
    dark = replace(GOOD, **hidden)

    def after(first: Evidence, then: Evidence) -> Finding:
        readable = known_readable(IMAGE, first)
        return judge(IMAGE, then, (), sentinel=AGENT, stage="Running", now=NOW, readable=readable)

    assert after(GOOD, dark).drifted == (f"{path} (not readable any more)",)
    assert after(dark, dark).state == "Verified"
    assert after(GOOD, replace(dark, truncated=True)).state == "Verified"


def test_what_could_not_be_judged_is_said() -> None:
    assert found(files={"/app/a.py": UNREADABLE}).truncated
    assert found(missing=("/aap/**",)).message == "no file matches /aap/**"


def test_lists_are_bounded_and_say_so() -> None:
    many = {f"/app/{number}": ONE for number in range(100)}
    libraries = {f"/tmp/{number}.so": ONE for number in range(100)}
    finding = found(files=many, libraries=libraries)
    assert (len(finding.drifted), len(finding.unexplained)) == (MAX_DRIFTED, MAX_UNEXPLAINED)
    assert finding.truncated


def test_after_a_first_look_a_new_program_is_noticed_and_an_other_one_is_drift() -> None:
    first = learned(replace(GOOD, executables={}, libraries={}))
    assert found(first).state == "Verified"
    ran = extended(first, GOOD)
    assert found(ran).unexplained == ()
    new = found(ran, executables={"/tmp/x": ONE}, processes=(process(9, "/tmp/x"),))
    assert (new.state, new.unexplained) == ("Verified", ("/tmp/x (uid 7)",))
    assert found(ran, executables={"/usr/bin/python3": TWO}).state == "Drifted"
    assert found(ran, files={"/app/a.py": TWO}).drifted == ("/app/a.py",)


@given(st.dictionaries(st.text(), st.sampled_from([ONE, TWO, UNREADABLE]), max_size=30))
def test_a_hostile_answer_stays_printable_and_bounded(files: dict[str, str]) -> None:
    finding = found(files=files, executables=files, libraries=files)
    for each in (*finding.drifted, *finding.unexplained):
        assert len(each) <= 253
        assert each.isprintable()


@given(st.text(st.characters(exclude_categories=())))
def test_paths_that_are_no_text_can_still_be_written(text: str) -> None:
    assert len(printable(text)) <= 253
    assert printable(text).encode("utf-8").decode() == printable(text)


@given(every=st.integers(60, 86_400), uid=st.text(max_size=36), waited=st.floats(0.0, 200_000.0))
def test_never_later_than_one_period_and_not_before_nine_tenths(
    every: int, uid: str, waited: float
) -> None:
    due = is_due(NOW - timedelta(seconds=waited), every, jitter_of(uid), NOW)
    assert due or waited < every
    assert not due or waited > every * 0.9 - 0.001


def test_the_first_look_is_due_at_once() -> None:
    assert is_due(None, 300, 0.5, NOW)
