"""Image references: ``registry/repository[:tag][@digest]``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_DOCKER_HUB = "registry-1.docker.io"


class ImageError(Exception):
    """The image cannot be had; the message names image, place and reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """``digest`` is "" when the image is named by tag."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def version(self) -> str:
        """What a registry's manifest endpoint is asked for."""
        return self.digest or self.tag

    def __str__(self) -> str:
        mark = f"@{self.digest}" if self.digest else f":{self.tag}"
        return f"{self.registry}/{self.repository}{mark}"


def parse(text: str) -> Reference:
    """Return the parts of an image reference; raises ImageError."""
    name, _, digest = text.partition("@")
    if digest and not _DIGEST.fullmatch(digest):
        raise ImageError(f"image {text!r}: digest must be sha256: and 64 hexadecimal digits")
    registry, _, rest = name.partition("/")
    if not rest or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, rest = _DOCKER_HUB, name if "/" in name else f"library/{name}"
    repository, _, tag = rest.partition(":")
    if not _REPOSITORY.fullmatch(repository):
        raise ImageError(f"image {text!r}: {repository!r} is not a repository name")
    return Reference(registry=registry, repository=repository, tag=tag or "latest", digest=digest)


def is_insecure(registry: str, allowed: Iterable[str]) -> bool:
    """Return whether this registry is configured to be spoken to in plain HTTP."""
    host = registry.rsplit(":", 1)[0] if not registry.endswith("]") else registry
    return any(_matches(registry, host.strip("[]"), entry) for entry in allowed)


def _matches(registry: str, host: str, entry: str) -> bool:
    if entry in (registry, host):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry)
    except ValueError:
        return False
