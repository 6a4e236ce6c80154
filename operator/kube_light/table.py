"""Objects as the table that ``kubectl get`` prints.

https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from kube_light.document import look
from kube_light.resource import Column, Object, Resource

NAME = Column(name="Name", type="string", path=".metadata.name", description="The object's name.")
AGE = Column(name="Age", type="date", path=".metadata.creationTimestamp")


def table(
    resource: Resource, objects: Sequence[Object], now: datetime, *, include: str, meta: Object
) -> Object:
    """Return a table; ``include`` is None, Metadata or Object: what rows carry beside cells."""
    columns = _columns(resource)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": [_definition(each) for each in columns],
        "rows": [_row(columns, each, now, include) for each in objects],
    }


def age(since: str, now: datetime) -> str:
    """Return a time ago as kubectl words it: 45s, 12m, 3h, 8d."""
    try:
        passed = now - datetime.fromisoformat(since)
    except ValueError:
        return "<unknown>"
    seconds = max(int(passed / timedelta(seconds=1)), 0)
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "m"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"


def _columns(resource: Resource) -> Sequence[Column]:
    if resource.schema is not None and resource.columns:
        return (NAME, *resource.columns)
    return (NAME, *resource.columns, AGE)


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": "name" if column is NAME else "",
        "description": column.description,
        "priority": column.priority,
    }


def _row(columns: Sequence[Column], body: Object, now: datetime, include: str) -> Object:
    row: Object = {"cells": [_cell(each, body, now) for each in columns]}
    match include:
        case "Object":
            row["object"] = body
        case "Metadata":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": body["metadata"],
            }
    return row


def _cell(column: Column, body: Object, now: datetime) -> Any:
    value = look(body, column.path)
    if value is None:
        return None
    if column.type == "date":
        return age(str(value), now)
    return value if column.type in {"integer", "number", "boolean"} else str(value)
