from akash_proto.schema import akash_base_deposit_v1_pb2 as _akash_base_deposit_v1_pb2
from akash_proto.schema import akash_escrow_id_v1_pb2 as _akash_escrow_id_v1_pb2
from akash_proto.schema import cosmos_base_v1beta1_pb2 as _cosmos_base_v1beta1_pb2
from akash_proto.schema import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MsgAccountDeposit(_message.Message):
    __slots__ = ("signer", "id", "deposit")
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    DEPOSIT_FIELD_NUMBER: _ClassVar[int]
    signer: str
    id: _akash_escrow_id_v1_pb2.Account
    deposit: _akash_base_deposit_v1_pb2.Deposit
    def __init__(self, signer: _Optional[str] = ..., id: _Optional[_Union[_akash_escrow_id_v1_pb2.Account, _Mapping]] = ..., deposit: _Optional[_Union[_akash_base_deposit_v1_pb2.Deposit, _Mapping]] = ...) -> None: ...

class DepositAuthorization(_message.Message):
    __slots__ = ("spend_limit", "scopes", "spend_limits")
    class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        invalid: _ClassVar[DepositAuthorization.Scope]
        deployment: _ClassVar[DepositAuthorization.Scope]
        bid: _ClassVar[DepositAuthorization.Scope]
    invalid: DepositAuthorization.Scope
    deployment: DepositAuthorization.Scope
    bid: DepositAuthorization.Scope
    SPEND_LIMIT_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    SPEND_LIMITS_FIELD_NUMBER: _ClassVar[int]
    spend_limit: _cosmos_base_v1beta1_pb2.Coin
    scopes: _containers.RepeatedScalarFieldContainer[DepositAuthorization.Scope]
    spend_limits: _containers.RepeatedCompositeFieldContainer[_cosmos_base_v1beta1_pb2.Coin]
    def __init__(self, spend_limit: _Optional[_Union[_cosmos_base_v1beta1_pb2.Coin, _Mapping]] = ..., scopes: _Optional[_Iterable[_Union[DepositAuthorization.Scope, str]]] = ..., spend_limits: _Optional[_Iterable[_Union[_cosmos_base_v1beta1_pb2.Coin, _Mapping]]] = ...) -> None: ...
