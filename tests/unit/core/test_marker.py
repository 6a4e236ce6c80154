from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.core.marker import Marker, installation_id, parse_marker

DIGITS = "0" * 8


@given(uid=st.uuids(), namespace=st.uuids(), attempt=st.integers(0, 999))
def test_a_marker_is_read_as_it_was_written(uid: object, namespace: object, attempt: int) -> None:
    marker = Marker(installation=installation_id(str(namespace)), lease=str(uid), attempt=attempt)
    assert parse_marker(str(marker)) == marker


@pytest.mark.parametrize(
    "name",
    [
        "",
        "dcloud",
        f"garrison-{DIGITS}",
        f"garrison-{DIGITS}-{'0' * 31}-0",
        f"garrison-{DIGITS}-{'0' * 32}",
        f"garrison-{DIGITS}-{'0' * 32}-",
        f"garrison-{DIGITS}-{'0' * 32}-1000",
        f"garrison-{DIGITS}-{'A' * 32}-0",
        f" garrison-{DIGITS}-{'0' * 32}-0",
        f"garrison-{DIGITS}-{'0' * 32}-0\n",
    ],
)
def test_what_others_named_is_no_marker(name: str) -> None:
    assert parse_marker(name) is None


def test_installations_differ_by_their_namespace() -> None:
    assert installation_id("a") != installation_id("b")
    assert installation_id("a") == installation_id("a")
