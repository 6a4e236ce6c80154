"""Selectors as query strings spell them."""

from __future__ import annotations

import pytest

from kube_light.errors import ApiError
from kube_light.selector import parse_selector

BODY = {"metadata": {"name": "one", "labels": {"app": "door", "tier": "front"}}}


@pytest.mark.parametrize(
    ("labels", "picked"),
    [
        ("", True),
        ("app=door", True),
        ("app==door,tier=front", True),
        ("app=wall", False),
        ("app!=wall", True),
        ("none!=x", True),
        ("app", True),
        ("none", False),
        ("!none", True),
        ("!app", False),
        ("app in (wall, door)", True),
        ("app in (wall),tier", False),
        ("app notin (wall,door)", False),
        ("none notin (x)", True),
    ],
)
def test_labels_are_matched(labels: str, picked: bool) -> None:
    assert parse_selector(labels).picks(BODY) is picked


@pytest.mark.parametrize(
    ("fields", "picked"),
    [
        ("metadata.name=one", True),
        ("metadata.name=two", False),
        ("metadata.name!=two,metadata.namespace=", True),
    ],
)
def test_fields_are_matched(fields: str, picked: bool) -> None:
    assert parse_selector("", fields).picks(BODY) is picked


@pytest.mark.parametrize("labels", ["a b", "=x", "a in (b"])
def test_nonsense_is_a_bad_request(labels: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_selector(labels)
    assert refused.value.code == 400
