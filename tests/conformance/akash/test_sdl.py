"""Our SDL compiler against what the reference library answered, and against the local market's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from akash_sandbox.sdl.compile import compile_sdl as compile_in_the_sandbox
from akash_sandbox.sdl.errors import SdlError as SandboxError
from garrison.adapters.akash.sdl import SdlError, compile_sdl, parse, render_text

VECTORS = Path(__file__).parent / "vectors"
INVALID = VECTORS / "invalid"
ACCEPTED = sorted(path.name for path in VECTORS.iterdir() if path != INVALID)
REFUSED = sorted(path.name for path in INVALID.iterdir())
# Files of public repositories are read where they lie, and are not part of the project.
PUBLIC = Path(__file__).parents[4] / "shared" / "conformance" / "akash" / "sdl"


@pytest.mark.parametrize("name", ACCEPTED)
def test_groups_manifest_and_version_are_the_references(name: str) -> None:
    case = VECTORS / name
    compiled = compile_sdl(parse((case / "input.yaml").read_bytes()))
    assert compiled.groups == json.loads((case / "groups.json").read_text())
    assert compiled.manifest_text == (case / "manifest.json").read_text()
    assert compiled.manifest == json.loads((case / "manifest.unsorted.json").read_text())
    assert compiled.version == (case / "version.txt").read_text().strip()


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_written_out_again_means_the_same(name: str) -> None:
    sdl = parse((VECTORS / name / "input.yaml").read_bytes())
    assert parse(render_text(sdl)) == sdl


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_reference_refuses_or_accepts_in_error_is_refused(name: str) -> None:
    text = (INVALID / name / "input.yaml").read_text()
    with pytest.raises(SdlError) as raised:
        parse(text)
    for problem in raised.value.problems:
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.field
        assert problem.message


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_local_market_compiles_the_same(name: str) -> None:
    text = (VECTORS / name / "input.yaml").read_text()
    theirs, ours = compile_in_the_sandbox(text), compile_sdl(parse(text))
    assert theirs.manifest_text == ours.manifest_text
    assert theirs.hash.hex() == ours.version


@pytest.mark.parametrize("name", REFUSED)
def test_the_local_market_refuses_the_same(name: str) -> None:
    with pytest.raises(SandboxError):
        compile_in_the_sandbox((INVALID / name / "input.yaml").read_text())


def test_the_library_s_own_fixtures_are_met() -> None:
    if not PUBLIC.is_dir():
        pytest.skip("the reference library's own fixtures are not on this machine")
    cases = sorted(PUBLIC.iterdir())
    assert cases
    for case in cases:
        compiled = compile_sdl(parse((case / "input.yaml").read_bytes()))
        assert compiled.groups == json.loads((case / "group-specs.json").read_text()), case.name
        assert compiled.manifest == json.loads((case / "manifest.json").read_text()), case.name
