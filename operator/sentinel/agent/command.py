"""The command ``run``: process 1 of a rented container."""

from __future__ import annotations

import gc
import os
import ssl  # noqa: F401 -- the relay's workers need it: loaded before the fork, all share it
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from sentinel.agent import loader
from sentinel.agent.errors import BootstrapError
from sentinel.guard.annex import fork_annex
from sentinel.guard.errors import PolicyError
from sentinel.guard.kernel import return_memory
from sentinel.relay.workers import Relay, worker_count

EX_OK, EX_USAGE, EX_OSERR, EX_CONFIG = 0, 64, 71, 78
_OURS = "GARRISON_"
_USAGE = """usage: sentinel.pyz run [--bootstrap FILE] [--listen ADDRESS] [--rung NAME]

Holds a rented container: sealed until Garrison's operator has verified it by mutual TLS on the
control port, then runs the workload under its egress policy and relays mutual TLS to it.
Garrison starts it as process 1; the bootstrap comes from the variable GARRISON_BOOTSTRAP.

  --bootstrap FILE   read the bootstrap (JSON) from a file instead
  --listen ADDRESS   listen on this address only (default: all)
  --rung NAME        use this way of enforcing or none (see 'sentinel.pyz probe')

The exit code is 0 after SIGTERM, 78 for a bootstrap that is not usable, 71 when a port is taken,
75 when the container must be restarted to take a policy of another mode.
"""


def run(argv: Sequence[str]) -> int:
    """Hold a rented container until it is told to end; returns the exit code."""
    given = _options(argv)
    if given is None:
        sys.stderr.write(_USAGE)
        return EX_USAGE
    if "--help" in given:
        sys.stdout.write(_USAGE)
        return EX_OK
    try:
        return _hold(given)
    except (BootstrapError, PolicyError) as error:
        sys.stderr.write(f"sentinel: {error}\n")
        return EX_CONFIG
    except OSError as error:
        sys.stderr.write(f"sentinel: cannot start: {error}\n")
        return EX_OSERR


def _options(argv: Sequence[str]) -> dict[str, str] | None:
    given: dict[str, str] = {}
    words = list(argv)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in ("-h", "--help"):
            return {"--help": ""}
        if name not in ("--bootstrap", "--listen", "--rung") or not (equals or words):
            return None
        given[name] = value if equals else words.pop(0)
    return given


def _hold(given: Mapping[str, str]) -> int:
    """Fork the helpers while this process is small, and then load the rest of the program."""
    text = _bootstrap(given.get("--bootstrap", ""))
    return_memory()  # what compiling has left over need not be in three processes
    relay = Relay(worker_count(_cores()))
    try:
        annex = fork_annex()
        gc.disable()  # see ``main``
        from sentinel.agent.bootstrap import decode, parse  # noqa: PLC0415 -- see above
        from sentinel.agent.supervisor import Supervisor  # noqa: PLC0415

        gc.freeze()
        gc.enable()
        bootstrap = decode(text) if isinstance(text, str) else parse(text)
        supervisor = Supervisor(bootstrap, given, relay, annex)
    except BaseException:
        relay.end()
        raise
    return supervisor.run()


def _bootstrap(path: str) -> str | bytes:
    """Return its text, and take everything of Garrison's out of the environment.

    Base64 from the environment, JSON from a file. Raises BootstrapError.
    """
    text = os.environ.get(loader.BOOTSTRAP, "")
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
    if path:
        with open(path, "rb") as file:
            return file.read()
    if not text:
        raise BootstrapError(f"the variable {loader.BOOTSTRAP} is missing; Garrison sets it")
    return text


def _cores() -> int:
    """Return how many cores this container may use, by affinity and by its quota."""
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError), open("/sys/fs/cgroup/cpu.max", encoding="utf-8") as file:
        quota, period = file.read().split()
        cores = min(cores, -(-int(quota) // int(period)))
    return cores
