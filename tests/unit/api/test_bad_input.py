"""Every field with every kind of bad input: the refusal names the field and the remedy."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from garrison.api.form import INT_OR_STRING
from garrison.api.meta import PROVIDER, WORKLOAD
from garrison.api.parsing import parse
from garrison.api.schema import DEFINITIONS, Definition, spec_schema
from garrison.api.secret import FIXED_SCOPE
from garrison.api.structure import Schema
from garrison.api.workload import NAME_REMEDY, parse_workload
from garrison.errors import InvalidSpecError
from tests.unit.api.cases import ACCEPTED, NAMES, RULED, Case, derived, fields, rules_of
from tests.unit.api.specs import FULL, MINIMAL, body, definition_of, full_for

DERIVED = tuple(derived())
SERVER_ONLY = {
    "the spec of an AkashLease cannot change: the operator makes a new lease instead",
    FIXED_SCOPE,
}
"""about what changes: tests/e2e/schema has them"""


def refusal_of(case: Case) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        parse(definition_of(case.kind.kind).spec, case.spec, "spec")
    return str(caught.value)


@pytest.mark.parametrize("case", DERIVED, ids=str)
def test_the_operator_refuses_what_type_and_bounds_forbid(case: Case) -> None:
    field, _, remedy = refusal_of(case).partition(": ")
    assert field == case.named_for(server=False)
    assert remedy


@pytest.mark.parametrize("case", RULED, ids=str)
def test_the_operator_tells_the_remedy_of_every_rule(case: Case) -> None:
    refusal = refusal_of(case)
    assert refusal.startswith(f"{case.named_for(server=False)}: ")
    assert case.says in refusal


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_the_operator_accepts_the_neighbours_of_bad_input(case: Case) -> None:
    parse(definition_of(case.kind.kind).spec, case.spec, "spec")


@pytest.mark.parametrize("name", NAMES)
def test_the_operator_refuses_names_that_no_service_can_have(name: str) -> None:
    raw = body(WORKLOAD, FULL[WORKLOAD.kind], name)
    raw["metadata"] |= {
        "uid": "1",
        "resourceVersion": "1",
        "creationTimestamp": "2026-11-23T12:00:00Z",
    }
    with pytest.raises(InvalidSpecError) as caught:
        parse_workload(raw)
    assert str(caught.value) == NAME_REMEDY


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(InvalidSpecError, match=r"^spec\.gpus: "):
        parse(
            definition_of("InferenceWorkload").spec,
            {**FULL["InferenceWorkload"], "gpus": 1},
            "spec",
        )


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind.kind)
def test_every_rule_has_a_case(definition: Definition) -> None:
    told = [case.says for case in RULED if case.kind == definition.kind]
    untold = {
        rule
        for rule in rules_of(definition.kind) - SERVER_ONLY
        if not any(says in rule for says in told)
    }
    assert untold == set(), "add a case to RULED for each"


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind.kind)
def test_every_field_is_in_the_full_spec(definition: Definition) -> None:
    for path, _, _ in fields(spec_schema(definition)):
        value: Any = full_for(definition.kind.kind, path)
        for step in path:
            value = value[step]


def test_every_kind_with_fields_has_derived_cases() -> None:
    kinds = {case.kind for case in DERIVED}
    assert kinds == {each.kind for each in DEFINITIONS} - {PROVIDER}


@cache
def validator(definition: Definition) -> Draft202012Validator:
    schema = _without_typed_numbers(spec_schema(definition))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _without_typed_numbers(schema: Schema) -> Schema:
    """The schema as JSON schema reads it: the server asks a rule, not a bound, of numbers."""
    result = dict(schema)
    if schema.get(INT_OR_STRING):
        result["minimum"] = 0
    if "properties" in schema:
        result["properties"] = {
            name: _without_typed_numbers(each) for name, each in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = _without_typed_numbers(schema["items"])
    return result


@pytest.mark.parametrize("case", DERIVED, ids=str)
def test_the_schema_refuses_the_same(case: Case) -> None:
    errors = list(validator(definition_of(case.kind.kind)).iter_errors(case.spec))
    expected = case.path[:-1] if case.fault == "missing" else case.path
    assert {tuple(each.absolute_path) for each in errors} == {expected}


@pytest.mark.parametrize("specs", [FULL, MINIMAL], ids=["full", "minimal"])
@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind.kind)
def test_good_specs_pass_both(definition: Definition, specs: dict[str, Any]) -> None:
    spec = specs[definition.kind.kind]
    parse(definition.spec, spec, "spec")
    assert list(validator(definition).iter_errors(spec)) == []
