"""What the schema's options say about a field."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from akash_proto.schema import options_pb2

Scalar: TypeAlias = Literal["", "Int", "Dec"]


@cache
def always_present(field: FieldDescriptor) -> bool:
    """Return whether the chain writes the message even when it is empty."""
    options: Any = field.GetOptions()
    stated: bool = options.HasExtension(options_pb2.nullable)
    return stated and not options.Extensions[options_pb2.nullable]


@cache
def scalar(field: FieldDescriptor) -> Scalar:
    """Return how a number is written in a field of text or bytes, "" for any other field."""
    options: Any = field.GetOptions()
    found: Scalar = options.Extensions[options_pb2.scalar]
    return found


def fields(kind: type[Message] | Message) -> Mapping[str, FieldDescriptor]:
    """Return a type's fields by name, in the order of the schema."""
    return _fields(kind.DESCRIPTOR)


@cache
def _fields(kind: Descriptor) -> Mapping[str, FieldDescriptor]:
    return {each.name: each for each in kind.fields}
