"""From JSON to typed resources and back, with errors that name the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from garrison.errors import InvalidSpecError

T = TypeVar("T")


def parse(adapter: TypeAdapter[T], value: Mapping[str, Any], where: str) -> T:
    """Return ``value`` as the adapter's type. Raises InvalidSpecError naming ``where`` and field."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise InvalidSpecError("; ".join(_lines(error, where))) from None


def _lines(error: ValidationError, where: str) -> list[str]:
    return [
        f"{'.'.join((where, *(str(part) for part in each['loc'])))}: {each['msg']}"
        for each in error.errors(include_url=False, include_input=False)[:5]
    ]


def dump(adapter: TypeAdapter[T], value: T) -> dict[str, Any]:
    """Return ``value`` as JSON in camelCase; absent optional fields are left out."""
    result: dict[str, Any] = adapter.dump_python(
        value, mode="json", by_alias=True, exclude_none=True
    )
    return result
