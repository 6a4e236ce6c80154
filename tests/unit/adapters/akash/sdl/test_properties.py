"""What holds for every SDL."""

from __future__ import annotations

import json
import random
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.adapters.akash.sdl import Sdl, SdlError, compile_sdl, parse, render, render_text
from garrison.adapters.akash.sdl.canonical import canonical_json
from tests.unit.adapters.akash.sdl.documents import BASE, sdls

FEW = settings(max_examples=40)
"""A whole document is costly to draw."""


def shuffled(value: Any, order: random.Random) -> Any:
    """Return a document with the keys of every mapping in another order."""
    if isinstance(value, dict):
        pairs = [(key, shuffled(each, order)) for key, each in value.items()]
        order.shuffle(pairs)
        return dict(pairs)
    return [shuffled(each, order) for each in value] if isinstance(value, list) else value


@FEW
@given(sdls())
def test_a_document_is_read_back_as_it_was_written(sdl: Sdl) -> None:
    assert parse(render_text(sdl)) == sdl


@FEW
@given(sdls(), st.randoms(use_true_random=False))
def test_key_order_and_formatting_change_nothing(sdl: Sdl, order: random.Random) -> None:
    expected = compile_sdl(sdl)
    document = shuffled(render(sdl), order)
    for text in (
        yaml.safe_dump(document, sort_keys=False, default_style="'", width=40),
        yaml.safe_dump(document, default_flow_style=True, default_style='"', allow_unicode=True),
    ):
        found = compile_sdl(parse(text))
        assert found.groups == expected.groups
        assert found.version == expected.version


@FEW
@given(sdls())
def test_the_canonical_text_is_the_manifest(sdl: Sdl) -> None:
    compiled = compile_sdl(sdl)
    assert json.loads(compiled.manifest_text) == compiled.manifest
    assert canonical_json(json.loads(compiled.manifest_text)) == compiled.manifest_text
    assert len(compiled.version) == 64


@FEW
@given(sdls())
def test_every_service_finds_its_unit(sdl: Sdl) -> None:
    """The provider's cross-check: same resources, and every replica and endpoint used up."""
    compiled = compile_sdl(sdl)
    for group, manifest in zip(compiled.groups, compiled.manifest, strict=True):
        assert group["name"] == manifest["name"]
        for unit in group["resources"]:
            mine = [
                each
                for each in manifest["services"]
                if each["resources"]["id"] == unit["resource"]["id"]
            ]
            assert sum(each["count"] for each in mine) == unit["count"]
            endpoints = [one for each in mine for one in each["resources"]["endpoints"]]
            key = canonical_json
            assert sorted(endpoints, key=key) == sorted(unit["resource"]["endpoints"], key=key)
            for each in mine:
                for name in ("cpu", "memory", "gpu", "storage"):
                    assert each["resources"][name] == unit["resource"][name]


def outcome(source: bytes | str) -> object:
    """Return the manifest, or what is wrong; anything else is raised."""
    try:
        return compile_sdl(parse(source)).manifest_text
    except SdlError as error:
        return error.problems


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_input_breaks_the_parser(source: bytes | str) -> None:
    assert outcome(source)


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where every value of a document stands."""
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    return [here, *(path for key, each in children for path in paths(each, (*here, key)))]


@given(st.data(), VALUES)
def test_no_value_anywhere_breaks_the_parser(data: st.DataObject, value: Any) -> None:
    document = yaml.safe_load(BASE)
    *way, last = data.draw(st.sampled_from(paths(document)[1:]))
    place = document
    for key in way:
        place = place[key]
    place[last] = value
    text = yaml.safe_dump(document, allow_unicode=True)
    assert outcome(text)


@given(st.data())
def test_no_edit_of_the_text_breaks_the_parser(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(BASE)))
    end = data.draw(st.integers(start, min(len(BASE), start + 30)))
    noise = data.draw(st.text(alphabet="{}[]:,-&*!|>'\"#%@`?\n \t<a1~", max_size=10))
    assert outcome(BASE[:start] + noise + BASE[end:])
