"""Ports that a service exposes, and the endpoints that follow from them."""

from __future__ import annotations

import re
from typing import Any

from akash_sandbox.sdl.errors import SdlError
from akash_sandbox.sdl.node import Node

_FIELDS = ("port", "as", "proto", "accept", "to", "http_options")
_HTTP = {
    # SDL name: (manifest name, default, greatest)
    "max_body_size": ("maxBodySize", 1048576, 104857600),
    "read_timeout": ("readTimeout", 60000, 60000),
    "send_timeout": ("sendTimeout", 60000, 60000),
    "next_tries": ("nextTries", 3, None),
    "next_timeout": ("nextTimeout", 0, None),
}
_CASES = {"error", "timeout", "500", "502", "503", "504", "403", "404", "429"}
_HOSTNAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def exposures(service: Node, name: str) -> list[dict[str, Any]]:
    """Return the manifest's ``expose`` list of one service, in the reference order."""
    found = [entry for node in service.nodes("expose") for entry in _entries(node, name)]
    return sorted(found, key=lambda e: (e["service"], e["port"], e["proto"], not e["global"]))


def endpoints(exposed: list[dict[str, Any]]) -> list[dict[str, int]]:
    """Return the endpoints that a service's global ports take (kind 0 is left out, as in JSON)."""
    return [_endpoint(entry) for entry in exposed if entry["global"]]


def is_shared_http(entry: dict[str, Any]) -> bool:
    """Whether the provider would serve this port through its HTTP ingress."""
    return bool(entry["proto"] == "TCP" and (entry["externalPort"] or entry["port"]) == 80)


def _endpoint(entry: dict[str, Any]) -> dict[str, int]:
    shared: dict[str, int] = {"sequence_number": 0}
    return shared if is_shared_http(entry) else {"kind": 1, **shared}


def _entries(node: Node, service: str) -> list[dict[str, Any]]:
    node.only(_FIELDS)
    common = {
        "port": _port(node, "port", service),
        "externalPort": _port(node, "as", service) if "as" in node else 0,
        "proto": _protocol(node),
        "hosts": _hosts(node),
        "httpOptions": _http_options(node.child("http_options")),
        "ip": "",
        "endpointSequenceNumber": 0,
    }
    targets = node.nodes("to") or [Node({}, node.where("to"))]
    return [{**common, **_target(to, service)} for to in targets]


def _target(to: Node, service: str) -> dict[str, Any]:
    to.only(("service", "global", "ip"))
    is_global = to.flag("global")
    if to.text("ip") and not is_global:
        raise SdlError(
            f'SDL invalid: error on "{service}" if an IP is declared the directive must be '
            "declared as global"
        )
    return {"service": to.text("service"), "global": is_global}


def _port(node: Node, key: str, service: str) -> int:
    value = node.integer(key)
    if not 0 < value <= 65535:
        raise SdlError(
            f'invalid manifest: service "{service}": port value must be 0 < value <= 65535 '
        )
    return value


def _protocol(node: Node) -> str:
    proto = node.text("proto").upper() or "TCP"
    if proto not in ("TCP", "UDP"):
        raise SdlError("unsupported service protocol")
    return proto


def _hosts(node: Node) -> list[str] | None:
    hosts = node.texts("accept")
    for host in hosts or ():
        if len(host) > 255 or not _HOSTNAME.fullmatch(host):
            raise SdlError(f"invalid manifest: {host!r} is not a DNS name")
    return hosts or None


def _http_options(node: Node) -> dict[str, Any]:
    node.only((*_HTTP, "next_cases"))
    options: dict[str, Any] = {}
    for key, (name, default, greatest) in _HTTP.items():
        value = node.integer(key) or default
        if value < 0 or (greatest is not None and value > greatest):
            unit = "bytes" if key == "max_body_size" else "ms"
            raise SdlError(
                f"http option not allowed: {key.replace('_', ' ')} cannot be greater than "
                f"{greatest} {unit}"
            )
        options[name] = value
    return {**options, "nextCases": _next_cases(node)}


def _next_cases(node: Node) -> list[str]:
    cases = node.texts("next_cases") or ["error", "timeout"]
    if "off" in cases:
        if len(cases) > 1:
            raise SdlError("if 'off' is specified, no other cases may be specified")
        return cases
    for case in cases:
        if case not in _CASES:
            raise SdlError(f'next case is unknown: "{case}"')
    return cases
