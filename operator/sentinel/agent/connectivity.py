"""Tests which names resolve, are allowed and are reached, from a process under the guard."""

from __future__ import annotations

import ipaddress
import json
import os
from typing import Any

from sentinel.agent import fields, program
from sentinel.agent.children import Children
from sentinel.agent.errors import bad
from sentinel.agent.guarding import Guarding
from sentinel.guard.policy import Policy

MAX_TARGETS = 64
_SECONDS = 30.0


def targets_of(body: fields.Body, policy: Policy) -> list[tuple[str, int]]:
    """Return what to dial: what the call names, else everything on the list. Raises Refusal."""
    given = body.get("targets", [])
    if not isinstance(given, list) or len(given) > MAX_TARGETS:
        raise bad(f"targets: a list of at most {MAX_TARGETS} is needed")
    if given:
        return [_target(each) for each in given]
    listed = [(rule.name, rule.ports) for rule in policy.hosts if not rule.below]
    listed += [
        (str(rule.network.network_address), rule.ports)
        for rule in policy.networks
        if rule.network.num_addresses == 1
    ]
    found = [(host, port) for host, ports in listed for port in sorted(ports)]
    return found[:MAX_TARGETS]


def _target(each: Any) -> tuple[str, int]:
    if not isinstance(each, dict):
        raise bad("targets: objects with host and port are needed")
    return fields.text(each, "host", limit=253).lower(), fields.port(each, "port")


def allows(policy: Policy, host: str, port: int) -> bool:
    """Tell whether the list has this name or address with this port."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return any(port in ports for ports in policy.ports_of(host.rstrip(".")))
    return address.is_loopback or policy.network_allows(address.packed, port)


def test(
    body: fields.Body, guarding: Guarding, children: Children, env: dict[str, str]
) -> list[dict[str, Any]]:
    """Return one result for each target. Raises Refusal."""
    targets = targets_of(body, guarding.policy)
    if not targets:
        return []
    argv = program.python(program.source("dial"))
    dialler = program.Program(guarding, children, argv, env)
    try:
        dialler.send(json.dumps(targets).encode())
        dialler.end_input()
        results = [_result(dialler.line(_SECONDS), *target) for target in targets]
    finally:
        dialler.close()
    for result in results:
        result["allowed"] = allows(guarding.policy, result["host"], result["port"])
    return results


def _result(line: bytes, host: str, port: int) -> dict[str, Any]:
    if line:
        return dict(json.loads(line))
    return {
        "host": host,
        "port": port,
        "resolved": [],
        "reachable": False,
        "milliseconds": round(_SECONDS * 1000),
        "error": f"no answer within {_SECONDS:g} s",
    }


def environment() -> dict[str, str]:
    """Return what programs beside the workload get: no secrets."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
