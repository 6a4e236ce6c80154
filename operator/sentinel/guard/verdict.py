"""Decides on destinations: the policy, and the addresses that allowed names were seen to have."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sentinel.guard.addresses import is_inward, is_loopback
from sentinel.guard.policy import Policy

PIN_SECONDS = 3600.0
"""A pin lives at least this long: programs keep addresses longer than the answer allows."""
_CACHE_SECONDS = 5.0
_CACHE_ENTRIES = 4096
_MAX_PINNED = 65536
_MAX_NAMES = 64
"""Of one address: below a wildcard anybody can make up more."""


class Verdict(NamedTuple):
    """``reason`` is loopback, cidr, name, no-rule or port; ``name`` is what the address was."""

    allowed: bool
    reason: str
    name: str = ""


_EVER = float("-inf")
_OPEN, _CLOSED = Verdict(True, "loopback"), Verdict(False, "loopback")


class Decider:
    """Not for several threads: the guard's loop owns it."""

    def __init__(self, policy: Policy, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock
        self._pins: dict[bytes, dict[str, float]] = {}
        self._cache: dict[tuple[bytes, int], tuple[float, Verdict]] = {}
        self.closed_loopback_ports: set[int] = set()
        """Ports on this machine that the workload may not reach, whatever the policy says."""

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    def replace(self, policy: Policy) -> None:
        """Decide by ``policy`` from now on; what names were seen to be is kept."""
        self._policy = policy
        self._cache.clear()

    def pin(self, address: bytes, name: str, seconds: float) -> bool:
        """Remember that an allowed name has the folded address; False when it leads inward."""
        if is_inward(address):
            return False
        if len(self._pins) >= _MAX_PINNED:
            self._drop_expired()
        names = self._pins.setdefault(address, {})
        names[name] = self._clock() + max(seconds, PIN_SECONDS)
        if len(names) > _MAX_NAMES:
            del names[min(names, key=lambda each: names[each])]
        self._cache.clear()
        return True

    def decide(self, address: bytes, port: int) -> Verdict:
        """Return whether TCP to the folded address and port is allowed, and by what."""
        if is_loopback(address):
            return _CLOSED if port in self.closed_loopback_ports else _OPEN
        now = self._clock()
        known = self._cache.get((address, port))
        if known is not None and known[0] > now:
            return known[1]
        if len(self._cache) >= _CACHE_ENTRIES:
            self._cache.clear()
        verdict = self._decide(address, port, now)
        self._cache[address, port] = (now + _CACHE_SECONDS, verdict)
        return verdict

    def keeps(self, address: bytes, port: int) -> bool:
        """Return whether a connection that was allowed once may go on.

        A name that is allowed holds it even when its addresses are others by now: only a policy ends
        what was let through, and no clock.
        """
        if is_loopback(address):
            return port not in self.closed_loopback_ports
        return self._decide(address, port, _EVER).allowed

    def _decide(self, address: bytes, port: int, now: float) -> Verdict:
        if self._policy.network_allows(address, port):
            return Verdict(True, "cidr")
        seen = ""
        for name, expires in self._pins.get(address, {}).items():
            if expires > now and (rules := self._policy.ports_of(name)):
                if any(port in ports for ports in rules):
                    return Verdict(True, "name", name)
                seen = name
        return Verdict(False, "port" if seen else "no-rule", seen)

    def _drop_expired(self) -> None:
        now = self._clock()
        kept = {
            address: names
            for address, names in self._pins.items()
            if max(names.values(), default=0.0) > now
        }
        self._pins = kept if len(kept) < _MAX_PINNED else {}
