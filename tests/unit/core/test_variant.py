"""A variant is what ``dataclasses.replace`` makes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from garrison.core.variant import variant
from tests.builders import lease, observation


def test_every_field_is_as_replace_leaves_it() -> None:
    o = observation(lease())
    for each in fields(o):
        changed: dict[str, Any] = {each.name: object()}
        assert variant(o, **changed) == replace(o, **changed)
    assert variant(o) == o
    assert variant(o) is not o


def test_an_unknown_field_is_named() -> None:
    unknown: dict[str, Any] = {"nothing": 1}
    with pytest.raises(TypeError, match="Observation has no field 'nothing'"):
        variant(observation(lease()), **unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    one: int
    two: int

    def __post_init__(self) -> None:
        assert self.one < self.two


def test_what_checks_its_values_is_made_by_its_constructor() -> None:
    with pytest.raises(TypeError, match="Checked checks its values"):
        variant(Checked(one=1, two=2), two=0)
