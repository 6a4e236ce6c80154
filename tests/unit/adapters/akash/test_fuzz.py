"""Whatever Console, gateways, streams and tokens say: a value, or an error of the tree."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import timedelta
from typing import Any, cast

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from akash_sandbox import jwt
from akash_sandbox.account import AccountKey
from garrison.adapters.akash.answers import TOKEN, understood
from garrison.adapters.akash.client import ConsoleClient
from garrison.adapters.akash.connections import ProviderConnections
from garrison.adapters.akash.console import ConsoleMarket
from garrison.adapters.akash.markers import INDEX_PATH
from garrison.adapters.akash.status import service_status
from garrison.adapters.akash.streams import (
    FAILURE,
    RESULT,
    STDERR,
    STDOUT,
    GatewayConsole,
    GatewaySession,
)
from garrison.adapters.akash.tokens import Issuer, rights
from garrison.adapters.system import SystemClock
from garrison.errors import GarrisonError, NotFoundError
from garrison.ports.market import LeaseTarget
from tests.unit.adapters.akash.console_api import PROVIDER, ConsoleApi, bid_body, lease_body

texts = st.sampled_from(
    [
        "",
        "NaN",
        "-Infinity",
        "1e400",
        "-1",
        "9" * 80,
        "active",
        "uact",
        "\x00",
        "ő",
        "²",
        "granular",
    ]
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def sound() -> dict[str, Any]:
    """Answers of a Console API in order."""
    api = ConsoleApi()
    api.add("77", "garrison-marker", lease_body("77", "akash1frost"))
    entry = api.entries["77"]
    pages = {"total": 1, "skip": 0, "limit": 100, "hasMore": False}
    return {
        "/v1/deployments": {"data": {"deployments": [entry], "pagination": pages}},
        "/v1/deployments/77": {"data": entry},
        "/v1/bids": {"data": [bid_body("77", "akash1frost")]},
        "/v1/balances": {"data": {"balance": 12.5, "deployments": 4.5, "total": 17}},
        "/v1/providers": [PROVIDER],
        "/v1/user/me": {"data": {"id": "4cd2b3ad", "userId": "auth0|1"}},
        "/v1/wallets": {"data": [{"userId": "4cd2b3ad", "address": "akash1owner"}]},
        f"{INDEX_PATH}/info": api._indexed("77"),
        f"{INDEX_PATH}/list": {
            "deployments": [api._indexed("77")],
            "pagination": {"next_key": None, "total": "1"},
        },
    }


class StubClient:
    """Answers out of a dictionary."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    async def get(self, path: str, _params: object = None) -> Any:
        if path not in self._answers:
            raise NotFoundError(path)
        return self._answers[path]


async def read_everything(answers: Mapping[str, Any]) -> int:
    """Return how many reads gave a value; none raises anything but an error of the tree."""
    client = cast("ConsoleClient", StubClient(answers))
    market = ConsoleMarket(
        client=client, clock=SystemClock(), outcome_horizon=timedelta(seconds=30)
    )
    done = 0
    for read in (
        market.balance,
        market.open_deployments,
        market.providers,
        lambda: market.deployment("77"),
        lambda: market.bids("77"),
    ):
        with suppress(GarrisonError):
            await read()
            done += 1
    return done


async def test_sound_answers_are_read() -> None:
    assert await read_everything(sound()) == 5


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    found = [path] if path else []
    return found + [place for key, each in children for place in places(each, (*path, key))]


def spoil(document: Any, place: Sequence[Any], value: Any) -> None:
    """Put a value somewhere, unless an earlier one took the place away."""
    with suppress(KeyError, IndexError, TypeError):
        for step in place[:-1]:
            document = document[step]
        document[place[-1]] = value


PLACES = places(sound())


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=3))
def test_spoilt_answers_of_console_are_errors_of_the_tree(
    spoilt: list[tuple[tuple[Any, ...], Any]],
) -> None:
    answers = sound()
    for place, value in spoilt:
        spoil(answers, place, value)
    asyncio.run(read_everything(answers))


