"""The SDL document as a whole, checked for what only the whole can show."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from akash_sandbox.sdl.compute import Compute, parse_compute
from akash_sandbox.sdl.errors import SdlError
from akash_sandbox.sdl.node import Node
from akash_sandbox.sdl.placement import Placement, parse_placement
from akash_sandbox.sdl.service import Service, parse_service

_FIELDS = (
    "version",
    "include",
    "services",
    "profiles",
    "deployment",
    "endpoints",
    "reclamation",
)
_VERSION = re.compile(r"2\.(\d+)(\.\d+)?")
_WINDOW = re.compile(r"(\d+)([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """``service`` runs ``count`` times in ``placement`` with the resources of ``profile``."""

    service: str
    placement: str
    profile: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A checked SDL. ``reclamation`` is the least notice in seconds, None when not asked for."""

    version: str
    services: dict[str, Service]
    computes: dict[str, Compute]
    placements: dict[str, Placement]
    units: tuple[Unit, ...]
    reclamation: int | None


def load(text: str) -> Document:
    """Return the parsed SDL; raises SdlError with the reference library's text where it has one."""
    root = _root(text)
    version = _version(root)
    _refuse_leased_ips(root)
    profiles = root.child("profiles").only(("compute", "placement"))
    document = Document(
        version=version,
        services={
            name: parse_service(name, node, version)
            for name, node in root.child("services").children()
        },
        computes={name: parse_compute(n) for name, n in profiles.child("compute").children()},
        placements={name: parse_placement(n) for name, n in profiles.child("placement").children()},
        units=_units(root.child("deployment")),
        reclamation=_reclamation(root),
    )
    _check(document)
    return document


def _root(text: str) -> Node:
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SdlError(f"SDL invalid: not YAML: {error}") from error
    return Node(raw, "").only(_FIELDS)


def _version(root: Node) -> str:
    version = root.text("version")
    if not version:
        raise SdlError("SDL invalid: no version found")
    match = _VERSION.fullmatch(version)
    if match is None:
        raise SdlError(f'SDL invalid: config: unsupported version "{version}"')
    return "2.0" if match[1] == "0" else "2.1"


def _refuse_leased_ips(root: Node) -> None:
    if list(root.child("endpoints")):
        raise SdlError("SDL invalid: this market leases no IP addresses; remove `endpoints`")


def _units(deployment: Node) -> tuple[Unit, ...]:
    units = []
    for service, placements in deployment.children():
        for placement, node in placements.children():
            node.only(("profile", "count"))
            count = node.integer("count")
            if count < 1:
                raise SdlError("invalid total CPU (19200000 > 0 > 0 fails)")
            units.append(
                Unit(
                    service=service, placement=placement, profile=node.text("profile"), count=count
                )
            )
    return tuple(units)


def _reclamation(root: Node) -> int | None:
    if "reclamation" not in root:
        return None
    window = root.child("reclamation").only(("min_window",)).text("min_window")
    match = _WINDOW.fullmatch(window)
    if match is None:
        raise SdlError(f"SDL invalid: reclamation min_window {window!r}; write it like 2h")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds <= 0:
        raise SdlError("SDL invalid: reclamation min_window must be > 0")
    return seconds


def _check(document: Document) -> None:
    if not document.units:
        raise SdlError("SDL invalid: nothing to deploy")
    for unit in document.units:
        _check_unit(document, unit)
    _check_exposures(document)
    _check_denoms(document)
    _check_totals(document)


def _check_unit(document: Document, unit: Unit) -> None:
    where = f"SDL invalid: {unit.service}.{unit.placement}"
    service = document.services.get(unit.service)
    compute = document.computes.get(unit.profile)
    placement = document.placements.get(unit.placement)
    if placement is None:
        raise SdlError(f"{where}: no placement profile named {unit.placement}")
    if compute is None:
        raise SdlError(f"{where}: no compute profile named {unit.profile}")
    if unit.profile not in placement.prices:
        raise SdlError(f"{where}: no pricing for profile {unit.profile}")
    if service is None:
        raise SdlError(f"{where}: no service profile named {unit.service}")
    for volume in service.mounts:
        if volume not in {v.name for v in compute.storage}:
            raise SdlError(
                f'SDL invalid: service "{unit.service}" references to no-existing compute volume '
                f'named "{volume}"'
            )
    _check_mounted(service, compute)


def _check_mounted(service: Service, compute: Compute) -> None:
    for volume in compute.storage:
        if ("persistent", "true") in volume.attributes and volume.name not in service.mounts:
            raise SdlError(
                f'SDL invalid: service "{service.name}" does not mount persistent volume '
                f'"{volume.name}"'
            )


def _check_exposures(document: Document) -> None:
    exposed = [entry for service in document.services.values() for entry in service.exposed]
    for entry in exposed:
        if entry["service"] and entry["service"] not in document.services:
            raise SdlError(f'SDL invalid: expose to unknown service "{entry["service"]}"')
    if not any(entry["global"] for entry in exposed):
        raise SdlError("invalid manifest: zero global services")
    hosts = [host for entry in exposed for host in entry["hosts"] or ()]
    for host in hosts:
        if hosts.count(host) > 1:
            raise SdlError(f"invalid manifest: hostname {host!r} is used twice")


def _check_denoms(document: Document) -> None:
    denoms = [document.placements[u.placement].prices[u.profile].denom for u in document.units]
    for denom in denoms:
        if denom != denoms[0]:
            raise SdlError(
                f"inconsistent group denomination: {denoms[0]} != {denom}: invalid price"
            )


def _check_totals(document: Document) -> None:
    for name in document.placements:
        total = sum(
            document.computes[u.profile].cpu * u.count
            for u in document.units
            if u.placement == name
        )
        if total > 19_200_000:
            raise SdlError(f"invalid total CPU (19200000 > {total} > 0 fails)")
