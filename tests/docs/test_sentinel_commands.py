"""The document on the egress guard: its commands run, its policy is one, its rungs exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.sentinel import TARGET, write
from sentinel.guard.ladder import RUNGS
from sentinel.guard.policy import parse_policy
from tests.docs.document import document
from tests.docs.shell import Command, commands

GUIDE = document("docs/sentinel-guard.md")
POLICY = next(block.text for block in GUIDE.blocks if block.language == "json")


@pytest.mark.parametrize("command", [each for each in commands("python3") if each.whole], ids=str)
def test_commands_run(command: Command, tmp_path: Path) -> None:
    program, *words = command.words[1:]
    assert program == f"dist/{TARGET.name}"
    (tmp_path / "policy.json").write_text(POLICY)
    if "--" in words:  # the Internet is not here: the same options, another command
        words = [*words[: words.index("--") + 1], "true"]
    argv = [sys.executable, str(write(tmp_path / TARGET.name)), *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    report = tmp_path / "report.jsonl"
    refused = (
        report.exists() and json.loads(report.read_text().splitlines()[0])["level"] == "Refused"
    )
    assert done.returncode == (71 if refused else 0), done.stderr


def test_the_policy_is_one() -> None:
    policy = parse_policy(json.loads(POLICY))
    assert len(policy.hosts) == 2
    assert len(policy.networks) == 1


def test_the_table_lists_every_rung() -> None:
    named = re.findall(r"^\| `(\w+)` \| ([^|]*)\|", GUIDE.text, re.MULTILINE)
    levels = {rung: level for level, cell in named for rung in re.findall(r"`([\w-]+)`", cell)}
    for rung in RUNGS:
        assert levels[rung.name] == ("BestEffort" if rung.leaks else "Enforced")
