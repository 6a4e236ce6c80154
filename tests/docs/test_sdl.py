"""What docs/sdl.md shows is what the program prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from devenv.checkout import ROOT
from garrison.cli.main import main
from tests.docs.document import document

EXAMPLE = ROOT / "docs" / "examples" / "akash" / "deploy.yaml"
BLOCKS = document("docs/sdl.md").blocks


def test_the_conversion_is_the_one_that_is_shown() -> None:
    (shown,) = [each.text for each in BLOCKS if each.language == "yaml"]
    printed = CliRunner().invoke(main, ["convert", str(EXAMPLE)]).stdout
    assert shown.strip() == printed.split("---\n")[-1].strip()


def test_the_example_compiles() -> None:
    assert CliRunner().invoke(main, ["sdl", "compile", str(EXAMPLE)]).exit_code == 0


def test_the_errors_are_the_ones_that_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = EXAMPLE.read_text().replace("port: 8000", "port: 0").replace("3333", "3e3")
    Path("broken.yaml").write_text(text)
    result = CliRunner().invoke(main, ["sdl", "compile", "broken.yaml"])
    (shown,) = [each.text for each in BLOCKS if each.language == "console"]
    assert result.stderr.splitlines() == shown.strip().splitlines()[1:]
