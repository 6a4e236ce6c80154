"""Which addresses may be dialled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.adapters.net.screen import NetScreen, is_dialable
from garrison.errors import UnavailableError, UnsafeDestinationError

PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700::1111"]
PRIVATE = ["10.0.0.1", "172.16.5.4", "192.168.1.1", "127.0.0.1", "100.64.0.1", "::1", "fd00::1"]
NEVER = [
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "::7f00:1",
]


class Names:
    """A lookup with fixed answers."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self._addresses


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("allow_private", [False, True])
def test_public_addresses_are_dialable(address: str, *, allow_private: bool) -> None:
    assert is_dialable(ip_address(address), allow_private=allow_private)


@pytest.mark.parametrize("address", [*PRIVATE, "::ffff:10.0.0.1", "::ffff:127.0.0.1"])
def test_private_addresses_need_permission(address: str) -> None:
    assert not is_dialable(ip_address(address), allow_private=False)
    assert is_dialable(ip_address(address), allow_private=True)


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_private", [False, True])
def test_some_addresses_are_never_dialable(address: str, *, allow_private: bool) -> None:
    assert not is_dialable(ip_address(address), allow_private=allow_private)


@given(st.ip_addresses(v=4))
def test_mapping_into_ipv6_changes_no_verdict(address: IPv4Address) -> None:
    mapped = ip_address(f"::ffff:{address}")
    for allowed in (False, True):
        assert is_dialable(mapped, allow_private=allowed) == is_dialable(
            address, allow_private=allowed
        )


async def test_returns_the_resolved_address_and_asks_once() -> None:
    names = Names("93.184.215.14")
    found = await NetScreen(lookup=names).destination("a.example", 8443, allow_private=False)
    assert (found.host, found.address, found.port) == ("a.example", "93.184.215.14", 8443)
    assert names.asked == [("a.example", 8443)]


async def test_takes_the_dialable_one_and_prefers_ipv4() -> None:
    screen = NetScreen(lookup=Names("10.0.0.1", "2606:4700::1111", "1.1.1.1"))
    found = await screen.destination("a.example", 443, allow_private=False)
    assert found.address == "1.1.1.1"


async def test_refusal_names_address_and_remedy() -> None:
    with pytest.raises(UnsafeDestinationError, match=r"10\.0\.0\.1.*allowPrivateAddresses"):
        await NetScreen(lookup=Names("10.0.0.1")).destination("a.example", 80, allow_private=False)


async def test_metadata_service_has_no_remedy() -> None:
    screen = NetScreen(lookup=Names("169.254.169.254"))
    with pytest.raises(UnsafeDestinationError, match="never are"):
        await screen.destination("metadata.example", 80, allow_private=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "::1"])
async def test_literals_are_screened_without_a_lookup(host: str) -> None:
    names = Names("1.1.1.1")
    with pytest.raises(UnsafeDestinationError):
        await NetScreen(lookup=names).destination(host, 80, allow_private=False)
    assert names.asked == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "localhost"])
async def test_other_spellings_of_loopback_are_caught_by_the_system(host: str) -> None:
    with pytest.raises((UnsafeDestinationError, UnavailableError)):
        await NetScreen().destination(host, 80, allow_private=False)


@pytest.mark.parametrize(("host", "port"), [("", 80), ("a" * 300, 80), ("a", 0), ("a", 65536)])
async def test_nonsense_is_no_destination(host: str, port: int) -> None:
    with pytest.raises(UnsafeDestinationError, match="not a destination"):
        await NetScreen(lookup=Names("1.1.1.1")).destination(host, port, allow_private=True)


async def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    async def fails(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(UnavailableError, match="no such name"):
        await NetScreen(lookup=fails).destination("a.example", 80, allow_private=False)


async def test_a_slow_resolver_is_given_up() -> None:
    async def hangs(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    screen = NetScreen(lookup=hangs, timeout_seconds=0.01)
    with pytest.raises(UnavailableError, match=r"within 0\.01 s"):
        await screen.destination("a.example", 80, allow_private=False)


async def test_an_empty_answer_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="no address"):
        await NetScreen(lookup=Names()).destination("a.example", 80, allow_private=False)
