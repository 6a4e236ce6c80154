"""A registry in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from garrison.adapters.memory.faults import Call, Faults
from garrison.api.glob import matcher
from garrison.errors import ImageError
from garrison.ports.registry import Contents, Credentials, Image

INTERPRETER = "/usr/bin/python3.12"
LIBRARY = "/usr/lib/libc.so.6"
PROGRAM = "/app/serve"


def files_of(image: str) -> Mapping[str, str]:
    """Return the SHA-256 (hex) of what every image in memory holds; the program is its own."""
    contents = {INTERPRETER: "python", LIBRARY: "libc", PROGRAM: image}
    return {path: hashlib.sha256(each.encode()).hexdigest() for path, each in contents.items()}


class MemoryRegistry:
    """Implements ``Registry`` and ``PullSecrets``. Every image exists but the ``missing``.

    ``large`` are images whose layers are not read, ``bare`` those without python3; ``logins`` are the
    Secrets' logins by name.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.missing: set[str] = set()
        self.large: set[str] = set()
        self.bare: set[str] = set()
        self.logins: dict[str, Credentials] = {}

    async def image(self, reference: str, credentials: Credentials | None) -> Image:
        """Return a small linux/amd64 image."""
        del credentials

        def answer(_moment: datetime) -> Image:
            if reference in self.missing:
                raise ImageError(f"{reference}: the registry has no such manifest; push it first")
            return Image(
                reference=reference,
                digest=reference.rpartition("@")[2],
                size=1,
                architecture="amd64",
                os="linux",
                entrypoint=("serve",),
            )

        call = Call(port="registry", operation="image", write=False, subject=reference)
        return await self._faults.read(call, answer)

    async def contents(
        self, reference: str, credentials: Credentials | None, patterns: Sequence[str]
    ) -> Contents:
        """Return three files."""
        del credentials
        is_named = matcher(patterns)

        def answer(_moment: datetime) -> Contents:
            if reference in self.large:
                raise ImageError(f"{reference}: its layers are too large")
            files = files_of(reference)
            return Contents(
                digest=reference.rpartition("@")[2],
                files=files,
                named=frozenset(path for path in files if is_named(path)),
                python=reference not in self.bare,
            )

        call = Call(port="registry", operation="contents", write=False, subject=reference)
        return await self._faults.read(call, answer)

    async def credentials(
        self, namespace: str, names: Sequence[str], reference: str
    ) -> Credentials | None:
        """Return the first Secret's login."""
        del namespace, reference
        return next((self.logins[each] for each in names if each in self.logins), None)
