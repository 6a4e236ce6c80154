"""Messages as the chain's REST interface writes them: protobuf JSON with the chain's customs.

Field names as in the schema, 64-bit numbers as text, enums by name, every field present, absent
messages ``null``, decimals with 18 places, ``Any`` flattened beside its ``@type``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any as Json

from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from akash_proto import decimals
from akash_proto.errors import DecodeError, UnknownFieldError
from akash_proto.facts import always_present, fields, scalar
from akash_proto.registry import M, type_of
from akash_proto.wire import pack, unpack

_LONG = {
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT64,
}


def render(message: Message) -> dict[str, Json]:
    """Return a message as JSON. Raises DecodeError for an ``Any`` that cannot be unpacked."""
    return {
        name: _field(message, field)
        for name, field in fields(message).items()
        if field.containing_oneof is None or message.HasField(name)
    }


def parse(kind: type[M], value: Mapping[str, Json]) -> M:
    """Return the message that ``render`` writes as ``value``.

    Raises UnknownFieldError for a name its type does not have, DecodeError for a value of the wrong
    kind.
    """
    message = kind()
    known = fields(kind)
    for name, part in value.items():
        field = known.get(name)
        if field is None:
            raise UnknownFieldError(f"{kind.DESCRIPTOR.full_name} has no field {name!r}")
        try:
            _set(message, field, part)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise DecodeError(f"{kind.DESCRIPTOR.full_name}.{name}: {error}") from None
    return message


def _field(message: Message, field: FieldDescriptor) -> Json:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_value(field, each) for each in value]
    absent = field.message_type is not None and not message.HasField(field.name)
    return None if absent and not always_present(field) else _value(field, value)


def _value(field: FieldDescriptor, value: Json) -> Json:
    match value:
        case Any():
            return {"@type": value.type_url, **render(unpack(value))}
        case Timestamp() | Duration():
            return value.ToJsonString()
        case Message():
            return render(value)
        case bytes():
            is_digits = scalar(field) == "Int"
            return value.decode("ascii") if is_digits else base64.b64encode(value).decode()
        case str() if scalar(field) == "Dec":
            return decimals.to_json(value)
        case int() if field.enum_type is not None:
            named = field.enum_type.values_by_number.get(value)
            return named.name if named else value
        case int() if field.cpp_type in _LONG:
            return str(value)
        case _:
            return value


def _set(message: Message, field: FieldDescriptor, value: Json) -> None:
    if value is None:
        return
    target = getattr(message, field.name)
    match field.message_type is not None, field.is_repeated:
        case True, True:
            for each in value:
                _merge(target.add(), each)
        case True, False:
            target.SetInParent()
            _merge(target, value)
        case False, True:
            target.extend(_scalar(field, each) for each in value)
        case _:
            setattr(message, field.name, _scalar(field, value))


def _merge(target: Message, value: Json) -> None:
    match target:
        case Any():
            kind = type_of(value["@type"])
            inner = {name: part for name, part in value.items() if name != "@type"}
            target.CopyFrom(pack(parse(kind, inner)))
        case Timestamp() | Duration():
            target.FromJsonString(value)
        case _:
            target.CopyFrom(parse(type(target), value))


def _scalar(field: FieldDescriptor, value: Json) -> Json:
    if field.enum_type is not None and isinstance(value, str):
        return field.enum_type.values_by_name[value].number
    if field.cpp_type in _LONG:
        return int(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        is_digits = scalar(field) == "Int"
        return value.encode("ascii") if is_digits else base64.b64decode(value, validate=True)
    return decimals.to_wire(decimals.exact(value)) if scalar(field) == "Dec" else value
