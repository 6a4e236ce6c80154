import datetime

from akash_proto.schema import akash_base_deposit_v1_pb2 as _akash_base_deposit_v1_pb2
from akash_proto.schema import akash_base_resources_v1beta4_pb2 as _akash_base_resources_v1beta4_pb2
from akash_proto.schema import akash_market_v1_pb2 as _akash_market_v1_pb2
from akash_proto.schema import cosmos_base_v1beta1_pb2 as _cosmos_base_v1beta1_pb2
from akash_proto.schema import options_pb2 as _options_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StoragePrice(_message.Message):
    __slots__ = ("name", "price")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    name: str
    price: _cosmos_base_v1beta1_pb2.DecCoin
    def __init__(self, name: _Optional[str] = ..., price: _Optional[_Union[_cosmos_base_v1beta1_pb2.DecCoin, _Mapping]] = ...) -> None: ...

class EndpointPrice(_message.Message):
    __slots__ = ("kind", "price")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    kind: _akash_base_resources_v1beta4_pb2.Endpoint.Kind
    price: _cosmos_base_v1beta1_pb2.DecCoin
    def __init__(self, kind: _Optional[_Union[_akash_base_resources_v1beta4_pb2.Endpoint.Kind, str]] = ..., price: _Optional[_Union[_cosmos_base_v1beta1_pb2.DecCoin, _Mapping]] = ...) -> None: ...

class OfferPrices(_message.Message):
    __slots__ = ("cpu", "memory", "storage", "gpu", "endpoints")
    CPU_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    cpu: _cosmos_base_v1beta1_pb2.DecCoin
    memory: _cosmos_base_v1beta1_pb2.DecCoin
    storage: _containers.RepeatedCompositeFieldContainer[StoragePrice]
    gpu: _cosmos_base_v1beta1_pb2.DecCoin
    endpoints: _containers.RepeatedCompositeFieldContainer[EndpointPrice]
    def __init__(self, cpu: _Optional[_Union[_cosmos_base_v1beta1_pb2.DecCoin, _Mapping]] = ..., memory: _Optional[_Union[_cosmos_base_v1beta1_pb2.DecCoin, _Mapping]] = ..., storage: _Optional[_Iterable[_Union[StoragePrice, _Mapping]]] = ..., gpu: _Optional[_Union[_cosmos_base_v1beta1_pb2.DecCoin, _Mapping]] = ..., endpoints: _Optional[_Iterable[_Union[EndpointPrice, _Mapping]]] = ...) -> None: ...

class ResourceOffer(_message.Message):
    __slots__ = ("resources", "count", "prices")
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    resources: _akash_base_resources_v1beta4_pb2.Resources
    count: int
    prices: OfferPrices
    def __init__(self, resources: _Optional[_Union[_akash_base_resources_v1beta4_pb2.Resources, _Mapping]] = ..., count: _Optional[int] = ..., prices: _Optional[_Union[OfferPrices, _Mapping]] = ...) -> None: ...

class MsgCreateBid(_message.Message):
    __slots__ = ("id", "price", "deposit", "resources_offer", "reclamation_window")
    ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    DEPOSIT_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_OFFER_FIELD_NUMBER: _ClassVar[int]
    RECLAMATION_WINDOW_FIELD_NUMBER: _ClassVar[int]
    id: _akash_market_v1_pb2.BidID
    price: _cosmos_base_v1beta1_pb2.DecCoin
    deposit: _akash_base_deposit_v1_pb2.Deposit
    resources_offer: _containers.RepeatedCompositeFieldContainer[ResourceOffer]
    reclamation_window: _duration_pb2.Duration
    def __init__(self, id: _Optional[_Union[_akash_market_v1_pb2.BidID, _Mapping]] = ..., price: _Optional[_Union[_cosmos_base_v1beta1_pb2.DecCoin, _Mapping]] = ..., deposit: _Optional[_Union[_akash_base_deposit_v1_pb2.Deposit, _Mapping]] = ..., resources_offer: _Optional[_Iterable[_Union[ResourceOffer, _Mapping]]] = ..., reclamation_window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class MsgCloseBid(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: _akash_market_v1_pb2.BidID
    reason: _akash_market_v1_pb2.LeaseClosedReason
    def __init__(self, id: _Optional[_Union[_akash_market_v1_pb2.BidID, _Mapping]] = ..., reason: _Optional[_Union[_akash_market_v1_pb2.LeaseClosedReason, str]] = ...) -> None: ...

class MsgCreateLease(_message.Message):
    __slots__ = ("bid_id",)
    BID_ID_FIELD_NUMBER: _ClassVar[int]
    bid_id: _akash_market_v1_pb2.BidID
    def __init__(self, bid_id: _Optional[_Union[_akash_market_v1_pb2.BidID, _Mapping]] = ...) -> None: ...

class MsgCloseLease(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: _akash_market_v1_pb2.LeaseID
    reason: _akash_market_v1_pb2.LeaseClosedReason
    def __init__(self, id: _Optional[_Union[_akash_market_v1_pb2.LeaseID, _Mapping]] = ..., reason: _Optional[_Union[_akash_market_v1_pb2.LeaseClosedReason, str]] = ...) -> None: ...

class MsgWithdrawLease(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: _akash_market_v1_pb2.LeaseID
    def __init__(self, id: _Optional[_Union[_akash_market_v1_pb2.LeaseID, _Mapping]] = ...) -> None: ...

class MsgLeaseStartReclaim(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: _akash_market_v1_pb2.LeaseID
    reason: _akash_market_v1_pb2.LeaseClosedReason
    def __init__(self, id: _Optional[_Union[_akash_market_v1_pb2.LeaseID, _Mapping]] = ..., reason: _Optional[_Union[_akash_market_v1_pb2.LeaseClosedReason, str]] = ...) -> None: ...
