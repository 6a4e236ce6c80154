"""Every command in the documents exists, with the flags that are used."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from akash_sandbox.__main__ import main as akash_sandbox
from devenv.checkout import ROOT
from garrison.cli.main import main as garrison
from tests.docs.shell import Command, commands

PROGRAMS = {"garrison": garrison, "akash-sandbox": akash_sandbox}
OUTSIDE = {"kubectl", "helm", "docker", "curl", "pip", "ip", "python3"}
"""Programs of others; kubectl, helm and python3 are checked beside this file."""
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = frozenset(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
VARIABLES = frozenset(re.findall(r"(?<!\$)\$\(([A-Z_]+)\)", MAKEFILE))
OURS = commands("garrison", "akash-sandbox")
MAKES = commands("make")


def test_every_program_is_known() -> None:
    known = OUTSIDE | PROGRAMS.keys() | {"make"}
    assert {each.program for each in commands()} <= known


@pytest.mark.parametrize("command", MAKES, ids=str)
def test_make_has_the_target(command: Command) -> None:
    target, *rest = command.words[1:]
    assert target in TARGETS | {"TARGET"}
    assert {each.partition("=")[0] for each in rest} <= VARIABLES


def test_the_readme_names_the_two_commands_first() -> None:
    first = [each.words[1] for each in MAKES if each.where == "README.md" and each.whole]
    assert first == ["demo", "test"]


@pytest.mark.parametrize("command", OURS, ids=str)
def test_subcommands_and_flags_exist(command: Command) -> None:
    leaf, rest = resolved(PROGRAMS[command.program], list(command.words[1:]))
    flags = {name for each in leaf.params for name in (*each.opts, *each.secondary_opts)}
    ours = rest[: rest.index("--")] if "--" in rest else rest
    used = {each.partition("=")[0] for each in ours if each.startswith("-")}
    assert used <= flags | {"--help", "-h"}


@pytest.mark.parametrize("command", [each for each in OURS if each.whole], ids=str)
def test_whole_commands_are_accepted(command: Command) -> None:
    leaf, rest = resolved(PROGRAMS[command.program], list(command.words[1:]))
    existing = [each for each in rest if each != "market.yaml"]
    if existing != rest:
        existing.remove("--config")
    with leaf.make_context(leaf.name, existing):
        assert not isinstance(leaf, click.Group)


def resolved(command: click.Command, words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the subcommand that the words lead to, and the words that are left for it."""
    for _ in names(words):
        if not isinstance(command, click.Group) or words[0] not in command.commands:
            break
        command, words = command.commands[words[0]], words[1:]
    assert not isinstance(command, click.Group) or not words or words[0].startswith("-"), words
    return command, words


def names(words: list[str]) -> Iterator[str]:
    yield from (each for each in words if not each.startswith("-"))
