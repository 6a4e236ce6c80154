"""Every kubectl and helm command in the documents exists, with its flags and kinds."""

from __future__ import annotations

import asyncio
import functools
import re
import subprocess
from pathlib import Path

import pytest

from devenv.checkout import ROOT
from devenv.provision import ensure_helm, ensure_kubectl
from garrison.api.schema import crds
from tests.docs.shell import Command, commands

NESTED = {"create": 3, "set": 2, "config": 2, "rollout": 2}
"""kubectl's commands that have commands of their own, and how many words name one."""
LISTING = {"get", "describe", "delete", "wait", "scale", "annotate", "logs", "port-forward"}
BUILT_IN = {"pods", "events", "deploy", "ns", "namespace", "secret"}
LIMIT_SECONDS = 60
KUBECTL = commands("kubectl")
HELM = commands("helm")


@pytest.fixture(scope="session")
def kubectl() -> Path:
    return asyncio.run(ensure_kubectl())


@pytest.fixture(scope="session")
def helm() -> Path:
    return asyncio.run(ensure_helm())


@functools.cache
def flags(program: Path, *words: str) -> frozenset[str]:
    """Return the flags that a command's help names. Raises CalledProcessError for no such command."""
    argv = (str(program), *words, "--help")
    helped = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    return frozenset(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", helped.stdout))


@functools.cache
def common_flags(kubectl: Path) -> frozenset[str]:
    argv = (str(kubectl), "options")
    told = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    return frozenset(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", told.stdout)) | {"--help"}


def names() -> frozenset[str]:
    """Return every name by which kubectl takes our kinds."""
    found = set()
    for crd in crds():
        given = crd["spec"]["names"]
        found |= {given["plural"], given["singular"], *given["shortNames"], *given["categories"]}
    return frozenset(found)


def used(words: tuple[str, ...]) -> set[str]:
    return {each.partition("=")[0] for each in words if re.match(r"--?[a-zA-Z]", each)}


def positional(command: Command) -> tuple[str, ...]:
    """Return kubectl's words without flags; ``-n X`` and ``--namespace X`` take a word."""
    found, skip = [], False
    for word in command.words[1:]:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in {"-n", "--namespace", "-o", "-f", "-l", "--kubeconfig"}
        else:
            found.append(word)
    return tuple(found)


@pytest.mark.parametrize("command", KUBECTL, ids=str)
def test_kubectl_knows_the_command_and_its_flags(command: Command, kubectl: Path) -> None:
    words = positional(command)
    known = flags(kubectl, *words[: NESTED.get(words[0], 1)])
    assert used(command.words) <= known | common_flags(kubectl)


def kinds(command: Command) -> frozenset[str]:
    """Return the kinds that a command names, none for one that takes files or nothing."""
    verb, *rest = positional(command)
    return frozenset(rest[0].partition("/")[0].split(",") if rest and verb in LISTING else ())


@pytest.mark.parametrize("command", [each for each in KUBECTL if kinds(each)], ids=str)
def test_kinds_exist(command: Command) -> None:
    assert kinds(command) <= names() | BUILT_IN


@pytest.mark.parametrize("command", [each for each in KUBECTL if "-f" in each.words], ids=str)
def test_applied_files_exist(command: Command) -> None:
    assert (ROOT / command.words[command.words.index("-f") + 1]).exists()


@pytest.mark.parametrize("command", HELM, ids=str)
def test_helm_knows_the_command_and_its_flags(command: Command, helm: Path) -> None:
    verb = command.words[1]
    assert used(command.words) <= flags(helm, verb)
    assert [each for each in command.words if (ROOT / each / "Chart.yaml").exists()]
