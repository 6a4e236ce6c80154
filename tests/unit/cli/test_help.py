"""The command line teaches: every command says what it does, every bad argument what to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from garrison.cli.main import main

NOWHERE = "/nonexistent/kubeconfig"


def invoked(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"KUBECONFIG": "", **(env or {})})


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in sorted(group.commands.items()):
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


ALL = list(commands(main))


@pytest.mark.parametrize(
    ("path", "command"), ALL, ids=lambda each: " ".join(each) if isinstance(each, tuple) else ""
)
def test_every_command_says_what_it_does(path: tuple[str, ...], command: click.Command) -> None:
    secrets = {"GARRISON_SANDBOX_URL": "http://127.0.0.1:1"}
    result = invoked(*path, "--help", env=secrets)
    if path[0] == "sandbox" and len(path) > 1:
        assert command.help
        return
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output
    assert command.help
    assert command.help.splitlines()[0].rstrip().endswith((".", ":"))


def test_the_first_help_shows_three_ways_in() -> None:
    output = invoked("-h").output
    for each in ("garrison run", "garrison connect iw/chat", "garrison sandbox"):
        assert each in output


def test_version() -> None:
    result = invoked("version")
    assert result.exit_code == 0
    assert result.output.strip()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("connect", "pod/chat"), "'pod/chat' is not a workload; write iw/chat"),
        (("connect", "iw/"), "'iw/' is not a workload; write iw/chat"),
        (("connect",), "Missing argument"),
        (("connect", "chat", "-p", "70000"), "65535"),
        (("connect", "chat", "--kubeconfig", NOWHERE), NOWHERE),
        (("run", "--kubeconfig", NOWHERE), NOWHERE),
        (("logs", "pod/chat"), "'pod/chat' is not a workload; write iw/chat"),
        (("logs", "chat", "--kubeconfig", NOWHERE), NOWHERE),
        (("logs", "chat", "--tail", "-1"), "x>=0"),
        (("shell", "chat", "-t", "--", "top"), "-t needs a terminal"),
        (("connectivity", "chat", "host:port"), "'host:port' is no destination"),
        (("connectivity", "chat", "[::1]:0"), "'[::1]:0' is no destination"),
        (("events", "chat", "--kubeconfig", NOWHERE), NOWHERE),
        (("account", "--kubeconfig", NOWHERE), NOWHERE),
        (("providers", "pod/chat"), "is not a workload"),
        (("run", "--workers", "0"), "1<=x<=256"),
        (("run", "--survey-seconds", "0.1"), "1<=x<=3600"),
        (("run", "--log-format", "xml"), "'text', 'json'"),
        (("sandbox", "providers"), "--url"),
        (("nonsense",), "No such command"),
    ],
)
def test_a_bad_argument_is_answered_with_what_to_write(
    arguments: tuple[str, ...], said: str
) -> None:
    result = invoked(*arguments)
    assert result.exit_code != 0
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "target", ["iw/chat", "chat", "inferenceworkload/chat", "inferenceworkloads/chat"]
)
def test_a_target_may_be_written_in_every_usual_way(target: str) -> None:
    result = invoked("connect", target, "--kubeconfig", NOWHERE)
    assert "is not a workload" not in result.output


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "admin-token")
    result = invoked("sandbox", "--url", "http://127.0.0.1:1", "--token-file", missing, "clear")
    assert result.exit_code == 2
    assert "admin-token" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("close-lease", "seven"), "write DSEQ or DSEQ/GSEQ/OSEQ"),
        (("reclaim", "1/2"), "write DSEQ or DSEQ/GSEQ/OSEQ"),
        (("close-lease", "7", "--reason", "boredom"), "decommission"),
        (("wrong-hardware", "p", "--slowdown", "0.5"), "1<=x<=100"),
        (("clear",), "127.0.0.1:1"),
    ],
)
def test_the_sandbox_commands_explain_themselves(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    token = tmp_path / "admin-token"
    token.write_text("secret-token\n")
    where = ("sandbox", "--url", "http://127.0.0.1:1", "--token-file", str(token))
    result = invoked(*where, *arguments)
    assert result.exit_code != 0
    assert said in result.output
    assert "secret-token" not in result.output
