"""Watch events of Garrison's own kinds, handed to the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import kopf

from garrison.api.meta import Kind, Raw

Deliver = Callable[[str, Raw], None]


def register(registry: kopf.OperatorRegistry, kinds: Iterable[Kind], deliver: Deliver) -> None:
    """Watch the kinds; ``deliver`` gets every event with its raw object, and must not wait."""
    for kind in kinds:
        handler = _handler(kind, deliver)
        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(handler)


def _handler(kind: Kind, deliver: Deliver) -> Callable[..., Any]:
    async def enqueue(event: dict[str, Any], **_: Any) -> None:
        raw = dict(event["object"])
        raw.setdefault("kind", kind.kind)
        raw.setdefault("apiVersion", kind.api_version)
        deliver(event["type"] or "", raw)

    return enqueue
