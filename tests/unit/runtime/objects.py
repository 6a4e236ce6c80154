"""Raw objects, a scripted API server and a scripted controller."""

from __future__ import annotations

from typing import Any

from garrison.api.meta import API_VERSION, Key, Kind
from garrison.ports.kube import Object

BOAT = Kind(group="test.dev", version="v1", kind="Boat", plural="boats")
CREW = Kind(group="test.dev", version="v1", kind="Crew", plural="crews")


def key(name: str = "one", kind: str = "Boat") -> Key:
    """The key of a boat in the namespace ``bay``."""
    return Key(kind=kind, namespace="bay", name=name)


def boat(name: str = "one", version: int = 1, **fields: Any) -> Object:
    """A boat at a version; ``uid``, ``labels``, ``kind``, ``status`` and ``namespace`` are settable."""
    meta = {
        "name": name,
        "namespace": fields.pop("namespace", "bay"),
        "uid": fields.pop("uid", f"uid-{name}"),
        "resourceVersion": str(version),
        "labels": fields.pop("labels", {}),
    }
    return {"apiVersion": API_VERSION, "kind": "Boat", "metadata": meta, **fields}
