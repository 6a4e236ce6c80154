"""A registry in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from garrison.adapters.memory.faults import Call, Faults
from garrison.errors import ImageError
from garrison.ports.registry import Credentials, Image


class MemoryRegistry:
    """Implements ``Registry`` and finds no pull secrets. Every image exists but the ``missing``."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.missing: set[str] = set()

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

    async def credentials(
        self, namespace: str, names: Sequence[str], reference: str
    ) -> Credentials | None:
        """Return no login."""
        del namespace, names, reference
        return None
