import datetime

from akash_proto.schema import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DataID(_message.Message):
    __slots__ = ("denom", "base_denom")
    DENOM_FIELD_NUMBER: _ClassVar[int]
    BASE_DENOM_FIELD_NUMBER: _ClassVar[int]
    denom: str
    base_denom: str
    def __init__(self, denom: _Optional[str] = ..., base_denom: _Optional[str] = ...) -> None: ...

class MsgAddPriceEntry(_message.Message):
    __slots__ = ("signer", "id", "price", "timestamp")
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    signer: str
    id: DataID
    price: str
    timestamp: _timestamp_pb2.Timestamp
    def __init__(self, signer: _Optional[str] = ..., id: _Optional[_Union[DataID, _Mapping]] = ..., price: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
