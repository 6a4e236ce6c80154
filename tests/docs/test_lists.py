"""Lists in the documents are complete: dependencies, settings, calls, make's targets."""

from __future__ import annotations

import dataclasses
import re
import tomllib

import pytest

from akash_sandbox.settings import Settings
from devenv.checkout import ROOT
from tests.docs.document import document

DEPENDENCIES = document("docs/dependencies.md")
AKASH = ROOT / "operator" / "garrison" / "adapters" / "akash"


def project() -> list[str]:
    """Return the names in pyproject.toml, at run time, for development and for building."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*read["project"]["dependencies"], *read["build-system"]["requires"]]
    asked += read["project"]["optional-dependencies"]["dev"]
    return [re.split(r"[<>=!\[;]", each)[0] for each in asked]


def go_modules() -> list[str]:
    """Return what the tests' Go programs require directly."""
    found = []
    for file in sorted((ROOT / "tests").glob("*/go.mod")):
        found += [
            module
            for module, rest in re.findall(r"^(?:require )?\t?(\S+) v(.*)$", file.read_text(), re.M)
            if "indirect" not in rest and "=>" not in rest
        ]
    return found


def go_tools() -> list[str]:
    """Return the Go modules and programs that the tools fetch or build."""
    text = "".join(path.read_text() for path in sorted((ROOT / "devenv").glob("*.py")))
    return re.findall(r'^_\w*MODULE = "([^"@]+)@', text, re.MULTILINE)


def fetched() -> list[str]:
    """Return the Python packages that the tools fetch; of a peer with its closure, the peer."""
    text = "".join(path.read_text() for path in sorted((ROOT / "devenv").glob("*.py")))
    peers = [pinned(path.read_text())[0] for path in sorted((ROOT / "devenv").glob("*.txt"))]
    return [*re.findall(r'Package\(\s*name="([^"]+)"', text), *peers]


def pinned(requirements: str) -> list[str]:
    """Return the names in a requirements file, in order."""
    return re.findall(r"^([\w-]+)==", requirements, re.MULTILINE)


@pytest.mark.parametrize("name", [*project(), *go_modules(), *go_tools(), *fetched()])
def test_every_dependency_is_explained(name: str) -> None:
    assert name in DEPENDENCIES.inline_code


@pytest.mark.parametrize("header", ["Package", "Module"])
def test_no_other_dependency_is_explained(header: str) -> None:
    known = {"Package": [*project(), *fetched()], "Module": [*go_modules(), *go_tools()]}[header]
    assert set(DEPENDENCIES.cells(header)) <= set(known)


def test_every_setting_of_the_local_market_is_listed() -> None:
    fields = {each.name for each in dataclasses.fields(Settings)}
    assert set(document("docs/local-market.md").cells("Field")) == fields


def test_every_call_to_the_console_is_listed() -> None:
    text = "".join(path.read_text() for path in sorted(AKASH.glob("*.py")))
    made = set(re.findall(r'"(?:/v1)(/[a-z-]+)', text))
    listed = " ".join(document("docs/console-api.md").cells("Call"))
    assert made
    assert sorted(each for each in made if f"/v1{each}" not in listed) == []


def test_every_test_folder_is_described() -> None:
    folders = {each.parent.name for each in (ROOT / "tests").glob("*/__init__.py")}
    listed = {each.split("/")[1] for each in document("docs/testing.md").cells("Folder")}
    assert sorted(folders - listed) == []
