"""The full listing that makes lost events harmless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from garrison.api.meta import Key, Kind, Raw, key_of
from garrison.ports.kube import Kube
from garrison.runtime.cache import Cache
from garrison.runtime.canary import Canary


@dataclass(frozen=True, slots=True, kw_only=True)
class Resynced:
    """How many objects were listed, and how many known ones were gone."""

    objects: int
    ghosts: int


async def resync(kube: Kube, cache: Cache, canary: Canary, kinds: Mapping[str, Kind]) -> Resynced:
    """List every kind and bring the cache up to it. Raises what the API server answers."""
    objects = ghosts = 0
    for kind in kinds.values():
        before = cache.keys(kind.kind)
        listed = await kube.list(kind)
        objects += len(listed)
        for raw in listed:
            if cache.put(raw):
                canary.expect(raw)
        ghosts += await _drop_ghosts(kube, cache, kind, listed, before)
    return Resynced(objects=objects, ghosts=ghosts)


async def _drop_ghosts(
    kube: Kube,
    cache: Cache,
    kind: Kind,
    listed: Sequence[Raw],
    before: Sequence[Key],
) -> int:
    """Forget what was known before the listing and is not in it, once a read confirms it is gone."""
    present = {key_of(raw) for raw in listed}
    ghosts = 0
    for key in cache.keys(kind.kind):
        if key in present or key not in before:
            continue
        raw = await kube.get(kind, key.namespace, key.name)
        if raw is None:
            cache.remove(key)
            ghosts += 1
        else:
            cache.put(raw)
    return ghosts
