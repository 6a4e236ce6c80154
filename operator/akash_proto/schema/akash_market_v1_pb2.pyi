from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class LeaseClosedReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    lease_closed_invalid: _ClassVar[LeaseClosedReason]
    lease_closed_owner: _ClassVar[LeaseClosedReason]
    lease_closed_reason_unstable: _ClassVar[LeaseClosedReason]
    lease_closed_reason_decommission: _ClassVar[LeaseClosedReason]
    lease_closed_reason_unspecified: _ClassVar[LeaseClosedReason]
    lease_closed_reason_manifest_timeout: _ClassVar[LeaseClosedReason]
    lease_closed_reason_insufficient_funds: _ClassVar[LeaseClosedReason]
lease_closed_invalid: LeaseClosedReason
lease_closed_owner: LeaseClosedReason
lease_closed_reason_unstable: LeaseClosedReason
lease_closed_reason_decommission: LeaseClosedReason
lease_closed_reason_unspecified: LeaseClosedReason
lease_closed_reason_manifest_timeout: LeaseClosedReason
lease_closed_reason_insufficient_funds: LeaseClosedReason

class BidID(_message.Message):
    __slots__ = ("owner", "dseq", "gseq", "oseq", "provider", "bseq")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DSEQ_FIELD_NUMBER: _ClassVar[int]
    GSEQ_FIELD_NUMBER: _ClassVar[int]
    OSEQ_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    BSEQ_FIELD_NUMBER: _ClassVar[int]
    owner: str
    dseq: int
    gseq: int
    oseq: int
    provider: str
    bseq: int
    def __init__(self, owner: _Optional[str] = ..., dseq: _Optional[int] = ..., gseq: _Optional[int] = ..., oseq: _Optional[int] = ..., provider: _Optional[str] = ..., bseq: _Optional[int] = ...) -> None: ...

class LeaseID(_message.Message):
    __slots__ = ("owner", "dseq", "gseq", "oseq", "provider", "bseq")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DSEQ_FIELD_NUMBER: _ClassVar[int]
    GSEQ_FIELD_NUMBER: _ClassVar[int]
    OSEQ_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    BSEQ_FIELD_NUMBER: _ClassVar[int]
    owner: str
    dseq: int
    gseq: int
    oseq: int
    provider: str
    bseq: int
    def __init__(self, owner: _Optional[str] = ..., dseq: _Optional[int] = ..., gseq: _Optional[int] = ..., oseq: _Optional[int] = ..., provider: _Optional[str] = ..., bseq: _Optional[int] = ...) -> None: ...
