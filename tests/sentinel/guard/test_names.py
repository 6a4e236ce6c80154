"""Where the addresses of allowed names come from: not from files that a workload may write."""

from __future__ import annotations

from pathlib import Path

from tests.sentinel.guard.conftest import Runner
from tests.sentinel.guard.netns import FORBIDDEN, Wire

DIAL = """
import socket
try:
    socket.create_connection(("allowed.example", 80), timeout=5)
except OSError as error:
    print(type(error).__name__)
"""
POLICY = {"allow": [{"host": "allowed.example", "ports": [80]}]}
WITH_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


def dialled(on: Wire, hosts: Path, *command: str) -> str:
    """Run the command where /etc/hosts leads the allowed name to the forbidden host."""
    hosts.write_text(f"127.0.0.1 localhost\n{FORBIDDEN} allowed.example\n")
    done = on.run(["sh", "-c", WITH_HOSTS, str(hosts), *command])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_unguarded_an_entry_of_the_hosts_file_decides(
    clean: Wire, python: str, tmp_path: Path
) -> None:
    dialled(clean, tmp_path / "hosts", python, "-c", DIAL)
    assert {each.destination for each in clean.forbidden()} == {FORBIDDEN}


def test_an_entry_of_the_hosts_file_allows_nothing(
    clean: Wire, guarded: Runner, tmp_path: Path
) -> None:
    argv, _ = guarded.argv(POLICY)
    command = [*argv, guarded.python, "-c", DIAL]
    assert dialled(clean, tmp_path / "hosts", *command) == "PermissionError"
    assert clean.forbidden() == []
