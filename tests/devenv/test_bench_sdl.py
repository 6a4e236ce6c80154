"""What the SDL benchmark makes of the Go reference's answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from devenv import bench_sdl, bench_sdl_reference
from devenv.bench_sdl import Contest
from devenv.bench_sdl_reference import Answer
from devenv.errors import DevenvError

FAILED = "go build -o x . failed with exit code 1:\n"


def contest(*, ours: list[float], reference: list[float]) -> Contest:
    return Contest(
        document="small", title="compiled", mode="compile", work=str, ours=ours, reference=reference
    )


def shown(*measured: Contest) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(bench_sdl.table(measured))
    return capture.get()


def test_a_rate_is_the_count_in_a_second_of_the_programs_cpu_time() -> None:
    printed = '{"count":50,"cpu":0.25,"version":"ab"}\n'
    assert bench_sdl_reference.answer(printed) == Answer(rate=200.0, version="ab")


@pytest.mark.parametrize(
    "printed",
    [
        *("", "usage: ...", "[]", '{"count":50}', '{"count":"50","cpu":1,"version":"ab"}'),
        '{"count":50,"cpu":0,"version":"ab"}',
    ],
)
def test_another_answer_is_refused_and_shown(printed: str) -> None:
    with pytest.raises(DevenvError, match="the Go reference printed"):
        bench_sdl_reference.answer(printed)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (f"{FAILED}go: downloading a/b v1.0.0\nmain.go:18:2: a/b@v1.0.0: Forbidden\nmore", "main"),
        (f"{FAILED}go: a/b@v1.0.0: Forbidden", "go: a/b"),
        ("go build took longer than 1800 s", "go build took"),
    ],
)
def test_a_failed_build_is_told_in_its_one_line_that_says_why(failure: str, said: str) -> None:
    why = bench_sdl_reference.reason(failure)
    assert why.startswith(said)
    assert "\n" not in why


def test_the_ratio_is_the_median_of_each_rounds_own() -> None:
    assert contest(ours=[10, 1, 10], reference=[20, 9, 50]).times == 5


def test_the_table_shows_both_and_the_ratio() -> None:
    text = shown(contest(ours=[1000], reference=[4500]))
    assert all(part in text for part in ("1,000", "4,500", "4.5x", "goal: <= 10x"))


def test_without_a_reference_the_table_claims_no_ratio() -> None:
    row = next(
        line for line in shown(contest(ours=[1000], reference=[])).splitlines() if "small" in line
    )
    assert "1,000" in row
    assert "x" not in row


def test_what_is_given_and_is_no_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(bench_sdl_reference.VARIABLE, str(tmp_path))
    with pytest.raises(DevenvError, match="no executable file"):
        bench_sdl_reference.given()


def test_nothing_is_given_where_the_variable_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bench_sdl_reference.VARIABLE, "")
    assert bench_sdl_reference.given() is None


def test_another_version_in_the_reference_ends_the_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "reference"
    program.write_text("""#!/bin/sh\necho '{"count":5,"cpu":1.5,"version":"00"}'\n""")
    program.chmod(0o755)
    monkeypatch.setattr(bench_sdl, "SECONDS", 0.001)
    unlike = Contest(document=bench_sdl.DOCUMENTS[0], title="", mode="compile", work=str)
    with pytest.raises(DevenvError, match="do not compare"):
        bench_sdl.measure(unlike, program)
