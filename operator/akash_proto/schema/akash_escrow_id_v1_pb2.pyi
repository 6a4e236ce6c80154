from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Account(_message.Message):
    __slots__ = ("scope", "xid")
    class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        invalid: _ClassVar[Account.Scope]
        deployment: _ClassVar[Account.Scope]
        bid: _ClassVar[Account.Scope]
    invalid: Account.Scope
    deployment: Account.Scope
    bid: Account.Scope
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    XID_FIELD_NUMBER: _ClassVar[int]
    scope: Account.Scope
    xid: str
    def __init__(self, scope: _Optional[_Union[Account.Scope, str]] = ..., xid: _Optional[str] = ...) -> None: ...
