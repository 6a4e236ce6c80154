"""Image references with a digest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from garrison.errors import ImageError

HUB = "docker.io"
HUB_API = "registry-1.docker.io"
_REFERENCE = re.compile(
    r"(?P<path>[A-Za-z0-9.:_/-]{1,400}?)(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"@(?P<digest>sha256:[0-9a-f]{64})"
)
_REPOSITORY = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_AUTHORITY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """``authority`` is the API's ``host`` or ``host:port``; a tag is dropped, the digest decides."""

    authority: str
    repository: str
    digest: str


def parse_reference(text: str) -> Reference:
    """Return a reference's parts, with Docker's default host and ``library/``.

    Raises ImageError when it has no sha256 digest or is malformed.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ImageError(
            f"{text[:300]!r} is not an image with a digest; write it like HOST/NAME@sha256:..."
        )
    authority, repository = _split(match["path"])
    if not _AUTHORITY.fullmatch(authority) or not _REPOSITORY.fullmatch(repository):
        raise ImageError(f"{text[:300]!r} has no valid host and repository; check its spelling")
    return Reference(authority=authority, repository=repository, digest=match["digest"])


def _split(path: str) -> tuple[str, str]:
    first, slash, rest = path.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        authority, repository = first, rest
    else:
        authority, repository = HUB, path
    if authority not in {HUB, f"index.{HUB}"}:
        return authority, repository
    return HUB_API, repository if "/" in repository else f"library/{repository}"
