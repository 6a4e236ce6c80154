"""``garrison sdl`` and ``garrison convert``: what is printed where, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from devenv.checkout import ROOT
from garrison.adapters.akash.sdl import compile_sdl, parse
from garrison.cli.main import main
from tests.unit.adapters.akash.sdl.documents import BASE, changed

VECTORS = ROOT / "tests" / "conformance" / "akash" / "vectors"
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))


def garrison(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, words, input=stdin)


@pytest.fixture
def examples(tmp_path: Path) -> str:
    """The documents' examples as one file."""
    file = tmp_path / "all.yaml"
    file.write_text("\n---\n".join(each.read_text() for each in EXAMPLES))
    return str(file)


@pytest.mark.parametrize("name", ["v20-minimal", "v20-env-escapes", "v21-credentials"])
def test_compile_prints_one_object(name: str) -> None:
    case = VECTORS / name
    result = garrison("sdl", "compile", str(case / "input.yaml"))
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "groups": json.loads((case / "groups.json").read_text()),
        "manifest": json.loads((case / "manifest.json").read_text()),
        "version": (case / "version.txt").read_text().strip(),
    }


def test_compile_reads_standard_input_and_shows_reclamation() -> None:
    result = garrison("sdl", "compile", "-", stdin=BASE + "reclamation: {min_window: 24h}\n")
    assert json.loads(result.stdout)["reclamation"] == {"min_window": "86400s"}


def test_a_bad_file_names_line_and_field_and_prints_nothing(tmp_path: Path) -> None:
    file = tmp_path / "deploy.yaml"
    file.write_text(changed(("port: 80", "port: 0"), ("denom: uact", "denom: 1")))
    result = garrison("sdl", "compile", str(file))
    assert result.exit_code == 1
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{file}:6:15: services.web.expose[0].port: ")
    assert second.startswith(f"{file}:20:22: profiles.placement.p.pricing.web.denom: ")


def test_a_missing_file_is_said_to_be_missing() -> None:
    result = garrison("sdl", "compile", "/nonexistent/deploy.yaml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No such file" in result.stderr


def test_render_prints_what_is_sent(examples: str) -> None:
    text = garrison("sdl", "render", "iw/llama", "-n", "prod", "-f", examples).stdout
    manifest = garrison("sdl", "render", "llama", "-n", "prod", "-f", examples, "--manifest").stdout
    assert compile_sdl(parse(text)).manifest_text == manifest.strip()
    gpu = yaml.safe_load(text)["profiles"]["compute"]["replica"]["resources"]["gpu"]
    assert gpu["attributes"]["vendor"]["nvidia"] == [{"model": "h100", "ram": "80Gi"}]


def test_render_shows_the_sentinel_and_the_command_that_starts_it(examples: str) -> None:
    text = garrison("sdl", "render", "iw/llama", "-n", "prod", "-f", examples).stdout
    service = yaml.safe_load(text)["services"]["replica"]
    assert service["command"][:4] == ["python3", "-I", "-S", "-c"]
    assert "args" not in service
    ports = [each["port"] for each in service["expose"]]
    assert ports == [18443, 18444], "the workload's own port is not reachable"
    names = [each.partition("=")[0] for each in service["env"]]
    assert names == ["GARRISON_SENTINEL_0", "GARRISON_SENTINEL_DIGEST", "GARRISON_BOOTSTRAP"]
    assert "# trust: Verified" in text


def test_render_without_a_sentinel_shows_the_images_own_process(tmp_path: Path) -> None:
    documents = [yaml.safe_load(each.read_text()) for each in EXAMPLES]
    for each in documents:
        if each["kind"] == "InferenceWorkload":
            each["spec"]["trust"] = "Unverified"
            each["spec"]["imagePullSecrets"] = [{"name": "registry"}]
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    text = garrison("sdl", "render", "iw/llama", "-n", "prod", "-f", str(file)).stdout
    service = yaml.safe_load(text)["services"]["replica"]
    assert "command" not in service
    assert service["args"][0] == "--model"
    assert [each["port"] for each in service["expose"]] == [8000]
    assert "trust: Verified" not in text
    assert "imagePullSecrets is sent, too" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ghost", "-n", "prod"), "no InferenceWorkload 'ghost'"),
        (("chat",), "name the namespace with -n"),
        (("pod/chat",), "write iw/chat"),
    ],
)
def test_render_says_what_is_missing(examples: str, words: tuple[str, ...], said: str) -> None:
    result = garrison("sdl", "render", *words, "-f", examples)
    assert result.exit_code != 0
    assert said in result.stderr


def test_render_needs_the_account_for_the_price(tmp_path: Path) -> None:
    file = tmp_path / "workload.yaml"
    file.write_text((ROOT / "docs" / "examples" / "20-workload.yaml").read_text())
    result = garrison("sdl", "render", "iw/chat", "-n", "prod", "-f", str(file))
    assert result.exit_code == 1
    assert "AkashAccount" in result.stderr


@pytest.mark.parametrize("text", ["a: [", "kind: InferenceWorkload", "", "kind: {}\n---\n3"])
def test_render_survives_any_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    result = garrison("sdl", "render", "iw/chat", "-f", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_convert_prints_documents() -> None:
    result = garrison("convert", "-", stdin=BASE)
    assert result.exit_code == 0
    (document,) = yaml.safe_load_all(result.stdout)
    assert document["kind"] == "InferenceWorkload"


def test_convert_names_what_is_wrong_and_prints_nothing() -> None:
    result = garrison("convert", "-", stdin=changed(("port: 80", "port: 0")))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("<stdin>:6:15: ")
