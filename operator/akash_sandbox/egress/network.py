"""The test network: a namespace that no cable joins to this machine, and one cable per container."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from akash_sandbox import netns
from akash_sandbox.egress.resolver import Resolver
from akash_sandbox.runtimes.command import attempt, output
from akash_sandbox.runtimes.container import Runtime, RuntimeFailure
from akash_sandbox.settings import Egress

NETWORKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
"""The documentation blocks of RFC 5737. Every address in them is the namespace's own, so that a server
in there listens at whichever it likes."""
NETWORK_6 = "2001:db8::/32"
"""RFC 3849."""
RESOLVER = IPv4Address("203.0.113.53")

_NAMED = Path("/run/netns")
_GATEWAY = IPv4Address("10.245.0.1")
_GATEWAY_6 = IPv6Address("fd47:6172::1")
_GREATEST_SLOT = 65_000
_FORWARDING = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cable:
    """One container's way out. ``namespace`` is the network namespace that it starts in, ``interface``
    the other end, inside the test network, where its packets are counted."""

    namespace: Path
    interface: str
    address: IPv4Address
    slot: int


class EgressNetwork:
    """Made by ``open_network``; ``close`` removes it with everything attached."""

    def __init__(self, name: str, settings: Egress) -> None:
        self.namespace = name
        self.names = settings.names
        self._resolver = Resolver(settings.names)
        self._with_ipv6 = False
        self._slots: set[int] = set()

    @property
    def in_words(self) -> str:
        """Say where packets go."""
        return f"the way out ends in the test network, namespace {self.namespace}"

    async def open(self) -> None:
        """Make the namespace and start its resolver; raises RuntimeFailure or OSError."""
        await output(["ip", "netns", "add", self.namespace])
        local = [f"route add local {block} dev lo" for block in NETWORKS]
        await _batch(self.namespace, ["link set lo up", *local])
        route = ["ip", "-n", self.namespace, "-6", "route", "add", "local", NETWORK_6, "dev", "lo"]
        self._with_ipv6 = await attempt(route)
        await asyncio.to_thread(netns.within, self._path(), _do_not_forward)
        await self._resolver.open(self._path(), str(RESOLVER))

    async def attach(self) -> Cable:
        """Return a new cable; raises RuntimeFailure."""
        slot = min(set(range(1, _GREATEST_SLOT)) - self._slots)
        self._slots.add(slot)
        cable = Cable(
            namespace=_NAMED / f"{self.namespace}-{slot}",
            interface=f"lease{slot}",
            address=_GATEWAY + slot,
            slot=slot,
        )
        try:
            await self._lay(cable)
        except BaseException:
            await asyncio.shield(self.detach(cable))
            raise
        return cable

    async def detach(self, cable: Cable) -> None:
        """Remove a cable; both ends go with the container's namespace."""
        await attempt(["ip", "netns", "delete", cable.namespace.name])
        # The kernel takes its time with a namespace, and the name of this end is wanted again.
        await attempt(["ip", "-n", self.namespace, "link", "delete", cable.interface])
        self._slots.discard(cable.slot)

    async def close(self) -> None:
        """Remove the network."""
        await self._resolver.close()
        await remove_network(self.namespace)

    async def _lay(self, cable: Cable) -> None:
        name = cable.namespace.name
        await output(["ip", "netns", "add", name])
        add = f"link add {cable.interface} type veth peer name eth0 netns {name}"
        far = self._addresses(_GATEWAY, cable.address, cable.interface)
        await _batch(self.namespace, [add, *far])
        near = self._addresses(cable.address, _GATEWAY, "eth0")
        default = [f"route add 0.0.0.0/0 via {_GATEWAY} dev eth0 onlink"]
        if self._with_ipv6:
            default.append(f"route add ::/0 via {_GATEWAY_6} dev eth0 onlink")
        await _batch(name, ["link set lo up", *near, *default])

    def _addresses(self, own: IPv4Address, peer: IPv4Address, device: str) -> Iterable[str]:
        # No link-local address: what its making and its use send would be counted too.
        yield f"link set {device} addrgenmode none"
        yield f"address add {own} peer {peer} dev {device}"
        if self._with_ipv6:
            yield f"address add {_six(own)}/128 dev {device} nodad"
        yield f"link set {device} up"
        if self._with_ipv6:
            yield f"route add {_six(peer)}/128 dev {device}"

    def _path(self) -> Path:
        return _NAMED / self.namespace


async def open_network(name: str, settings: Egress, runtime: Runtime) -> EgressNetwork:
    """Return the test network in a new namespace of this name.

    Raises RuntimeFailure, saying why there can be none.
    """
    if why := _obstacle(settings, runtime):
        raise RuntimeFailure(why)
    network = EgressNetwork(name, settings)
    try:
        await network.open()
    except (RuntimeFailure, OSError) as error:
        await network.close()
        raise RuntimeFailure(f"no test network can be made here: {error}") from error
    return network


async def remove_network(name: str) -> None:
    """Remove a test network, and the namespaces of its containers, whoever made them."""
    for path in await asyncio.to_thread(lambda: sorted(_NAMED.glob(f"{name}*"))):
        await attempt(["ip", "netns", "delete", path.name])


def _obstacle(settings: Egress, runtime: Runtime) -> str:
    if settings.network == "off":
        return "egress.network is off"
    if not runtime.joins_network:
        return f"{runtime.name} starts no container in a network made before; runc and crun do"
    if os.geteuid() != 0:
        return "making a network takes root"
    if shutil.which("ip") is None:
        return "making a network takes ip(8); install iproute2"
    return ""


async def _batch(namespace: str, commands: Iterable[str]) -> None:
    """Run ip(8) commands in a namespace; raises RuntimeFailure at the first that fails."""
    await output(["ip", "-n", namespace, "-batch", "-"], given="\n".join(commands))


def _do_not_forward() -> None:
    """Keep containers from reaching each other through the test network."""
    for name in _FORWARDING:
        with contextlib.suppress(FileNotFoundError):
            (Path("/proc/sys/net") / name).write_text("0")


def _six(address: IPv4Address) -> IPv6Address:
    return _GATEWAY_6 + (int(address) - int(_GATEWAY))
