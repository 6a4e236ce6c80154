"""Reads services: what runs, which ports it shows, what it may do."""

from __future__ import annotations

import re
from typing import Literal, cast

from garrison.adapters.akash.sdl.fields import MOST_UINT32, Field
from garrison.adapters.akash.sdl.model import (
    Credentials,
    Expose,
    HttpOptions,
    Mount,
    Params,
    Service,
    Target,
    Version,
)

PERMISSIONS = ("deployment", "logs", "events")
TEE_TYPES = ("cpu", "cpu-gpu")
CASES = ("error", "timeout", "500", "502", "503", "504", "403", "404", "429")
NO_CASE = "off"
MOST_PORT = 65_535
MOST_BODY = 104_857_600
MOST_BUFFER = 1_048_576
MOST_TIMEOUT = 60_000
MOST_HOSTNAME = 253
# What Go's strings.TrimSpace cuts, which is less than str.strip does.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_ENV_NAME = re.compile(r"(?!\.\.)(?!\.\Z)[-._a-zA-Z][-._a-zA-Z0-9]*")
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_DEFAULTS = HttpOptions()


def service(name: str, field: Field, version: Version) -> Service:
    """Return one service; what is wrong is recorded."""
    if not _NAME.fullmatch(name):
        field.fail("a service name is lower-case letters, digits and -, starting with a letter")
    record = field.record(
        "image", "command", "args", "env", "expose", "dependencies", "params", "credentials"
    )
    return Service(
        image=record["image"].required("name the image, such as nginx:1.27.3"),
        command=record["command"].texts(),
        args=record["args"].texts(),
        env=_env(record["env"]),
        expose=tuple(_expose(item) for item in record["expose"].items() or ()),
        dependencies=tuple(_dependency(item) for item in record["dependencies"].items() or ()),
        params=_params(record["params"]),
        credentials=_credentials(record["credentials"], version),
    )


def _env(field: Field) -> tuple[str, ...] | None:
    items = field.items()
    if items is None:
        return None
    for item in items:
        name = item.text().partition("=")[0]
        if not _ENV_NAME.fullmatch(name):
            item.fail(f"{name!r} is no name of a variable; write NAME=value")
    return tuple(item.text() for item in items)


def _dependency(field: Field) -> str:
    return field.record("service")["service"].text()


def _expose(field: Field) -> Expose:
    record = field.record("port", "as", "proto", "to", "accept", "http_options")
    protocol = record["proto"].text().upper() or "TCP"
    if protocol not in {"TCP", "UDP"}:
        record["proto"].fail(f"unsupported protocol {protocol!r}; write tcp or udp")
        protocol = "TCP"
    return Expose(
        port=_port(record["port"]),
        external_port=_external_port(record["as"]),
        protocol=cast("Literal['TCP', 'UDP']", protocol),
        accept=_accept(record["accept"]),
        to=tuple(_target(item) for item in record["to"].items() or ()),
        http=_http_options(record["http_options"]),
    )


def _port(field: Field) -> int:
    if field.absent:
        field.fail("missing; name the port that the container listens on")
    return field.integer(least=1, most=MOST_PORT)


def _external_port(field: Field) -> int:
    found = field.integer()
    if found > MOST_PORT:
        field.warn(f"no port is above {MOST_PORT}; providers choose the port outside by themselves")
    return found


def _accept(field: Field) -> tuple[str, ...] | None:
    items = field.items()
    if items is None:
        return None
    for item in items:
        host = item.text()
        if len(host) > MOST_HOSTNAME or not _HOSTNAME.fullmatch(host):
            item.fail(f"{host!r} is no DNS name; write one such as www.example.com")
    return tuple(item.text() for item in items)


def _target(field: Field) -> Target:
    # The reference reads http_options here, too, and uses none of them.
    record = field.record("service", "global", "ip", "http_options")
    target = Target(
        service=record["service"].text(),
        everybody=record["global"].flag(),
        ip=record["ip"].text(),
    )
    if target.ip and not target.everybody:
        record["ip"].fail("a leased IP is reachable by everybody; add global: true")
    return target


def _http_options(field: Field) -> HttpOptions:
    record = field.record(
        "max_body_size",
        "proxy_buffer_size",
        "read_timeout",
        "send_timeout",
        "next_tries",
        "next_timeout",
        "next_cases",
    )

    def number(name: str, otherwise: int, most: int = MOST_UINT32) -> int:
        return record[name].integer(most=most) or otherwise

    return HttpOptions(
        max_body_size=number("max_body_size", _DEFAULTS.max_body_size, MOST_BODY),
        proxy_buffer_size=number("proxy_buffer_size", 0, MOST_BUFFER),
        read_timeout=number("read_timeout", _DEFAULTS.read_timeout, MOST_TIMEOUT),
        send_timeout=number("send_timeout", _DEFAULTS.send_timeout, MOST_TIMEOUT),
        next_tries=number("next_tries", _DEFAULTS.next_tries),
        next_timeout=number("next_timeout", 0),
        next_cases=_next_cases(record["next_cases"]),
    )


def _next_cases(field: Field) -> tuple[str, ...]:
    items = field.items() or []
    cases = tuple(item.text() for item in items)
    if NO_CASE in cases and len(cases) > 1:
        field.fail("off cannot stand beside other cases; write [off] alone")
    for item in items:
        item.one_of((*CASES, NO_CASE))
        if not item.text():
            item.fail("empty; remove it")
    return cases or _DEFAULTS.next_cases


def _params(field: Field) -> Params | None:
    if field.absent:
        return None
    record = field.record("storage", "permissions", "tee")
    tee = record["tee"].one_of(TEE_TYPES) or None
    return Params(
        storage={name: _mount(item) for name, item in record["storage"].entries().items()},
        permissions=_permissions(record["permissions"]),
        tee=cast("Literal['cpu', 'cpu-gpu'] | None", tee),
    )


def _mount(field: Field) -> Mount:
    record = field.record("mount", "readOnly")
    path = record["mount"].text()
    if not path.startswith("/"):
        record["mount"].fail("must be an absolute path, such as /data")
    return Mount(path=path, read_only=record["readOnly"].flag())


def _permissions(field: Field) -> tuple[str, ...] | None:
    if field.absent:
        return None
    items = field.record("read")["read"].items() or []
    for item in items:
        if not item.text():
            item.fail("empty; remove it")
    return tuple(item.one_of(PERMISSIONS) for item in items)


def _credentials(field: Field, version: Version) -> Credentials | None:
    if field.absent:
        return None
    record = field.record("host", "username", "password", "email")
    found = {}
    for name in ("host", "username", "password"):
        found[name] = record[name].required("the registry asks for it")
        if found[name] and not found[name].strip(_SPACE):
            record[name].fail("blank; the registry asks for it")
    email = record["email"].text()
    if version is Version.V2_0:
        # The reference's 2.0 compiler keeps spaces and drops the address.
        return Credentials(**found)
    trimmed = {name: text.strip(_SPACE) for name, text in found.items()}
    return Credentials(**trimmed, email=email.strip(_SPACE))
