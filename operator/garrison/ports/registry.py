"""Container registries, as far as an image must be known before money is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an image's layers leave on disk. ``files``: SHA-256 (hex) by absolute path.

    It has every file that can be run (executable bit) or loaded (``.so``), and every file that a
    pattern names, links included: ``named`` are their paths. ``python``: whether anything is called python3; None when the
    layers hold nothing that can be run, so that nothing can be concluded.
    """

    digest: str
    files: Mapping[str, str] = field(repr=False)
    named: frozenset[str] = field(default=frozenset(), repr=False)
    python: bool | None


class Registry(Protocol):
    """Reads manifests, configs and layers, by digest."""

    async def image(self, reference: str, credentials: Credentials | None) -> Image:
        """Return the linux/amd64 image behind a reference with a digest.

        Raises ImageError (missing, unreadable, wrong platform, digest mismatch), AuthError,
        UnsafeDestinationError, or TransientError.
        """

    async def contents(
        self, reference: str, credentials: Credentials | None, patterns: Sequence[str]
    ) -> Contents:
        """Return what the image's layers hold; this reads all of them, and may take minutes.

        Raises what ``image`` raises; ImageError also for an image that is too large to be read.
        """
