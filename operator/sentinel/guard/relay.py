"""The rung for hosts without user notification: allowed addresses, relayed into a namespace.

The workload lives in a network namespace with loopback only. Allowed addresses are given to that
loopback, and the guard listens on them inside; it decides on each connection again, connects
outside, and copies bytes.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable

from sentinel.guard.addresses import Network, fold, is_loopback, shown
from sentinel.guard.annex import Annex
from sentinel.guard.audit import Audit
from sentinel.guard.loop import WRITE, Loop
from sentinel.guard.outbound import Replaced
from sentinel.guard.policy import Policy
from sentinel.guard.pump import Pump, reset
from sentinel.guard.verdict import Decider

_CONNECT_SECONDS = 130.0
_MAX_CONNECTIONS = 4096
_ANY = {4: "0.0.0.0", 6: "::"}  # noqa: S104 -- inside the namespace, which has loopback only


class Relay:
    """Owns the listening sockets inside, and the connections."""

    def __init__(self, loop: Loop, annex: Annex, decider: Decider, audit: Audit) -> None:
        self._loop = loop
        self._annex = annex
        self._decider = decider
        self._audit = audit
        self._listening: dict[tuple[int, int], socket.socket] = {}
        self._given: set[tuple[str, int]] = set()
        self._pumps: dict[Pump, tuple[bytes, int]] = {}
        self._waiting = 0

    def admit(self, policy: Policy) -> None:
        """Give the namespace the networks of the policy, and listen on their ports."""
        for rule in policy.networks:
            for part in _parts(rule.network):
                self._give(str(part.network_address + (part.prefixlen < 31)), part.prefixlen)
            self._listen(rule.network.version, rule.ports)

    def pinned(self, name: str, address: bytes) -> None:
        """Give the namespace an address that an allowed name has."""
        self._give(shown(address), len(address) * 8)
        for ports in self._decider.policy.ports_of(name):
            self._listen(4 if len(address) == 4 else 6, ports)

    def _give(self, address: str, prefix: int) -> None:
        if (address, prefix) not in self._given:
            self._annex.add_address(address, prefix)
            self._given.add((address, prefix))

    def _listen(self, version: int, ports: Iterable[int]) -> None:
        for port in ports:
            if (version, port) in self._listening:
                continue
            try:
                made = self._annex.bound(_ANY[version], port, socket.SOCK_STREAM)
            except OSError as error:
                self._audit.record("fault", error=f"port {port} inside: {error}")
                continue
            made.setblocking(False)
            self._listening[version, port] = made
            self._loop.watch(made.fileno(), lambda _events, s=made: self._accept(s))  # type: ignore[misc]

    def _accept(self, listening: socket.socket) -> None:
        try:
            near, _ = listening.accept()
        except OSError:
            return
        address, port = near.getsockname()[:2]
        target = fold(socket.inet_pton(near.family, address)), port
        verdict = self._decider.decide(*target)
        if is_loopback(target[0]) or not verdict.allowed:
            if not is_loopback(target[0]):
                self._audit.deny("tcp", address, port, verdict.reason, name=verdict.name)
            reset(near)
        elif len(self._pumps) + self._waiting >= _MAX_CONNECTIONS:
            reset(near)
        else:
            self._audit.allowed()
            self._dial(near, target)

    def _dial(self, near: socket.socket, target: tuple[bytes, int]) -> None:
        far = socket.socket(near.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        code = far.connect_ex((shown(target[0]), target[1]))
        if code not in (0, errno.EINPROGRESS):
            far.close()
            reset(near)
            return
        self._waiting += 1
        settled = False

        def settle(_events: int = 0) -> None:
            nonlocal settled
            if settled:
                return
            settled = True
            self._waiting -= 1
            self._loop.forget(far.fileno())
            failed = not _events or far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed or not self._decider.decide(*target).allowed:  # the policy may be another now
                far.close()
                reset(near)
            else:
                self._pumps[Pump(self._loop, near, far, self._ended)] = target

        self._loop.watch(far.fileno(), settle, WRITE)
        self._loop.later(_CONNECT_SECONDS, settle)

    def _ended(self, pump: Pump) -> None:
        self._pumps.pop(pump, None)

    def end_denied(self) -> Replaced:
        """Reset the connections that the policy in force denies."""
        denied = [pump for pump, target in self._pumps.items() if not self._decider.keeps(*target)]
        for pump in denied:
            pump.end(abort=True)
        return Replaced(len(denied))

    def close(self) -> None:
        """End everything."""
        for pump in list(self._pumps):
            pump.end(abort=True)
        for listening in self._listening.values():
            self._loop.forget(listening.fileno())
            listening.close()


def _parts(network: Network) -> list[Network]:
    """Return networks that a device can be given: not all of the Internet in one, and IPv6
    addresses one by one (an IPv6 device answers for no network)."""
    if isinstance(network, ipaddress.IPv6Network):
        return [network] if network.prefixlen == 128 else []
    if network.prefixlen == 0:
        return list(network.subnets(new_prefix=1))
    return [network]
