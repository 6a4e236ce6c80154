from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from garrison.api.provider import Outcome, ProviderStatus, ResultStatus
from garrison.core.reputation import (
    FAULT_MEMORY,
    MAX_QUARANTINE,
    RESULTS_PER_MODEL,
    fold,
    length,
    quarantines,
    score,
)
from tests.builders import NOW, at


def result(lease: str, outcome: Outcome, when: float = 0, model: str = "h100") -> ResultStatus:
    return ResultStatus(
        lease=lease, gpu_model=model, outcome=outcome, reason="LeaseClosed", at=at(when)
    )


def test_quarantine_starts_at_the_fault_and_doubles_in_a_row() -> None:
    one = quarantines([result("a", "ProviderFault")], NOW)
    two = quarantines([result("a", "ProviderFault"), result("b", "ProviderFault", 1)], at(1))
    assert one[0].until - NOW == timedelta(minutes=10)
    assert two[0].until - at(1) == timedelta(minutes=20)


def test_quarantine_ends_by_time_by_serving_and_by_age() -> None:
    faults = [result("a", "ProviderFault")]
    assert quarantines(faults, at(599)) != ()
    assert quarantines(faults, at(600)) == ()
    assert quarantines([*faults, result("b", "Served", 1)], at(2)) == ()
    old = [result("a", "ProviderFault"), result("b", "ProviderFault", FAULT_MEMORY.total_seconds())]
    now = NOW + FAULT_MEMORY
    assert quarantines(old, now)[0].until - now == timedelta(minutes=10)


def test_quarantine_is_per_gpu_model() -> None:
    held = quarantines([result("a", "ProviderFault"), result("b", "Served", 1, "a100")], at(2))
    assert [each.gpu_model for each in held] == ["h100"]


def test_nobody_is_quarantined_for_what_is_not_its_fault() -> None:
    record = [result("a", "Undecided"), result("b", "RevisionFault"), result("c", "Nothing")]
    assert quarantines(record, NOW) == ()


def test_length_is_bounded() -> None:
    assert length(1) < length(2) < length(3)
    assert length(100) == MAX_QUARANTINE


def test_a_later_verdict_replaces_the_earlier_one_of_the_same_lease() -> None:
    record = fold([result("a", "Undecided")], [result("a", "ProviderFault")])
    assert [each.outcome for each in record] == ["ProviderFault"]


@given(counts=st.dictionaries(st.sampled_from(["h100", "a100", "t4"]), st.integers(0, 40)))
def test_the_record_is_bounded_per_model_and_keeps_the_newest(counts: dict[str, int]) -> None:
    every = [
        result(f"{model}-{n}", "Served", n, model)
        for model, count in counts.items()
        for n in range(count)
    ]
    record = fold([], every)
    for model, count in counts.items():
        mine = [each for each in record if each.gpu_model == model]
        assert len(mine) == min(count, RESULTS_PER_MODEL)
        assert not mine or mine[-1].lease == f"{model}-{count - 1}"
    assert fold(record, record) == record


def test_score_is_neutral_for_a_newcomer_and_moves_with_the_record() -> None:
    nothing = score(ProviderStatus())
    good = score(ProviderStatus(results=(result("a", "Served"),), uptime7d=1000))
    bad = score(ProviderStatus(results=(result("a", "ProviderFault"),), uptime7d=0))
    assert nothing == 50
    assert bad < nothing < good <= 100