STATUS = {
    "services": {"workload": {"available": 1}},
    "forwarded_ports": {
        "workload": [{"host": "a.example", "port": 80, "externalPort": 30000, "proto": "TCP"}]
    },
}


@given(st.sampled_from(places(STATUS)), values, st.booleans())
def test_a_spoilt_status_of_a_lease_is_a_value_or_an_error(
    place: tuple[Any, ...], value: Any, whole: bool
) -> None:
    document = value if whole else deepcopy(STATUS)
    if not whole:
        spoil(document, place, value)
    with suppress(GarrisonError):
        assert service_status(document, "a status").available >= 0


class StubSocket:
    """A WebSocket that says what was drawn, and then ends."""

    def __init__(self, frames: Sequence[aiohttp.WSMessage], code: int | None) -> None:
        self._frames = list(frames)
        self.close_code = code

    async def receive(self) -> aiohttp.WSMessage:
        end = aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)
        return self._frames.pop(0) if self._frames else end

    async def close(self) -> None:
        self._frames = []


class DrawnConsole(GatewayConsole):
    """A gateway whose streams are drawn."""

    def __init__(self, socket: StubSocket) -> None:
        target = LeaseTarget(deployment="77", gseq=1, oseq=1, provider="p", host_uri="https://p")
        super().__init__(
            issuer=cast("Issuer", None),
            connections=cast("ProviderConnections", None),
            target=target,
        )
        self._socket = socket

    async def _opened(
        self, *_asked: object, answers: bool = True
    ) -> aiohttp.ClientWebSocketResponse:
        return cast("aiohttp.ClientWebSocketResponse", self._socket)


def frame(kind: aiohttp.WSMsgType, data: Any, extra: str | None = None) -> aiohttp.WSMessage:
    return aiohttp.WSMessage(kind, data, extra)


jsons = values.map(json.dumps)
results = st.fixed_dictionaries({}, optional={"exit_code": values, "message": values})
said = st.one_of(
    st.builds(frame, st.just(aiohttp.WSMsgType.TEXT), st.text(max_size=40) | jsons),
    st.builds(
        frame,
        st.just(aiohttp.WSMsgType.TEXT),
        st.fixed_dictionaries({"message": values}, optional={"object": values}).map(json.dumps),
    ),
    st.builds(frame, st.just(aiohttp.WSMsgType.BINARY), st.binary(max_size=40)),
    st.builds(
        lambda kind, rest: frame(aiohttp.WSMsgType.BINARY, bytes([kind]) + rest),
        st.sampled_from([STDOUT, STDERR, RESULT, FAILURE]),
        st.binary(max_size=20) | (results | values).map(lambda each: json.dumps(each).encode()),
    ),
    st.builds(frame, st.just(aiohttp.WSMsgType.ERROR), st.just(OSError("reset"))),
    st.builds(
        frame,
        st.just(aiohttp.WSMsgType.CLOSE),
        st.integers(0, 65535),
        st.none() | st.text(max_size=20),
    ),
)
streams = st.lists(said, max_size=6)
codes = st.none() | st.sampled_from([1000, 1006, 1009, 4000, 4001, 4002]) | st.integers(0, 65535)


@given(streams, codes, st.booleans())
def test_any_stream_is_lines_and_events_or_an_error(
    frames: list[aiohttp.WSMessage], code: int | None, follow: bool
) -> None:
    async def read() -> None:
        with suppress(GarrisonError):
            async for line in DrawnConsole(StubSocket(frames, code)).lines(
                follow=follow, tail=None
            ):
                assert isinstance(line.text, str)
        with suppress(GarrisonError):
            async for event in DrawnConsole(StubSocket(frames, code)).events(follow=follow):
                assert isinstance(event.note, str)

    asyncio.run(read())


