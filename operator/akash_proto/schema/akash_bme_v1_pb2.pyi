from akash_proto.schema import cosmos_base_v1beta1_pb2 as _cosmos_base_v1beta1_pb2
from akash_proto.schema import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MsgMintACT(_message.Message):
    __slots__ = ("owner", "to", "coins_to_burn")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    COINS_TO_BURN_FIELD_NUMBER: _ClassVar[int]
    owner: str
    to: str
    coins_to_burn: _cosmos_base_v1beta1_pb2.Coin
    def __init__(self, owner: _Optional[str] = ..., to: _Optional[str] = ..., coins_to_burn: _Optional[_Union[_cosmos_base_v1beta1_pb2.Coin, _Mapping]] = ...) -> None: ...

class MsgBurnACT(_message.Message):
    __slots__ = ("owner", "to", "coins_to_burn")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    COINS_TO_BURN_FIELD_NUMBER: _ClassVar[int]
    owner: str
    to: str
    coins_to_burn: _cosmos_base_v1beta1_pb2.Coin
    def __init__(self, owner: _Optional[str] = ..., to: _Optional[str] = ..., coins_to_burn: _Optional[_Union[_cosmos_base_v1beta1_pb2.Coin, _Mapping]] = ...) -> None: ...

class MsgBurnMint(_message.Message):
    __slots__ = ("owner", "to", "coins_to_burn", "denom_to_mint")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    COINS_TO_BURN_FIELD_NUMBER: _ClassVar[int]
    DENOM_TO_MINT_FIELD_NUMBER: _ClassVar[int]
    owner: str
    to: str
    coins_to_burn: _cosmos_base_v1beta1_pb2.Coin
    denom_to_mint: str
    def __init__(self, owner: _Optional[str] = ..., to: _Optional[str] = ..., coins_to_burn: _Optional[_Union[_cosmos_base_v1beta1_pb2.Coin, _Mapping]] = ..., denom_to_mint: _Optional[str] = ...) -> None: ...
