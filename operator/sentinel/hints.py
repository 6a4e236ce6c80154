"""As much of ``typing`` as runs when modules are loaded, without that module's megabyte.

``packing`` lets the zipapp's modules import this in its place. Whoever checks types, or runs the
package from its folder, sees the real one.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Collection

TYPE_CHECKING = False


class _Form:
    """Stands for any type; nothing is done with it at run time."""

    def __getitem__(self, parameters: object) -> _Form:
        return self


Any = Callable = Dict = List = Optional = Tuple = Union = _Form()


def TypeVar(_name: str) -> _Form:  # noqa: N802 -- as in ``typing``
    """Return what stands for any type."""
    return _Form()


class Protocol:
    """What a class of callers' wishes is derived from."""


class _Record(type):
    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, object]) -> type:
        if not bases:
            return super().__new__(cls, name, bases, body)
        fields: Collection[str] = body["__annotations__"]  # type: ignore[assignment]
        defaults = [body[field] for field in fields if field in body]
        made = namedtuple(name, fields, defaults=defaults)  # type: ignore[misc]
        for key, value in body.items():
            if key not in fields:
                setattr(made, key, value)
        return made


class NamedTuple(metaclass=_Record):
    """A class with this as its base becomes a named tuple of what it annotates."""
