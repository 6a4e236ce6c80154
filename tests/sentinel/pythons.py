"""The Pythons beside this one that the sentinel is run by: this machine's own, and a fetched 3.14."""

from __future__ import annotations

import asyncio

import pytest

from devenv.errors import DevenvError
from devenv.pythons import NEWEST, ensure_newest, installed

_FETCH_SECONDS = 1000
OTHERS = [
    *("3.9", "3.10", "3.12", "3.13"),
    pytest.param(NEWEST, marks=pytest.mark.timeout(_FETCH_SECONDS)),
]
"""Versions, as a parameter of tests."""


def python_or_skip(version: str) -> str:
    """Return the program of a version; where it is not here and cannot be fetched, skips and says why."""
    if found := installed(version):
        return str(found)
    if version != NEWEST:
        pytest.skip(f"Python {version} is not here: the sentinel is not run by it")
    try:
        return str(asyncio.run(ensure_newest()))
    except DevenvError as error:
        pytest.skip(f"Python {version} is not here: the sentinel is not run by it; {error}")
