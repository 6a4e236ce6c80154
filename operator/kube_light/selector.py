"""Label and field selectors, as query strings carry them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kube_light.document import labels_of, look
from kube_light.errors import bad_request
from kube_light.resource import Object

Operator: TypeAlias = Literal["in", "notin", "exists", "absent"]

SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
EQUAL = re.compile(r"^(?P<key>[^=!\s]+)\s*(?P<op>==|=|!=)\s*(?P<value>\S*)$")
PRESENT = re.compile(r"^(?P<absent>!?)\s*(?P<key>[^=!\s(),]+)$")
OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a selector."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def met_by(self, value: str | None) -> bool:
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None


@dataclass(frozen=True, slots=True)
class Selector:
    """Requirements on labels and on fields; all must be met."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()

    def picks(self, body: Object) -> bool:
        labels = labels_of(body)
        return all(each.met_by(labels.get(each.key)) for each in self.labels) and all(
            each.met_by(str(look(body, each.key) or "")) for each in self.fields
        )


EVERYTHING = Selector()


def parse_selector(labels: str = "", fields: str = "") -> Selector:
    """Return the selector of two query values; ApiError 400 when one cannot be read."""
    return Selector(labels=_terms(labels), fields=_terms(fields))


def equal_labels(labels: Mapping[str, str] | None) -> Selector:
    """Return the selector of objects that carry all these labels."""
    return Selector(
        labels=tuple(
            Requirement(key, "in", frozenset((value,))) for key, value in (labels or {}).items()
        )
    )


def _terms(text: str) -> tuple[Requirement, ...]:
    return tuple(
        _requirement(term.strip()) for term in OUTSIDE_PARENTHESES.split(text) if term.strip()
    )


def _requirement(term: str) -> Requirement:
    if found := SET.match(term):
        values = frozenset(each.strip() for each in found["values"].split(","))
        return Requirement(found["key"], "in" if found["op"] == "in" else "notin", values)
    if found := EQUAL.match(term):
        operator: Operator = "notin" if found["op"] == "!=" else "in"
        return Requirement(found["key"], operator, frozenset((found["value"],)))
    if found := PRESENT.match(term):
        return Requirement(found["key"], "absent" if found["absent"] else "exists")
    raise bad_request(f"unable to parse requirement {term!r}; use key=value or key in (a,b)")
