"""From YAML to an ``Sdl``, or to every problem that it has."""

from __future__ import annotations

import re
from collections.abc import Callable

from garrison.adapters.akash.sdl import quantity
from garrison.adapters.akash.sdl.errors import Problem, SdlError
from garrison.adapters.akash.sdl.fields import Field, Findings, Record
from garrison.adapters.akash.sdl.model import Assignment, Sdl, Version
from garrison.adapters.akash.sdl.profiles import compute, placement
from garrison.adapters.akash.sdl.rules import doubts_of, findings_of
from garrison.adapters.akash.sdl.services import service
from garrison.adapters.akash.sdl.source import compose

ENDPOINT_KIND = "ip"
_VERSION = re.compile(
    r"v?(?P<major>[0-9]+)(?:\.(?P<minor>[0-9]+)(?:\.(?P<patch>[0-9]+)"
    r"(?P<before>-[-.0-9A-Za-z]+)?(?:\+[-.0-9A-Za-z]+)?)?)?"
)
_ENDPOINT = re.compile(r"[a-z]+[-_0-9a-z]+")


def parse(source: bytes | str, warn: Callable[[Problem], None] | None = None) -> Sdl:
    """Return the document. Raises SdlError with every problem found.

    Fields are checked first; only when they are sound, what they say of each other is. ``warn`` is
    told, in line order, what is taken as it stands though it may not be what was meant.
    """
    findings = Findings()
    sdl = _document(Field("", compose(source, findings.warnings.append), findings))
    if not findings.problems:
        for found in findings_of(sdl):
            findings.add(found.path, found.message)
    if not findings.problems:
        for found in doubts_of(sdl):
            findings.warn(found.path, found.message)
    if warn is not None:
        for each in sorted(findings.warnings):
            warn(each)
    if findings.problems:
        raise SdlError(findings.problems)
    return sdl


def _document(root: Field) -> Sdl:
    record = root.strict_record(
        "version",
        "include",
        "services",
        "profiles",
        "deployment",
        "endpoints",
        "reclamation",
    )
    version = _version(record["version"])
    profiles = _present(record, "profiles").record("compute", "placement")
    return Sdl(
        version=version,
        services={
            name: service(name, field, version)
            for name, field in _present(record, "services").entries().items()
        },
        compute={name: compute(f) for name, f in _present(profiles, "compute").entries().items()},
        placement={
            name: placement(f) for name, f in _present(profiles, "placement").entries().items()
        },
        deployment={
            name: {place: _assignment(each) for place, each in field.entries().items()}
            for name, field in _present(record, "deployment").entries().items()
        },
        endpoints=_endpoints(record["endpoints"]),
        include=record["include"].texts() or (),
        reclamation=_reclamation(record["reclamation"]),
    )


def _present(record: Record, name: str) -> Field:
    field = record[name]
    if field.absent and (record.whole.given or not record.whole.path):
        field.fail("missing")
    return field


def _version(field: Field) -> Version:
    """Return the rules that a version means; the reference takes what comes after 2.1 for that."""
    text = field.text().strip()
    match = _VERSION.fullmatch(text) if len(text) < 64 else None
    found = _rules(match) if match is not None else None
    if found is not None:
        if (number := _number(match)) > (2, 1, 0):
            field.warn(f"version {'.'.join(map(str, number))} is read as 2.1")
        return found
    if field.absent:
        field.fail('missing; write version: "2.0"')
    else:
        field.fail(f'version {text!r} is not known; write "2.0" or "2.1"')
    return Version.V2_1


def _rules(match: re.Match[str]) -> Version | None:
    number, is_before = _number(match), match["before"] is not None
    if number == (2, 0, 0) and not is_before:
        return Version.V2_0
    return Version.V2_1 if (number, not is_before) >= ((2, 1, 0), True) else None


def _number(match: re.Match[str] | None) -> tuple[int, int, int]:
    if match is None:
        return (0, 0, 0)
    return (int(match["major"]), int(match["minor"] or 0), int(match["patch"] or 0))


def _assignment(field: Field) -> Assignment:
    record = field.record("profile", "count")
    if record["count"].absent:
        record["count"].fail("missing; say how many replicas, such as 1")
    return Assignment(
        profile=record["profile"].required("name a profile of profiles.compute"),
        count=record["count"].integer(least=1) or 1,
    )


def _endpoints(field: Field) -> tuple[str, ...]:
    entries = field.entries()
    for name, entry in entries.items():
        if not _ENDPOINT.fullmatch(name):
            entry.fail("a name of an endpoint is two or more lower-case letters, digits, - and _")
        kind = entry.record("kind")["kind"]
        if kind.required("write kind: ip") not in {"", ENDPOINT_KIND}:
            kind.fail("only kind ip is known")
    return tuple(sorted(entries))


def _reclamation(field: Field) -> int | None:
    if not field.given:
        return None
    window = field.record("min_window")["min_window"]
    return window.measured(quantity.duration, None)
