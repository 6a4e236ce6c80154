"""Container registries, as far as an image must be known before money is spent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A registry login; never printed."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that exists: its digest, and what its config says. Size in bytes, compressed."""

    reference: str
    digest: str
    size: int
    architecture: str
    os: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = "/"


class Registry(Protocol):
    """Reads manifests and configs, by digest."""

    async def image(self, reference: str, credentials: Credentials | None) -> Image:
        """Return the linux/amd64 image behind a reference with a digest.

        Raises ImageError (missing, unreadable, wrong platform, digest mismatch), AuthError,
        UnsafeDestinationError, or TransientError.
        """
