"""Encoding and decoding: both ways the same, and strict where the chain is."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf.any_pb2 import Any
from hypothesis import given
from hypothesis import strategies as st

from akash_proto.errors import DecodeError, UnknownFieldError, UnknownTypeError
from akash_proto.rest import parse, render
from akash_proto.schema.akash_base_deposit_v1_pb2 import Deposit
from akash_proto.schema.akash_deployment_v1beta4_pb2 import MsgCloseDeployment, MsgCreateDeployment
from akash_proto.schema.akash_escrow_v1_pb2 import MsgAccountDeposit
from akash_proto.schema.cosmos_authz_v1beta1_pb2 import MsgExec
from akash_proto.schema.cosmos_tx_v1beta1_pb2 import AuthInfo, TxBody
from akash_proto.tx import decode_tx
from akash_proto.wire import MAX_DEPTH, decode, encode, pack

names = st.text(max_size=20)
numbers = st.integers(min_value=0, max_value=2**64 - 1)
shorts = st.integers(min_value=0, max_value=2**32 - 1)
amounts = st.integers(min_value=0, max_value=10**30).map(str)
coins = st.fixed_dictionaries({"denom": names, "amount": amounts})
prices = st.fixed_dictionaries(
    {
        "denom": names,
        "amount": st.integers(min_value=0, max_value=10**30).map(
            lambda n: f"{n // 10**18}.{n % 10**18:018}"
        ),
    }
)
values = amounts.map(lambda digits: {"val": digits})
attributes = st.lists(st.fixed_dictionaries({"key": names, "value": names}), max_size=3)
resources = st.fixed_dictionaries(
    {
        "id": shorts,
        "cpu": st.fixed_dictionaries({"units": values, "attributes": attributes}),
        "memory": st.fixed_dictionaries({"quantity": values, "attributes": attributes}),
        "storage": st.lists(
            st.fixed_dictionaries({"name": names, "quantity": values, "attributes": attributes}),
            max_size=2,
        ),
        "gpu": st.fixed_dictionaries({"units": values, "attributes": attributes}),
        "endpoints": st.lists(
            st.fixed_dictionaries(
                {
                    "kind": st.sampled_from(["SHARED_HTTP", "RANDOM_PORT", "LEASED_IP"]),
                    "sequence_number": shorts,
                }
            ),
            max_size=2,
        ),
    }
)
groups = st.fixed_dictionaries(
    {
        "name": names,
        "requirements": st.fixed_dictionaries(
            {
                "signed_by": st.fixed_dictionaries(
                    {"all_of": st.lists(names, max_size=2), "any_of": st.lists(names, max_size=2)}
                ),
                "attributes": attributes,
            }
        ),
        "resources": st.lists(
            st.fixed_dictionaries({"resource": resources, "count": shorts, "price": prices}),
            max_size=2,
        ),
    }
)
creates = st.fixed_dictionaries(
    {
        "id": st.fixed_dictionaries({"owner": names, "dseq": numbers.map(str)}),
        "groups": st.lists(groups, max_size=2),
        "hash": st.sampled_from(["", "AAAA"]),
        "deposit": st.fixed_dictionaries(
            {"amount": coins, "sources": st.lists(st.sampled_from(["balance", "grant"]))}
        ),
        "reclamation": st.one_of(
            st.none(), shorts.map(lambda seconds: {"min_window": f"{seconds}s"})
        ),
    }
)


@given(creates)
def test_json_bytes_and_back_is_the_same(value: dict[str, object]) -> None:
    message = parse(MsgCreateDeployment, value)
    raw = encode(message)
    read = decode(MsgCreateDeployment, raw)
    assert render(read) == value
    assert encode(read) == raw


@given(st.binary(max_size=400))
def test_any_bytes_decode_or_fail_as_a_decode_error(raw: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode_tx(raw)


def test_a_value_that_the_chain_always_writes_is_written_empty() -> None:
    assert encode(MsgCloseDeployment()).hex() == "0a00"


def test_an_unknown_field_is_refused_by_the_chains_words() -> None:
    raw = encode(Deposit(sources=["balance"])) + bytes.fromhex("12024142")
    with pytest.raises(UnknownFieldError) as raised:
        decode(Deposit, raw)
    assert str(raised.value) == (
        'errUnknownField "/akash.base.deposit.v1.Deposit": {TagNum: 2, WireType:"bytes"}'
    )


def test_an_unknown_field_is_found_inside_packed_messages() -> None:
    inner = Any(type_url="/akash.escrow.v1.MsgAccountDeposit", value=bytes.fromhex("4801"))
    body = TxBody(messages=[pack(MsgExec(grantee="a", msgs=[inner]))])
    with pytest.raises(UnknownFieldError, match="MsgAccountDeposit"):
        decode(TxBody, encode(body))


@pytest.mark.parametrize(("kind", "passes"), [(TxBody, True), (AuthInfo, False)])
def test_only_a_body_may_hold_unknown_fields_that_are_not_critical(
    kind: type[TxBody | AuthInfo], passes: bool
) -> None:
    raw = bytes.fromhex("827f00")  # field 2032: bit 11 of the number says "not critical"
    if passes:
        assert decode(kind, raw) == kind.FromString(raw)
    else:
        with pytest.raises(UnknownFieldError):
            decode(kind, raw)


def test_a_message_of_another_version_is_refused() -> None:
    body = TxBody(messages=[Any(type_url="/akash.deployment.v1beta3.MsgCloseDeployment")])
    with pytest.raises(
        UnknownTypeError, match=r"unable to resolve type URL /akash\.deployment\.v1beta3"
    ):
        decode(TxBody, encode(body))


def test_nesting_has_an_end() -> None:
    nested = MsgExec(grantee="a")
    for _ in range(MAX_DEPTH + 1):
        nested = MsgExec(grantee="a", msgs=[pack(nested)])
    with pytest.raises(DecodeError, match="too deeply"):
        decode(TxBody, encode(TxBody(messages=[pack(nested)])))


@pytest.mark.parametrize(
    "value",
    [
        {"id": {"scope": "nowhere"}},
        {"id": {"scope": "deployment", "xid": 7}},
        {"deposit": {"amount": {"denom": "uact", "amount": 5}}},
        {"deposit": {"sources": "balance"}},
        {"deposit": "5"},
        {"signer": None, "stranger": 1},
    ],
)
def test_json_of_the_wrong_kind_is_a_decode_error(value: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        parse(MsgAccountDeposit, value)
