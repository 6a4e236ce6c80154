"""What registries hold: indexes, manifests and configs (OCI image specification v1)."""

from __future__ import annotations

import hashlib
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from garrison.errors import ImageError

T = TypeVar("T")

OS = "linux"
ARCHITECTURE = "amd64"
INDEX_TYPES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFEST_TYPES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
ACCEPT = ", ".join(sorted(INDEX_TYPES | MANIFEST_TYPES))
_SHAPE = ConfigDict(extra="ignore", populate_by_name=True)
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, le=1 << 50)]
Strings = Annotated[tuple[str, ...], Field(max_length=4096)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_SHAPE)
class Platform:
    os: str = ""
    architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=_SHAPE)
class Descriptor:
    """Names a blob or manifest."""

    digest: Digest
    size: Size
    media_type: str = Field(default="", alias="mediaType")
    platform: Platform | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_SHAPE)
class Manifest:
    """An image manifest, or an index: one has ``config`` and ``layers``, the other ``manifests``."""

    media_type: str = Field(default="", alias="mediaType")
    config: Descriptor | None = None
    layers: Annotated[tuple[Descriptor, ...], Field(max_length=1024)] = ()
    manifests: Annotated[tuple[Descriptor, ...], Field(max_length=1024)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=_SHAPE)
class Process:
    """What a container of the image runs."""

    entrypoint: Strings | None = Field(default=None, alias="Entrypoint")
    command: Strings | None = Field(default=None, alias="Cmd")
    env: Strings | None = Field(default=None, alias="Env")
    user: str | None = Field(default=None, alias="User")
    working_dir: str | None = Field(default=None, alias="WorkingDir")


@dataclass(frozen=True, slots=True, kw_only=True, config=_SHAPE)
class Config:
    """An image's config."""

    os: str = ""
    architecture: str = ""
    config: Process | None = None


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)
_CONFIG: TypeAdapter[Config] = TypeAdapter(Config)


def parse_manifest(raw: bytes, what: str) -> Manifest:
    """Return a manifest or index. Raises ImageError."""
    return _parsed(_MANIFEST, raw, f"the manifest of {what}")


def parse_config(raw: bytes, what: str) -> Config:
    """Return a config. Raises ImageError."""
    return _parsed(_CONFIG, raw, f"the config of {what}")


def check_digest(raw: bytes, digest: str, what: str) -> None:
    """Raise ImageError unless the bytes are what the digest says."""
    found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    if found != digest:
        raise ImageError(
            f"{what}: the registry sent {found} for {digest}; do not trust it, push the image again"
        )


def runnable(manifests: tuple[Descriptor, ...], what: str) -> Descriptor:
    """Return an index's linux/amd64 entry. Raises ImageError naming the platforms there are."""
    wanted = Platform(os=OS, architecture=ARCHITECTURE)
    for each in manifests:
        if each.platform is not None and (each.platform.os, each.platform.architecture) == (
            wanted.os,
            wanted.architecture,
        ):
            return each
    there = sorted({f"{p.os}/{p.architecture}" for each in manifests if (p := each.platform)})
    raise ImageError(
        f"{what} has no {OS}/{ARCHITECTURE} image, only {', '.join(there[:8]) or 'none'}; "
        f"build it for {OS}/{ARCHITECTURE}"
    )


def _parsed(adapter: TypeAdapter[T], raw: bytes, what: str) -> T:
    try:
        return adapter.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ImageError(f"{what} is not understood: {where}: {first['msg']}") from None
