"""Where the addresses of allowed names come from: not from files that a workload may write."""

from __future__ import annotations

from pathlib import Path

from sentinel.guard.resolver import PORT, system_resolvers
from tests.sentinel.guard.conftest import Runner
from tests.sentinel.guard.netns import FORBIDDEN, RESOLVER, Wire

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


ASK = """
import socket, struct, sys
labels = [b"carried.out.allowed", b"example"] if sys.argv[2] == "odd" else [b"allowed", b"example"]
name = b"".join(bytes([len(each)]) + each for each in labels) + b"\\0"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.settimeout(5)
    one.connect((sys.argv[1], 53))
    one.send(struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">HH", 1, 1))
    print(one.recv(512)[3] & 15)
"""
ZONE = {"allow": [{"host": "*.allowed.example", "ports": [80]}, {"host": "allowed.example"}]}


def test_unguarded_a_label_with_a_dot_is_asked(clean: Wire, python: str) -> None:
    assert clean.run([python, "-c", ASK, RESOLVER, "odd"]).stdout.strip() == "3"
    assert clean.questions == ["carried.out.allowed.example"]


def test_a_label_with_a_dot_is_no_such_name_and_never_asked(clean: Wire, guarded: Runner) -> None:
    script = ("-c", ASK, RESOLVER)
    odd = guarded(guarded.python, *script, "odd", policy=ZONE, on=clean)
    assert odd.output.strip() == "3"
    assert clean.questions == []
    assert (r"carried\046out\046allowed.example", 53, "no-host-name") in odd.denied()
    fine = guarded(guarded.python, *script, "fine", policy=ZONE, on=clean)
    assert fine.output.strip() == "0"
    assert clean.questions == ["allowed.example"]


def test_the_first_resolvers_of_the_file_are_asked(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    more = "".join(f"nameserver 10.0.0.{number}\n" for number in range(20))
    file.write_text(f"search example\nnameserver\nnameserver fe80::1%eth0\n{more}")
    found = system_resolvers(str(file))
    assert found[:2] == [("fe80::1", PORT), ("10.0.0.0", PORT)]
    assert len(found) == 8
    assert system_resolvers(str(tmp_path / "none")) == []
