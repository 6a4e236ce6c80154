"""The commands that look inside, against a real sentinel, over the cluster's objects."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from garrison.api.lease import EndpointStatus, Lease, SentinelRef, SentinelStatus
from garrison.api.meta import LEASE, WORKLOAD, LocalRef
from garrison.api.workload import ClientStatus, WorkloadStatus
from tests.builders import NOW, lease, workload
from tests.sentinel.agent.agent_process import (
    CONSOLE_CLIENT,
    LEASES,
    WORKLOAD_CLIENT,
    AgentProcess,
    until,
)
from tests.sentinel.agent.agent_process import (
    LEASE as LEASE_UID,
)
from tests.sentinel.pki import Issued
from tests.unit.cli.cluster import Cluster, Json, document, invoked, secret

CONSOLE = "chat-console-1"
WHERE = ("-n", "prod", "--allow-private")


def replica(agent: AgentProcess, name: str = "chat-aaaaaa", **status: Any) -> Lease:
    """The lease whose container the agent holds, as the operator describes it."""
    key = agent.status()["certificate"]["key"]
    found = lease("Ready", name=name, uid=LEASE_UID, gseq=1, oseq=1, provider="p1")
    enrolled = SentinelStatus(
        instance="i", key=key, certificate_until=NOW + timedelta(hours=12), enrolled_at=NOW
    )
    control = EndpointStatus(host="127.0.0.1", port=agent.control)
    ref = SentinelRef(digest="0" * 64, secret_ref=LocalRef(name="bootstrap"))
    return replace(
        found,
        spec=replace(found.spec, sentinel=ref),
        status=replace(replace(found.status, sentinel=enrolled, control=control), **status),
    )


def objects(*leases: Lease, identity: Issued = CONSOLE_CLIENT) -> list[Json]:
    client = ClientStatus(
        secret="chat-client-1", console=CONSOLE, turn=1, until=NOW + timedelta(hours=24)
    )
    described = workload(status=WorkloadStatus(client=client), trust="Verified")
    return [
        document(described),
        *(document(each) for each in leases),
        secret(
            "prod", CONSOLE, tls_crt=identity.certificate, tls_key=identity.key, ca_crt=LEASES.pem
        ),
    ]


def asked(cluster: Cluster, command: str, *rest: str) -> Result:
    return invoked(cluster, command, "iw/chat", *WHERE, *rest)


def program(folder: Path, found: list[Json], *arguments: str) -> list[str]:
    """The same in a process of its own."""
    path = folder / "cluster.json"
    path.write_text(json.dumps(found))
    command, *rest = arguments
    return [
        sys.executable,
        "-m",
        "tests.unit.cli.cluster",
        str(path),
        command,
        "iw/chat",
        *WHERE,
        *rest,
    ]


@pytest.fixture
def serving(enrolled: AgentProcess) -> AgentProcess:
    """An agent whose workload writes lines for as long as it runs."""
    script = "echo one; echo two >&2; sleep 0.5; echo three; while sleep 0.2; do :; done"
    enrolled.call("POST", "/v1/start", enrolled.launch(argv=["/bin/sh", "-c", script]))
    until(lambda: b"three" in enrolled.raw("GET", "/v1/logs")[1])
    return enrolled


# -- logs


def test_logs(serving: AgentProcess) -> None:
    cluster = Cluster(objects(replica(serving)))
    result = asked(cluster, "logs")
    assert sorted(result.stdout.splitlines()) == ["one", "three", "two"]
    assert result.exit_code == 0
    assert asked(cluster, "logs", "--tail", "1").stdout == "three\n"
    assert asked(cluster, "logs", "--tail", "0").stdout == ""


def test_logs_of_several_replicas_are_told_apart(serving: AgentProcess) -> None:
    other = replica(serving, "chat-bbbbbb")
    result = asked(Cluster(objects(replica(serving), other)), "logs", "--tail", "1")
    assert result.stdout.splitlines() == ["chat-aaaaaa three", "chat-bbbbbb three"]


def test_one_replica_that_is_away_hides_no_other(serving: AgentProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    away = replica(serving, "chat-bbbbbb", control=EndpointStatus(host="127.0.0.1", port=port))
    result = asked(Cluster(objects(replica(serving), away)), "logs", "--tail", "1")
    assert result.stdout == "chat-aaaaaa three\n"
    assert "chat-bbbbbb: sentinel at 127.0.0.1" in result.stderr
    assert result.exit_code == 1


class Follower:
    """``logs -f`` in this process, with its lines."""

    def __init__(self, folder: Path, found: list[Json]) -> None:
        self.child = subprocess.Popen(
            program(folder, found, "logs", "-f"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.child.send_signal(number)
        code = self.child.wait(20)
        self._thread.join(20)
        assert self.child.stderr is not None
        with self.child.stderr as errors:
            said = errors.read()
        assert self.child.stdout is not None
        self.child.stdout.close()
        return code, said


def test_follow_goes_on_until_ctrl_c(running: AgentProcess, tmp_path: Path) -> None:
    follower = Follower(tmp_path, objects(replica(running)))
    running.get("/first")
    until(lambda: "served /first" in follower.lines)
    running.get("/second")
    until(lambda: "served /second" in follower.lines)
    code, said = follower.end()
    assert code == 130
    assert "Traceback" not in said
    assert follower.lines.count("served /first") == 1


# -- connectivity


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_connectivity(serving: AgentProcess, listening: int) -> None:
    cluster = Cluster(objects(replica(serving)))
    reached = asked(cluster, "connectivity", f"127.0.0.1:{listening}")
    assert reached.exit_code == 0
    row = next(each for each in reached.stdout.splitlines() if "chat-aaaaaa" in each)
    assert row.split()[1:5] == [f"127.0.0.1:{listening}", "127.0.0.1", "yes", "yes"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    refused = asked(cluster, "connectivity", "-o", "json", f"127.0.0.1:{closed}")
    assert refused.exit_code == 1
    (found,) = json.loads(refused.stdout)
    assert (found["replica"], found["allowed"], found["reachable"]) == ("chat-aaaaaa", True, False)


def test_what_the_list_forbids_is_no_failure(serving: AgentProcess) -> None:
    result = asked(Cluster(objects(replica(serving))), "connectivity", "-o", "json", "192.0.2.1:9")
    (found,) = json.loads(result.stdout)
    assert not found["allowed"]
    assert result.exit_code == 0


def test_without_arguments_it_dials_what_the_list_names_and_no_range(
    serving: AgentProcess, listening: int
) -> None:
    """Wildcards and networks name nothing that could be dialled."""
    allow = [
        {"host": "hub.invalid", "ports": [443, 8443]},
        {"host": "*.models.invalid", "ports": [443]},
        {"cidr": "127.0.0.1/32", "ports": [listening]},
        {"cidr": "198.51.100.0/24", "ports": [5432]},
    ]
    serving.call("PUT", "/v1/egress", {"version": 2, "spec": {"allow": allow}})
    result = asked(Cluster(objects(replica(serving))), "connectivity", "-o", "json")
    found = {(each["host"], each["port"]): each for each in json.loads(result.stdout)}
    assert set(found) == {("hub.invalid", 443), ("hub.invalid", 8443), ("127.0.0.1", listening)}
    assert all(each["allowed"] for each in found.values())
    reached = [place for place, each in found.items() if each["reachable"]]
    assert reached == [("127.0.0.1", listening)]
    assert found["hub.invalid", 443]["error"]
    assert result.exit_code == 1, "a name of the list is not reached"


def test_an_empty_list_is_said_to_be_empty(serving: AgentProcess) -> None:
    result = asked(Cluster(objects(replica(serving))), "connectivity")
    assert "the list is empty" in result.stdout
    assert result.exit_code == 0


# -- shell


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        (("echo", "a b", "$HOME"), 0, "a b $HOME\n", ""),
        (("sh", "-c", "echo x >&2; exit 7"), 7, "", "x\n"),
        (("sh", "-c", "kill -9 $$"), 137, "", ""),
    ],
)
def test_a_command(
    serving: AgentProcess, command: tuple[str, ...], code: int, out: str, err: str
) -> None:
    result = asked(Cluster(objects(replica(serving))), "shell", "--", *command)
    assert (result.exit_code, result.stdout, result.stderr) == (code, out, err)


def test_input_is_passed_and_ended(serving: AgentProcess, tmp_path: Path) -> None:
    command = program(tmp_path, objects(replica(serving)), "shell", "-i", "--", "sort")
    done = subprocess.run(command, input=b"b\na\n", capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"a\nb\n")
    script = program(tmp_path, objects(replica(serving)), "shell")
    done = subprocess.run(script, input=b"exit 3\n", capture_output=True, timeout=60, check=False)
    assert done.returncode == 3


def test_a_terminal(serving: AgentProcess, tmp_path: Path) -> None:
    command = program(tmp_path, objects(replica(serving)), "shell")
    terminal = Terminal(command, {**os.environ, "TERM": "dumb"})
    try:
        _used(terminal)
    finally:
        terminal.kill()


def _used(terminal: Terminal) -> None:
    terminal.type("stty size; echo re''ady\n")
    terminal.expect(b"24 80")
    terminal.expect(b"ready")
    terminal.resize(33, 101)
    terminal.type("sleep 0.5; stty size\n")
    terminal.expect(b"33 101")
    terminal.type("echo sta''rted; sleep 600; echo not''reached\n")
    terminal.expect(b"started")
    _interrupt(terminal)
    assert terminal.ended() == 5
    assert b"notreached" not in terminal.shown


def _interrupt(terminal: Terminal) -> None:
    """Press Ctrl-C as a person would: again, when it came before the command was in the foreground."""
    for _ in range(15):
        terminal.type("\x03")
        terminal.expect(b"^C")
        terminal.type("echo in''terrupted; exit 5\n")
        with contextlib.suppress(AssertionError):
            until(lambda: b"interrupted" in terminal.shown, 3.0)
            return
    raise AssertionError(terminal.shown)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(24, 80)
        self.shown = b""
        self._child = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
        )
        os.close(theirs)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 4096)
            except OSError:
                return
            self.shown += data

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def expect(self, text: bytes) -> None:
        until(lambda: text in self.shown)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if hasattr(self, "_child"):
            self._child.send_signal(signal.SIGWINCH)

    def ended(self) -> int:
        return self._child.wait(20)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()
        self._thread.join(20)
        os.close(self._ours)


# -- who may, and what is said to who may not


def test_the_identity_of_data_looks_into_nothing(serving: AgentProcess) -> None:
    cluster = Cluster(objects(replica(serving), identity=WORKLOAD_CLIENT))
    for command in ("logs", "shell", "connectivity"):
        result = asked(cluster, command)
        assert result.exit_code == 1
        assert "one" not in result.stdout


def test_without_the_right_to_read_the_secret(serving: AgentProcess) -> None:
    cluster = Cluster(objects(replica(serving)), forbidden=[("Secret", "prod")])
    for command in ("logs", "shell", "connectivity"):
        result = asked(cluster, command)
        assert result.exit_code == 1
        assert f"you may not read Secret prod/{CONSOLE}" in result.output
        assert "role edit" in result.output


def test_another_key_is_not_believed(serving: AgentProcess) -> None:
    found = replica(serving)
    assert found.status.sentinel is not None
    wrong = replace(found.status.sentinel, key="0" * 64)
    other = replace(found, status=replace(found.status, sentinel=wrong))
    result = asked(Cluster(objects(other)), "logs")
    assert result.exit_code == 1
    assert "IdentityRefused" in result.output
    assert "one" not in result.stdout


def test_a_private_address_is_dialled_only_on_request(serving: AgentProcess) -> None:
    result = invoked(Cluster(objects(replica(serving))), "logs", "chat", "-n", "prod")
    assert result.exit_code == 1
    assert "UnsafeDestination" in result.output


def test_what_is_not_there_is_said(serving: AgentProcess) -> None:
    cluster = Cluster(objects(replica(serving)))
    result = asked(cluster, "logs", "--replica", "chat-zzzzzz")
    assert "--replica takes one of: chat-aaaaaa" in result.output
    sealed = replica(serving, sentinel=None)
    cluster.remove(LEASE, "prod", "chat-aaaaaa")
    cluster.put(document(replace(sealed, status=replace(sealed.status, phase="Enrolling"))))
    assert "is Enrolling: its sentinel is not enrolled yet" in asked(cluster, "shell").output
    cluster.remove(LEASE, "prod", "chat-aaaaaa")
    assert "no replica of chat has a container" in asked(cluster, "shell").output
    cluster.remove(WORKLOAD, "prod", "chat")
    assert "InferenceWorkload prod/chat does not exist" in asked(cluster, "shell").output
