"""The command line: what it accepts, what it says, which exit code it gives."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sentinel.packing import part_size
from tests.sentinel.guard.conftest import NOBODY, Runner
from tests.sentinel.guard.netns import ALLOWED, FORBIDDEN, Wire
from tests.sentinel.guard.rungs import VARIANTS
from tests.sentinel.pythons import OTHERS, python_or_skip

FETCH = """
import sys, urllib.request
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=5).read().decode())
    except OSError as error:
        print(getattr(error, "reason", error))
"""
ALL_OF = {
    "allow": [{"cidr": f"{ALLOWED}/32", "ports": [80]}, {"host": "allowed.example", "ports": [80]}]
}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -9 $$"), 137),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("/no/such/program",), 127),
        (("/dev/null",), 126),
    ],
)
def test_the_exit_code_is_the_commands_own(
    command: tuple[str, ...], code: int, guarded: Runner
) -> None:
    assert guarded(*command).code == code


def test_what_a_machine_cannot_enforce_is_refused_with_71(guarded: Runner) -> None:
    lost = ("--without", "userNotification", "--without", "userNamespaces")
    done = guarded("touch", "/tmp/should-not-be", policy=ALL_OF, options=lost)
    assert done.code == 71
    assert done.start["level"] == "Refused"
    assert "userNotification" in done.errors
    assert not Path("/tmp/should-not-be").exists()


def test_it_runs_declared_only_when_the_policy_says_so(guarded: Runner) -> None:
    lost = ("--without", "userNotification", "--without", "userNamespaces")
    policy = {**ALL_OF, "requireEnforced": False}
    done = guarded("true", policy=policy, options=lost)
    assert (done.code, done.start["level"]) == (0, "DeclaredOnly")
    assert "nothing is enforced" in done.start["leaks"][0]


def test_what_leaks_is_named(guarded: Runner) -> None:
    policy = {**ALL_OF, "requireEnforced": False}
    done = guarded("true", policy=policy, options=("--without", "userNamespaces"))
    assert done.start["level"] == "BestEffort"
    assert "IP_PKTINFO" in done.start["leaks"][0]


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["guard"], 64, "put the command after"),
        (["guard", "--polciy", "x", "--", "true"], 64, "--polciy"),
        (["guard", "--policy", "/no/such", "--", "true"], 66, "/no/such"),
        (["guard", "--rung", "top", "--", "true"], 64, "strict-tcp"),
        (["guard", "--help"], 0, "usage"),
        (["probe", "--help"], 0, "usage"),
        (["gaurd"], 64, "usage"),
    ],
)
def test_wrong_calls_are_explained(argv: list[str], code: int, said: str, guarded: Runner) -> None:
    command = [guarded.python, "-I", "-S", str(guarded.zipapp), *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_probe_tells_what_can_be_enforced(guarded: Runner) -> None:
    command = [guarded.python, "-I", "-S", str(guarded.zipapp), "probe", "--without", "landlock"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert told["landlock"] is False
    assert set(told["rungs"]) == {"someAllowed", "nothingAllowed"}


def test_the_guard_is_small() -> None:
    assert part_size("guard") <= 40 * 1024


def test_denials_name_the_process_and_mining(guarded: Runner, clean: Wire, python: str) -> None:
    urls = (f"http://{ALLOWED}/", f"http://{FORBIDDEN}:17155/", "http://pool.rplant.xyz/")
    done = guarded(python, "-c", FETCH, *urls, *urls, policy=ALL_OF, on=clean)
    assert done.output.count("ok") == 2
    denied = [each for each in done.records if each["event"] == "denied"]
    address = next(each for each in denied if each["destination"] == FORBIDDEN)
    assert address["mining"] == "pool-port"
    assert address["exe"].startswith("/usr/bin/python") or "python" in address["exe"]
    assert FORBIDDEN in address["command"]
    name = next(each for each in denied if each["destination"] == "pool.rplant.xyz")
    assert name["mining"] == "pool-name"
    counts = {
        each["destination"]: each["count"] for each in done.records if each["event"] == "count"
    }
    assert counts[FORBIDDEN] == 2
    assert clean.forbidden() == []
    assert "pool.rplant.xyz" not in clean.questions


def test_audit_lets_through_and_is_never_called_enforced(
    guarded: Runner, clean: Wire, python: str
) -> None:
    policy = {**ALL_OF, "mode": "Audit"}
    urls = (f"http://{FORBIDDEN}/", "http://evil.example/", "http://allowed.example/")
    done = guarded(python, "-c", FETCH, *urls, policy=policy, on=clean)
    assert done.output.split() == ["ok", "ok", "ok"], done.errors
    assert done.start["level"] == "DeclaredOnly"
    assert (FORBIDDEN, 80, "no-rule") in done.denied()
    assert ("evil.example", 53, "name-not-allowed") in done.denied()


@pytest.mark.parametrize(
    "user", [0, pytest.param(NOBODY, marks=pytest.mark.long)], ids=["root", "nobody"]
)
@pytest.mark.parametrize(
    ("name", "options"),
    [each for each in VARIANTS if each[0] != "deny-all"],
    ids=[name for name, _ in VARIANTS if name != "deny-all"],
)
def test_names_work_on_every_rung(
    name: str, options: tuple[str, ...], *, user: int, guarded: Runner, clean: Wire
) -> None:
    urls = ("http://allowed.example/", "http://evil.example/", f"http://{FORBIDDEN}/")
    policy = {"allow": [{"host": "allowed.example", "ports": [80]}]}
    done = guarded(
        guarded.python, "-c", FETCH, *urls, policy=policy, options=options, on=clean, user=user
    )
    first, *others = done.output.splitlines()
    assert first == "ok", (name, done.output, done.errors)
    assert "ok" not in others
    assert clean.forbidden() == []
    assert set(clean.questions) <= {"allowed.example"}


def test_signals_reach_the_command_and_orphans_are_ended(guarded: Runner) -> None:
    script = "trap 'echo got; exit 5' TERM; sleep 31847 & (setsid sleep 31848 &) ; echo ready; wait"
    argv, _ = guarded.argv(None)
    with subprocess.Popen(
        [*argv, "sh", "-c", script], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.readline() == "got\n"
        assert running.wait(20) == 5
    assert not [
        pid for pid, words in processes() if words[:2] in (["sleep", "31847"], ["sleep", "31848"])
    ]


def test_zombies_are_reaped(guarded: Runner, python: str) -> None:
    script = (
        "import os, time\n"
        "for _ in range(20):\n"
        "    if os.fork() == 0:\n"
        "        os.fork() or time.sleep(0.2)\n"
        "        os._exit(0)\n"
        "for _ in range(20): os.wait()\n"
        "time.sleep(0.6)\n"
        "guard = os.getppid()\n"
        "states = [open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[:2]"
        " for p in os.listdir('/proc') if p.isdigit() and os.path.exists(f'/proc/{p}/stat')]\n"
        "print(sum(state == 'Z' and parent == str(guard) for state, parent in states))\n"
    )
    assert guarded(python, "-c", script).output == "0\n"


def processes() -> list[tuple[int, list[str]]]:
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append((int(each.parent.name), each.read_bytes().decode().split("\0")))
    return found


def test_a_killed_guard_leaves_nothing_open(guarded: Runner, clean: Wire, python: str) -> None:
    script = (
        "import os, signal, socket, sys, time\n"
        "time.sleep(1.2)\n"
        f"print(socket.socket().connect_ex(('{FORBIDDEN}', 80)), flush=True)\n"
    )
    argv, _ = guarded.argv(ALL_OF)
    command = clean.inside([*argv, python, "-c", script])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        time.sleep(0.7)
        running.kill()
        assert running.stdout is not None
        assert running.stdout.read().strip() in ("", "38")
    assert clean.forbidden() == []


def test_the_guard_cannot_be_signalled(guarded: Runner, python: str) -> None:
    script = "import os; os.kill(os.getppid(), 9)"
    done = guarded(python, "-c", script)
    assert re.search("PermissionError|not permitted", done.errors)


@pytest.mark.parametrize("version", OTHERS)
def test_other_pythons_run_it(version: str, guarded: Runner, clean: Wire) -> None:
    found = python_or_skip(version)
    fetch = (guarded.python, "-c", FETCH, "http://allowed.example/", f"http://{FORBIDDEN}/")
    done = guarded(*fetch, policy=ALL_OF, on=clean, python=found)
    assert done.start["facts"]["python"].startswith(version)
    assert done.output.splitlines()[0] == "ok", done.errors
    assert "ok" not in done.output.splitlines()[1:]
    assert clean.forbidden() == []
