"""Messages to bytes and back, as the chain does it.

Encoding: messages that the chain holds by value are written even when empty; its own encoder does so,
and equal messages have equal bytes.

Decoding refuses unknown fields, as the chain does for transactions (ADR-020), inside ``Any`` too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError as ProtobufDecodeError
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from akash_proto.errors import DecodeError, UnknownFieldError
from akash_proto.facts import always_present, fields
from akash_proto.registry import M, type_of, type_url

MAX_DEPTH = 10
"""Messages inside ``Any`` inside messages, as deep as the chain's SDK follows them."""
_NON_CRITICAL = 1 << 10
_TX_BODY = "cosmos.tx.v1beta1.TxBody"
_WIRE_TYPES = {
    0: "varint",
    1: "fixed64",
    2: "bytes",
    3: "start_group",
    4: "end_group",
    5: "fixed32",
}


def encode(message: Message) -> bytes:
    """Return the message's bytes; fields that the chain always writes are filled in."""
    _fill(message)
    return message.SerializeToString(deterministic=True)


def decode(kind: type[M], raw: bytes) -> M:
    """Return the message in ``raw``.

    Raises UnknownFieldError for a field its type does not have, UnknownTypeError for an ``Any`` of an
    unknown type, DecodeError for anything else.
    """
    return _decode(kind, raw, 0)


def pack(message: Message) -> any_pb2.Any:
    """Return the message inside an ``Any`` with the chain's type URL."""
    return any_pb2.Any(type_url=type_url(message), value=encode(message))


def unpack(wrapped: any_pb2.Any) -> Message:
    """Return the message inside an ``Any``. Raises what ``decode`` raises."""
    return decode(type_of(wrapped.type_url), wrapped.value)


def _decode(kind: type[M], raw: bytes, depth: int) -> M:
    if depth > MAX_DEPTH:
        raise DecodeError("messages are nested too deeply")
    try:
        message = kind.FromString(raw)
    except ProtobufDecodeError as error:
        raise DecodeError(f"{kind.DESCRIPTOR.full_name}: {error}") from None
    for part in _parts(message):
        _refuse_unknown(part)
        if isinstance(part, any_pb2.Any):
            _decode(type_of(part.type_url), part.value, depth + 1)
    return message


def _refuse_unknown(message: Message) -> None:
    unknown: Any = UnknownFieldSet(message)
    for field in unknown:
        tolerated = message.DESCRIPTOR.full_name == _TX_BODY
        if not (tolerated and field.field_number & _NON_CRITICAL):
            name = _WIRE_TYPES.get(field.wire_type, str(field.wire_type))
            raise UnknownFieldError(
                f'errUnknownField "{type_url(message)}": '
                f'{{TagNum: {field.field_number}, WireType:"{name}"}}'
            )


def _parts(message: Message) -> Iterator[Message]:
    """Yield the message and every message in it, the outer ones first."""
    yield message
    for child in _children(message):
        yield from _parts(child)


def _children(message: Message) -> Iterator[Message]:
    for field, value in message.ListFields():
        if field.message_type is not None:
            yield from value if field.is_repeated else (value,)


def _fill(message: Message) -> None:
    for name, field in fields(message).items():
        if always_present(field):
            getattr(message, name).SetInParent()
    for part in _children(message):
        _fill(part)
