from __future__ import annotations

from collections.abc import Sequence

from garrison.api.workload import Blame, FailureStatus
from garrison.core import blame
from tests.builders import NOW, at


def failure(
    lease: str,
    provider: str | None,
    *,
    revision: str = "r1",
    who: Blame = "Undecided",
    when: float = 0,
    reason: str = "Unhealthy",
) -> FailureStatus:
    return FailureStatus(
        lease=lease,
        revision=revision,
        provider=provider,
        reason=reason,
        blame=who,
        at=at(when),
    )


def attributed(
    *failures: FailureStatus,
    serving: Sequence[tuple[str, str]] = (),
    passing: Sequence[tuple[str, str]] | None = None,
) -> tuple[FailureStatus, ...]:
    return blame.attribute(failures, serving, serving if passing is None else passing)


def _blames(failures: tuple[FailureStatus, ...]) -> list[Blame]:
    return [each.blame for each in failures]


def test_one_workload_fault_proves_nothing() -> None:
    assert _blames(attributed(failure("a", "p1"))) == ["Undecided"]


def test_the_same_fault_at_one_provider_twice_still_proves_nothing() -> None:
    twice = [failure("a", "p1"), failure("b", "p1")]
    assert _blames(attributed(*twice)) == ["Undecided", "Undecided"]


def test_the_same_fault_at_two_providers_blames_the_revision() -> None:
    both = [failure("a", "p1"), failure("b", "p2")]
    judged = attributed(*both)
    assert _blames(judged) == ["Revision", "Revision"]
    assert blame.is_blamed(judged, "r1")


def test_another_revisions_faults_do_not_count() -> None:
    both = [failure("a", "p1"), failure("b", "p2", revision="r2")]
    assert _blames(attributed(*both)) == ["Undecided", "Undecided"]


def test_serving_elsewhere_makes_it_the_providers_fault_even_after_a_wrong_verdict() -> None:
    both = attributed(failure("a", "p1"), failure("b", "p2"))
    assert _blames(attributed(*both, serving=[("r1", "p3")])) == ["Provider", "Provider"]


def test_serving_at_the_same_provider_clears_it() -> None:
    assert _blames(attributed(failure("a", "p1"), serving=[("r1", "p1")])) == ["Nobody"]


def test_what_serves_too_slowly_proves_nothing_about_what_is_too_slow_elsewhere() -> None:
    slow = failure("a", "p1", reason="BenchmarkFailed")
    dead = failure("b", "p2")
    slowly = attributed(slow, dead, serving=[("r1", "p1")], passing=[])
    assert _blames(slowly) == ["Undecided", "Provider"]
    both = [slow, failure("c", "p3", reason="BenchmarkNoAnswer")]
    assert _blames(attributed(*both, serving=[("r1", "p1")], passing=[])) == ["Revision"] * 2
    assert _blames(attributed(*both, serving=[("r1", "p4")])) == ["Provider"] * 2


def test_a_providers_fault_stays_its_own() -> None:
    faults = [failure("a", "p1", who="Provider"), failure("b", "p2", who="Provider")]
    assert not blame.is_blamed(attributed(*faults), "r1")


def test_a_failure_is_recorded_once_and_only_twenty_are_kept() -> None:
    first = blame.record([], [failure(str(n), "p1", when=n) for n in range(25)])
    again = blame.record(first, [failure("24", "p1", when=99)])
    assert [each.lease for each in again] == [str(n) for n in range(5, 25)]


def test_providers_are_left_alone_for_half_an_hour() -> None:
    faults = [failure("a", "p1"), failure("b", None)]
    assert blame.excluded(faults, NOW) == ("p1",)
    assert blame.excluded(faults, NOW + blame.EXCLUSION) == ()


def test_pauses_grow_and_attempts_end() -> None:
    pauses = [blame.pause_seconds(count) for count in range(10)]
    assert pauses[:4] == [0.0, 0.0, 30.0, 60.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == blame.PAUSE_CAP
    spent = [failure(str(n), "p1", who="Revision") for n in range(blame.MAX_ATTEMPTS)]
    assert blame.is_exhausted(spent, "r1")
    assert not blame.is_exhausted(spent[1:], "r1")