@given(streams, codes)
def test_any_shell_is_output_and_a_code_or_an_error(
    frames: list[aiohttp.WSMessage], code: int | None
) -> None:
    async def read() -> None:
        socket = cast("aiohttp.ClientWebSocketResponse", StubSocket(frames, code))
        session = GatewaySession(socket, "a shell")
        try:
            async for _, data in session.output():
                assert isinstance(data, bytes)
        except GarrisonError:
            return
        assert 0 <= session.exit_code <= 255

    asyncio.run(read())


KEY = AccountKey(ec.derive_private_key(7, ec.SECP256K1()))
NOW = 1_800_000_000
CLAIMS = {
    "iss": KEY.address,
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 60,
    "version": "v1",
    "leases": rights(
        LeaseTarget(deployment="77", gseq=1, oseq=2, provider="akash1frost", host_uri=""), "status"
    ),
}
CLAIM_PLACES = places(CLAIMS)


def signed(claims: Any) -> str:
    """Return a token with any claims, really signed."""
    text = f"{jwt._pack({'alg': 'ES256K', 'typ': 'JWT'})}.{jwt._pack(claims)}"
    return f"{text}.{jwt._encode(KEY.sign(text.encode()))}"


def judged(token: str) -> bool:
    """Return whether a gateway lets the token in; TokenError is an answer, too."""
    try:
        claims = jwt.verify(token, {KEY.address: KEY.public}, NOW)
    except jwt.TokenError:
        return False
    where: dict[str, Any] = {"scope": "status", "dseq": "77", "gseq": 1, "oseq": 2}
    return jwt.allows(claims, provider="akash1frost", **where)


@example([(("leases", "permissions", 0, "deployments", 0, "dseq"), "²")], None)
@given(st.lists(st.tuples(st.sampled_from(CLAIM_PLACES), values), max_size=3), values)
def test_any_claims_are_taken_or_refused(
    spoilt: list[tuple[tuple[Any, ...], Any]], other: Any
) -> None:
    claims = deepcopy(CLAIMS)
    assert judged(signed(claims))
    for place, value in spoilt:
        spoil(claims, place, value)
    assert judged(signed(claims)) in {True, False}
    assert not judged(signed(other))


@example("." + jwt._encode(b"[" * 100_000) + ".")
@example(jwt._encode(b"[" * 100_000) + ".e30.")
@given(st.text(max_size=60) | st.lists(st.text(max_size=20), max_size=4).map(".".join))
def test_any_text_is_no_token(text: str) -> None:
    assert not judged(text)


@given(
    st.integers(1, 2**63),
    st.integers(1, 99),
    st.integers(1, 99),
    st.sampled_from(sorted(jwt.SCOPES)),
)
def test_a_token_opens_its_lease_at_its_provider_and_nothing_else(
    dseq: int, gseq: int, oseq: int, scope: str
) -> None:
    target = LeaseTarget(
        deployment=str(dseq), gseq=gseq, oseq=oseq, provider="akash1frost", host_uri=""
    )
    claims = {**CLAIMS, "leases": rights(target, scope)}
    found = jwt.verify(signed(claims), {KEY.address: KEY.public}, NOW)
    mine: dict[str, Any] = {
        "provider": "akash1frost",
        "scope": scope,
        "dseq": str(dseq),
        "gseq": gseq,
        "oseq": oseq,
    }
    assert jwt.allows(found, **mine)
    for other in (
        {"provider": "akash1other"},
        {"scope": next(each for each in sorted(jwt.SCOPES) if each != scope)},
        {"dseq": str(dseq + 1)},
        {"gseq": gseq + 1},
        {"oseq": oseq + 1},
    ):
        assert not jwt.allows(found, **{**mine, **other})


@given(values)
def test_any_answer_to_a_wish_for_a_token_is_a_value_or_an_error(value: Any) -> None:
    for answer in (value, {"data": value}, {"data": {"token": value}}):
        with suppress(GarrisonError):
            assert isinstance(understood(TOKEN, answer, "a token").data.token, str)
