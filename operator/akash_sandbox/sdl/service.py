"""One service of the SDL: what runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from akash_sandbox.sdl.errors import SdlError
from akash_sandbox.sdl.expose import exposures
from akash_sandbox.sdl.node import Node

_FIELDS = (
    "image",
    "command",
    "args",
    "env",
    "expose",
    "dependencies",
    "params",
    "credentials",
)
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_PERMISSIONS = ("deployment", "logs", "events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """``manifest`` holds the manifest's fields that do not depend on resources."""

    name: str
    manifest: dict[str, Any]
    mounts: tuple[str, ...]

    @property
    def exposed(self) -> list[dict[str, Any]]:
        exposed: list[dict[str, Any]] = self.manifest["expose"]
        return exposed


def parse_service(name: str, node: Node, version: str) -> Service:
    """Return one service; raises SdlError for what the reference library or a provider refuses."""
    node.only(_FIELDS)
    if not _NAME.fullmatch(name):
        raise SdlError(f'invalid manifest: service "{name}" name is invalid')
    if not node.text("image"):
        raise SdlError(f'invalid manifest: service "{name}" has empty image name')
    params = _params(node.child("params")) if node.get("params") is not None else None
    manifest: dict[str, Any] = {
        "name": name,
        "image": node.text("image"),
        "command": node.texts("command"),
        "args": node.texts("args"),
        "env": _env(node, name),
        "expose": exposures(node, name),
        "credentials": _credentials(node, name, version),
    }
    if params is not None:
        manifest["params"] = params
    mounts = tuple(item["name"] for item in (params or {}).get("storage") or ())
    return Service(name=name, manifest=manifest, mounts=mounts)


def _env(node: Node, service: str) -> list[str] | None:
    env = node.texts("env")
    for item in env or ():
        variable = item.partition("=")[0]
        if not _ENV_NAME.fullmatch(variable):
            raise SdlError(
                f'invalid manifest: service "{service}" defines an env. var. with an invalid name '
                f'"{variable}"'
            )
    return env


def _credentials(node: Node, service: str, version: str) -> dict[str, str] | None:
    if node.get("credentials") is None:
        return None
    raw = node.child("credentials").only(("host", "username", "password", "email"))
    strip = version != "2.0"
    found = {key: raw.text(key).strip() if strip else raw.text(key) for key in raw}
    for key in ("host", "username", "password"):
        if not found.get(key, "").strip():
            raise SdlError(
                f"SDL invalid: {service}: service Credentials missing {key.capitalize()}"
            )
    # The 2.0 builder of the reference library drops the email.
    email = found.get("email", "") if strip else ""
    return {**{key: found[key] for key in ("host", "username", "password")}, "email": email}


def _params(node: Node) -> dict[str, Any]:
    node.only(("storage", "permissions"))
    params: dict[str, Any] = {"storage": _mounts(node.child("storage")) or None}
    if "permissions" in node:
        read = node.child("permissions").only(("read",)).texts("read") or []
        for permission in read:
            if permission not in _PERMISSIONS:
                raise SdlError(f"SDL invalid: unknown permission {permission!r}")
        params["permissions"] = {"read": read} if read else {}
    return params


def _mounts(node: Node) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for volume, raw in sorted(node.children()):
        raw.only(("mount", "readOnly"))
        path = raw.text("mount")
        if path in seen:
            raise SdlError(
                f'sdl: duplicated mount point: mount "{path}" already in use by volume "{volume}"'
            )
        if path and not path.startswith("/"):
            raise SdlError(f'sdl: mount "{path}" of volume "{volume}" must be an absolute path')
        seen[path] = volume
        mounts.append({"name": volume, "mount": path, "readOnly": raw.flag("readOnly")})
    return mounts
