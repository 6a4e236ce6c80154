"""Bootstraps in memory: whose they are, and no key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from garrison.adapters.memory.faults import Call
from garrison.adapters.memory.market import MemoryMarket
from garrison.api.egress import EgressPolicySpec
from garrison.ports.identity import LeaseIdentity
from garrison.ports.sentinel import Injection, KeptBootstrap, SentinelPorts

DIGEST = hashlib.sha256(b"sentinel").hexdigest()
BOOTSTRAP = "GARRISON_BOOTSTRAP"


class MemoryBootstraps:
    """Implements ``Bootstraps``. ``held`` is what exists: the truth, for checks."""

    def __init__(self, market: MemoryMarket) -> None:
        self._market = market
        self.held: dict[str, tuple[LeaseIdentity, SentinelPorts]] = {}

    @property
    def digest(self) -> str:
        """Return the digest of the only sentinel there is."""
        return DIGEST

    async def prepare(
        self, name: str, lease: LeaseIdentity, ports: SentinelPorts, egress: EgressPolicySpec
    ) -> None:
        """Keep a bootstrap unless there is one."""
        del egress

        def effect(_now: datetime) -> None:
            self.held.setdefault(name, (lease, ports))

        await self._market.faults.write(self._call("prepare", name, write=True), effect)

    async def injection(self, name: str) -> Injection | None:
        """Return an environment that names the lease."""

        def answer(_moment: datetime) -> Injection | None:
            if name not in self.held:
                return None
            lease, ports = self.held[name]
            return Injection(command=("sentinel",), env=((BOOTSTRAP, lease.uid),), ports=ports)

        return await self._market.faults.read(self._call("injection", name, write=False), answer)

    async def fingerprint(self, name: str) -> str | None:
        """Return the fingerprint of a bootstrap."""

        def answer(_moment: datetime) -> str | None:
            return hashlib.sha256(name.encode()).hexdigest() if name in self.held else None

        return await self._market.faults.read(self._call("fingerprint", name, write=False), answer)

    async def discard(self, name: str) -> None:
        """Forget a bootstrap."""

        def effect(_now: datetime) -> None:
            self.held.pop(name, None)

        await self._market.faults.write(self._call("discard", name, write=True), effect)

    async def kept(self) -> Sequence[KeptBootstrap]:
        """Return what exists."""

        def answer(_moment: datetime) -> Sequence[KeptBootstrap]:
            return [
                KeptBootstrap(name=name, lease=lease.uid) for name, (lease, _) in self.held.items()
            ]

        return await self._market.faults.read(self._call("kept", "", write=False), answer)

    def _call(self, operation: str, name: str, *, write: bool) -> Call:
        return Call(port="bootstraps", operation=operation, write=write, subject=name)
