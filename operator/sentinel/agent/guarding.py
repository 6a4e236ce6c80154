"""The guard as the agent uses it: levels and denials in words, and one way to start processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

from sentinel.agent.errors import Refusal
from sentinel.guard import ladder
from sentinel.guard.annex import Annex
from sentinel.guard.audit import Destination, Record
from sentinel.guard.errors import CannotEnforce, PolicyError
from sentinel.guard.guard import Guard, Options
from sentinel.guard.launch import ChildSpec
from sentinel.guard.policy import Policy, parse_policy
from sentinel.tls.certificate import rfc3339

RESTART_NEEDED = "RestartNeeded"
_SHOWN = 100
_NAMES = 1100
_TEXT = 200


class Guarding:
    """Holds every process that the agent starts to version ``version`` of the egress policy."""

    def __init__(
        self, version: int, spec: Any, options: Options, annex: Annex | None = None
    ) -> None:
        """Start the guard: before any thread exists. Raises PolicyError."""
        self.version = version
        self.policy: Policy = parse_policy(spec)
        self._lock = threading.Lock()
        self._about: dict[tuple[str, str, int, str], Record] = {}
        self._guard: Guard | None = Guard(self.policy, self._heard, options, annex)
        self._failure = ""
        self.resolvers = [address for address, _ in self._guard.resolvers]
        try:
            self._start: Record = self._guard.start()
        except CannotEnforce as error:
            self._failure, self._guard = str(error), None
            self._start = {"rung": "none", "leaks": [], "level": ladder.REFUSED}

    def _heard(self, record: Record) -> None:
        if record.get("event") in ("denied", "would-deny") and len(self._about) < _NAMES:
            key = (record["proto"], record["destination"], record["port"], record["reason"])
            self._about[key] = record

    # -- the level

    def level(self) -> dict[str, Any]:
        """Return how far the policy is enforced, as ``status`` shows it.

        ``remaining``: where connections lead that a changed policy denies and that live on. While
        there are any, the level is not Enforced, whatever the rung: see ``demand`` for that.
        """
        level, remaining = self._start["level"], self.remaining()
        return {
            "level": ladder.BEST_EFFORT if remaining and level == ladder.ENFORCED else level,
            "remaining": list(remaining[:_SHOWN]),
            "rung": self._start["rung"],
            "mode": self.policy.mode,
            "leaks": self._start["leaks"],
            "limits": self._start.get("limits", []),
            "selfTest": self._self_test(),
        }

    def remaining(self) -> tuple[str, ...]:
        """Return where connections lead that the policy denies and that could not be ended yet."""
        return self._guard.remaining() if self._guard else ()

    def _self_test(self) -> str:
        if self._failure:
            return f"failed: {self._failure}"
        tested = self._start.get("connect") in (ladder.COPY, ladder.OWN) and self.policy.enforces
        return "passed" if tested else "not run"

    def demand(self) -> Guard:
        """Return the guard. Raises Refusal unless its rung enforces as far as the policy asks."""
        short = self.policy.enforces and self.policy.require_enforced
        if self._guard is None or (short and self._start["level"] != ladder.ENFORCED):
            why = self._failure or f"the level is {self._start['level']}"
            raise Refusal(409, "EgressNotEnforced", f"{why}; the policy demands Enforced")
        return self._guard

    def replace(self, version: int, spec: Any) -> dict[str, Any]:
        """Hold to another version; returns what ``status`` shows. Raises Refusal."""
        try:
            policy = parse_policy(spec)
        except PolicyError as error:
            raise Refusal(400, "InvalidPolicy", str(error)) from error
        with self._lock:
            if version < self.version:
                raise Refusal(409, "StaleVersion", f"version {self.version} is known already")
            if version > self.version:
                if policy != self.policy:
                    self._replace(policy)
                self.version, self.policy = version, policy
        return self.status()

    def _replace(self, policy: Policy) -> None:
        try:
            if self._guard is None:
                raise CannotEnforce(f"the guard is not running: {self._failure}")
            self._guard.replace(policy)
        except CannotEnforce as error:
            raise Refusal(
                409, RESTART_NEEDED, f"{error}; a sealed instance takes its place"
            ) from error
        self._start = {**self._start, "level": ladder.level_of(self._rung(), policy)}

    def _rung(self) -> ladder.Rung | None:
        known = (*ladder.RUNGS, *ladder.OBSERVING)
        return next((rung for rung in known if rung.name == self._start["rung"]), None)

    def status(self) -> dict[str, Any]:
        """Return version and level."""
        return {"version": self.version, "level": self.level()}

    # -- what was denied

    def denied(self) -> list[dict[str, Any]]:
        """Return the denied destinations, mining pools first; in Audit none is."""
        return self._destinations() if self.policy.enforces else []

    def observed(self) -> list[dict[str, Any]]:
        """Return what Audit would have denied."""
        return [] if self.policy.enforces else self._destinations()

    def totals(self) -> dict[str, int]:
        """Return counts of connects allowed and denied, names denied, signs of mining."""
        none = {"allowed": 0, "denied": 0, "namesDenied": 0, "mining": 0}
        return self._guard.totals() if self._guard else none

    def _destinations(self) -> list[dict[str, Any]]:
        found = self._guard.destinations() if self._guard else []
        return [self._shown(each) for each in found[:_SHOWN]]

    def _shown(self, each: Destination) -> dict[str, Any]:
        key = (each.proto, each.destination, each.port, each.reason)
        about = self._about.get(key, {})
        return {
            "destination": (about.get("name") or each.destination)[:_TEXT],
            "address": each.destination[:_TEXT],
            "port": each.port,
            "protocol": each.proto,
            "reason": each.reason,
            "process": about.get("exe", "")[:_TEXT],
            "count": each.count,
            "lastSeen": rfc3339(each.last_seen),
            "mining": each.mining or None,
        }

    # -- processes

    def spawn(
        self,
        argv: Sequence[str],
        env: dict[str, str],
        streams: Sequence[int],
        *,
        cwd: str | None = None,
        uid: int | None = None,
        gid: int | None = None,
    ) -> int:
        """Return the pid of a process under the guard. Raises OSError and Refusal."""
        changes = uid is not None and uid != os.geteuid()
        spec = ChildSpec(
            argv=argv,
            env=env,
            cwd=cwd,
            user=uid if changes else None,
            group=gid if gid != os.getegid() else None,
            extra_groups=[] if changes else None,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
        )
        return self.demand().spawn(spec)

    def reaped(self, pid: int, status: int) -> None:
        """Tell the guard of a child's end."""
        if self._guard:
            self._guard.reaped(pid, status)

    def own_children(self) -> frozenset[int]:
        """Return processes that belong to the guard."""
        return self._guard.own_children() if self._guard else frozenset()

    def close_ports(self, ports: Sequence[int]) -> None:
        """Keep the workload from dialling the agent's own ports."""
        if self._guard:
            self._guard.close_loopback_ports(ports)

    def separate_loopback(self) -> Guard | None:
        """Return the guard when the workload's loopback is not ours (rung relay)."""
        return self._guard if self._start.get("connect") == ladder.RELAY else None
