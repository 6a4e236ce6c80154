"""The commands ``guard`` and ``probe``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from sentinel.guard.audit import ReportFile
from sentinel.guard.errors import CannotEnforce, PolicyError
from sentinel.guard.guard import Guard, Options
from sentinel.guard.init import Init
from sentinel.guard.ladder import FACTS, OBSERVING, RUNGS, climb, level_of, missing
from sentinel.guard.launch import ChildSpec
from sentinel.guard.policy import Policy, parse_policy, read_policy
from sentinel.guard.probe import probe as probe_machine

EX_OK, EX_USAGE, EX_NO_INPUT, EX_CANNOT_ENFORCE = 0, 64, 66, 71
EX_NOT_EXECUTABLE, EX_NOT_FOUND = 126, 127
_GUARD_USAGE = """usage: sentinel.pyz guard --policy FILE [--report FILE] -- COMMAND [ARGUMENT...]

Runs a command so that it, and whatever it starts, reaches only what the policy allows.

  --policy FILE    an EgressPolicy's spec as JSON; without it nothing may be reached:
                   {"mode": "Enforce", "requireEnforced": true,
                    "allow": [{"host": "huggingface.co", "ports": [443]},
                              {"host": "*.hf.co", "ports": [443]},
                              {"cidr": "203.0.113.0/24", "ports": [8443]}]}
                   A rule without ports allows 443. *.hf.co means every name below hf.co.
  --report FILE    JSON lines: what is enforced and what leaks, then each denied destination
                   (default: standard error)
  --resolver IP    ask this resolver instead of those in /etc/resolv.conf; IP#PORT for another port

To see what a weaker machine would do:
  --without FACT   do as if the machine lacked this (see 'sentinel.pyz probe'); repeat it for more
  --rung NAME      use this way of enforcing or none

The exit code is the command's own (128+n when signal n ended it), 71 when this machine cannot
enforce the policy and the policy demands it, 64 for a wrong call, 66 for an unreadable policy.
"""
_PROBE_USAGE = """usage: sentinel.pyz probe [--without FACT]

Prints as JSON what this machine can enforce: the facts, the way that would be used for a policy
that demands enforcement, and the level of each way.
"""


class _UsageError(Exception):
    """The call is wrong."""


def guard(argv: Sequence[str]) -> int:
    """Run a command under an egress policy; returns its exit code."""
    if _asks_for_help(argv):
        sys.stdout.write(_GUARD_USAGE)
        return EX_OK
    try:
        given, command = _split(argv)
        options = _options(given)
        policy = _policy(given.get("--policy", [""])[-1])
        report = ReportFile(given.get("--report", [""])[-1])
    except _UsageError as error:
        return _complain(f"{error}\n\n{_GUARD_USAGE}", EX_USAGE)
    except (PolicyError, OSError) as error:
        return _complain(str(error), EX_NO_INPUT)
    return _guarded(policy, report, options, command)


def _guarded(policy: Policy, report: ReportFile, options: Options, command: list[str]) -> int:
    held = Guard(policy, report.write, options)
    init = Init(held.reaped)
    init.catch()
    try:
        held.start()
    except CannotEnforce as error:
        return _complain(
            f"cannot enforce the policy: {error}; 'sentinel.pyz probe' tells more",
            EX_CANNOT_ENFORCE,
        )
    try:
        main = held.spawn(ChildSpec(argv=command, env=os.environ))
    except OSError as error:
        held.close()
        missing_file = isinstance(error, FileNotFoundError)
        code = EX_NOT_FOUND if missing_file else EX_NOT_EXECUTABLE
        return _complain(f"{command[0]}: {os.strerror(error.errno or 0)}", code)
    code = init.wait(main)
    init.end_rest(held.own_children())
    held.close()
    report.write({"event": "end", "exitCode": code, **held.totals()})
    return code


def probe(argv: Sequence[str]) -> int:
    """Print what this machine can enforce, as JSON."""
    if _asks_for_help(argv):
        sys.stdout.write(_PROBE_USAGE)
        return EX_OK
    try:
        given, _ = _split([*argv, "--", "-"])
        without = _options(given).without
    except _UsageError as error:
        return _complain(f"{error}\n\n{_PROBE_USAGE}", EX_USAGE)
    facts = probe_machine(without)
    some = parse_policy({"allow": [{"cidr": "203.0.113.1"}]})
    nothing = Policy()
    best = {"someAllowed": climb(facts, some), "nothingAllowed": climb(facts, nothing)}
    answer = {
        "rungs": {
            name: {"level": level_of(rung, some), "rung": rung.name if rung else "none"}
            for name, rung in best.items()
        },
        "missing": missing(facts),
        **facts,
    }
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    return EX_OK


def _asks_for_help(argv: Sequence[str]) -> bool:
    own = list(argv)[: list(argv).index("--")] if "--" in argv else argv
    return "--help" in own or "-h" in own


def _split(argv: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the options, by name, and the command after ``--``."""
    words = list(argv)
    if "--" not in words or words[-1] == "--":
        raise _UsageError("put the command after '--'")
    place = words.index("--")
    given: dict[str, list[str]] = {}
    rest = words[:place]
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in ("--policy", "--report", "--resolver", "--without", "--rung"):
            raise _UsageError(f"unknown option {name!r}")
        if not equals:
            if not rest:
                raise _UsageError(f"{name} needs a value")
            value = rest.pop(0)
        given.setdefault(name, []).append(value)
    return given, words[place + 1 :]


def _options(given: dict[str, list[str]]) -> Options:
    without = frozenset(given.get("--without", ()))
    if unknown := without - {*FACTS, "modernKernel"}:
        raise _UsageError(
            f"--without {min(unknown)}: known are {', '.join((*FACTS, 'modernKernel'))}"
        )
    rung = given.get("--rung", [""])[-1]
    names = [each.name for each in (*RUNGS, *OBSERVING)]
    if rung and rung not in names:
        raise _UsageError(f"--rung {rung}: known are {', '.join(names)}")
    return Options(
        resolvers=[_resolver(each) for each in given["--resolver"]]
        if "--resolver" in given
        else None,
        without=without & frozenset(FACTS),
        rung=rung,
        modern="modernKernel" not in without,
    )


def _resolver(text: str) -> tuple[str, int]:
    address, _, port = text.partition("#")
    if not (port or "53").isdigit():
        raise _UsageError(f"--resolver {text}: {port!r} is no port")
    return address, int(port or 53)


def _policy(path: str) -> Policy:
    if not path:
        return Policy()
    with open(path, encoding="utf-8") as file:
        return read_policy(file.read())


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"sentinel: {message.rstrip()}\n")
    return code
