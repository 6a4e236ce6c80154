"""The generated files: up to date here, and found stale where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from devenv import generate
from devenv.checkout import ROOT
from garrison.api.parsing import parse
from garrison.api.schema import crds
from tests.unit.api.specs import definition_of


def test_the_committed_files_are_up_to_date() -> None:
    assert generate.stale(ROOT) == [], "run `make generate` and commit the result"


def test_writing_makes_everything_up_to_date(tmp_path: Path) -> None:
    assert generate.write(tmp_path) == sorted(generate.generated())
    assert generate.stale(tmp_path) == []
    assert generate.write(tmp_path) == []


def test_a_changed_file_and_one_too_many_are_stale(tmp_path: Path) -> None:
    generate.write(tmp_path)
    (tmp_path / generate.REFERENCE).write_text("edited")
    extra = generate.CRDS / "gone.garrison.dev.yaml"
    (tmp_path / extra).write_text("old")
    assert generate.stale(tmp_path) == [extra, generate.REFERENCE]
    generate.write(tmp_path)
    assert not (tmp_path / extra).exists()


def test_check_names_the_file_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 1
    assert "docs/reference.md is stale: run `make generate`" in capsys.readouterr().err
    assert not (tmp_path / generate.REFERENCE).exists()
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_yaml_says_what_the_schema_says() -> None:
    texts = [text for path, text in generate.generated().items() if path.suffix == ".yaml"]
    assert [yaml.safe_load(text) for text in texts] == crds()


def test_the_reference_tells_type_default_and_bounds() -> None:
    text = generate.generated()[generate.REFERENCE]
    assert "| `spec.replicas` | integer, 0 to 50 | `1` | How many replicas to hold. |" in text
    assert "| `spec.resources.cpu` | text or whole number | required |" in text


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "examples").glob("*.yaml")), ids=str)
def test_examples_are_good_specs(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        parse(definition_of(document["kind"]).spec, document["spec"], "spec")


def test_ten_lines_are_enough() -> None:
    path = ROOT / "docs" / "examples" / "20-workload.yaml"
    lines = path.read_text().splitlines()
    assert len(lines) <= 10
