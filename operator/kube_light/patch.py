"""The patch types of the API: JSON merge patch, JSON Patch and server-side apply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_light.document import clone
from kube_light.errors import ApiError, bad_request
from kube_light.resource import Object


def merge(target: Any, patch: Any) -> Any:
    """Return ``target`` under a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return clone(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def apply(target: Object, before: Object, intent: Object) -> Object:
    """Return ``target`` after server-side apply of ``intent``, by whoever applied ``before``.

    Fields of ``before`` that ``intent`` no longer has are removed, all others of ``intent`` are
    set, whoever set them. Lists are replaced as a whole, except finalizers and owner references.
    """
    result = merge(_without(target, before, intent), intent)
    meta, was, want = (each.get("metadata") or {} for each in (target, before, intent))
    for name, key in (("finalizers", None), ("ownerReferences", "uid")):
        merged = _merge_set(meta.get(name), was.get(name), want.get(name), key)
        if merged:
            result["metadata"][name] = merged
    return result  # type: ignore[no-any-return]


def _without(target: Any, before: Any, intent: Any) -> Any:
    if not (isinstance(target, dict) and isinstance(before, dict)):
        return target
    wanted = intent if isinstance(intent, dict) else {}
    kept: Object = {}
    for key, value in target.items():
        if key not in before or key in wanted:
            kept[key] = _without(value, before.get(key), wanted.get(key))
        elif isinstance(value, dict) and (rest := _without(value, before[key], {})):
            kept[key] = rest
    return kept


def _merge_set(
    target: Sequence[Any] | None,
    before: Sequence[Any] | None,
    intent: Sequence[Any] | None,
    key: str | None,
) -> list[Any]:
    def identity(item: Any) -> Any:
        return item[key] if key else item

    wanted = {identity(item): item for item in intent or ()}
    dropped = {identity(item) for item in before or ()} - set(wanted)
    kept = {identity(item): item for item in target or () if identity(item) not in dropped}
    return list({**kept, **wanted}.values())


def json_patch(target: Object, operations: Sequence[Object]) -> Object:
    """Return ``target`` under a JSON Patch (RFC 6902); ApiError 422 when a step does not hold."""
    document: Any = {"": clone(target)}
    for operation in operations:
        _step(document, operation)
    return document[""]  # type: ignore[no-any-return]


def _step(document: Any, operation: Object) -> None:
    path = operation.get("path", "")
    match operation.get("op"):
        case "add":
            _add(document, path, clone(operation["value"]))
        case "remove":
            _remove(document, path)
        case "replace":
            _remove(document, path)
            _add(document, path, clone(operation["value"]))
        case "move":
            value = _remove(document, operation["from"])
            _add(document, path, value)
        case "copy":
            parent, last = _find(document, operation["from"])
            _add(document, path, clone(_item(parent, last, path)))
        case "test":
            parent, last = _find(document, path)
            if _item(parent, last, path) != operation.get("value"):
                raise _failed(f"testing value {path} failed")
        case other:
            raise bad_request(f"unknown operation {other!r} in a JSON Patch")


def _find(document: Any, path: str) -> tuple[Any, str]:
    *way, last = (part.replace("~1", "/").replace("~0", "~") for part in path.split("/"))
    for part in way:
        document = _item(document, part, path)
    return document, last


def _item(parent: Any, part: str, path: str) -> Any:
    match parent:
        case dict() if part in parent:
            return parent[part]
        case list() if part.isdigit() and int(part) < len(parent):
            return parent[int(part)]
        case _:
            raise _failed(f"path {path} does not exist")


def _add(document: Any, path: str, value: Any) -> None:
    parent, last = _find(document, path)
    match parent:
        case dict():
            parent[last] = value
        case list() if last == "-":
            parent.append(value)
        case list() if last.isdigit() and int(last) <= len(parent):
            parent.insert(int(last), value)
        case _:
            raise _failed(f"path {path} does not exist")


def _remove(document: Any, path: str) -> Any:
    parent, last = _find(document, path)
    value = _item(parent, last, path)
    del parent[last if isinstance(parent, dict) else int(last)]
    return value


def _failed(why: str) -> ApiError:
    return ApiError(
        422, "Invalid", f"the server rejected our request due to an error in our request: {why}"
    )
