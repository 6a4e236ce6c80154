"""The finalizer: an object stays until what hangs on it is undone."""

from __future__ import annotations

from dataclasses import dataclass

from garrison.api.meta import FINALIZER, Key, Kind, Meta
from garrison.ports.kube import Kube
from garrison.runtime.cache import Cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Add the finalizer, before anything hangs on the object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Remove the finalizer: nothing hangs on the object any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalizer:
    """Writes it on objects of one kind; the cache follows. Raises GarrisonError, as ``kube`` does."""

    kube: Kube
    cache: Cache
    kind: Kind

    async def add(self, meta: Meta) -> None:
        """Hold an object, as it was seen: one that changed since is a conflict."""
        await self._write(meta, (*meta.finalizers, FINALIZER))

    async def remove(self, meta: Meta) -> None:
        """Let an object go, as it was seen; the finalizers of others stay."""
        await self._write(meta, tuple(each for each in meta.finalizers if each != FINALIZER))

    async def _write(self, meta: Meta, finalizers: tuple[str, ...]) -> None:
        raw = await self.kube.replace_finalizers(
            self.kind,
            meta.namespace,
            meta.name,
            finalizers=finalizers,
            resource_version=meta.resource_version,
        )
        if raw is None:
            key = Key(kind=self.kind.kind, namespace=meta.namespace, name=meta.name)
            self.cache.remove(key)
        else:
            self.cache.put(raw)
