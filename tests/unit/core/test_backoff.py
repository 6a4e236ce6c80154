from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.core.backoff import delay, growing


@given(failures=st.integers(0, 10**6), fraction=st.floats(0, 1, exclude_max=True))
def test_a_delay_never_spins_and_never_outgrows_the_cap(failures: int, fraction: float) -> None:
    assert 0.5 <= delay(failures, fraction) <= 300.0


@given(failures=st.integers(0, 10**6), fraction=st.floats(0, 1, exclude_max=True))
def test_more_failures_never_wait_less(failures: int, fraction: float) -> None:
    assert delay(failures + 1, fraction) >= delay(failures, fraction)


@pytest.mark.parametrize(
    ("count", "seconds"), [(-1, 0.0), (0, 0.0), (1, 30.0), (2, 60.0), (3, 100.0), (10**6, 100.0)]
)
def test_pauses_double_from_the_base_to_the_cap(count: int, seconds: float) -> None:
    assert growing(count, base=30.0, cap=100.0) == seconds
