"""The attacks, and what the threat model says becomes of each."""

from __future__ import annotations

from dataclasses import dataclass

from akash_sandbox.client import HostilityChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One provider's behaviour, on from before the lease or ``once_ready``.

    ``reasons``: any of these ends the lease, with ``blame``. ``releases``: the container was
    given its secret before, rightly. ``is_long``: tried by ``make test-long`` only. ``says``: what the
    Event names beside its reason, where that alone does not say why.
    """

    name: str
    change: HostilityChange
    reasons: frozenset[str]
    once_ready: bool = False
    releases: bool = False
    is_long: bool = False
    blame: str = "Provider"
    says: str = ""


IDENTITY = frozenset({"IdentityRefused"})
SILENCE = frozenset({"SentinelUnreachable"})

ATTACKS = (
    Attack(
        name="forger",
        change=HostilityChange(certificate="self-made", reads=True),
        reasons=IDENTITY,
    ),
    Attack(
        name="thief",
        change=HostilityChange(certificate="other-lease", reads=True),
        reasons=IDENTITY,
        is_long=True,
    ),
    Attack(
        name="parrot",
        change=HostilityChange(stale_answers=True, reads=True),
        reasons=IDENTITY,
        is_long=True,
    ),
    Attack(
        name="doubler",
        change=HostilityChange(replay="beside", reads=True),
        reasons=frozenset({"SecondSession"}),
    ),
    Attack(
        name="late-doubler",
        change=HostilityChange(replay="beside", reads=True),
        reasons=frozenset({"SecondSession"}),
        once_ready=True,
        releases=True,
        is_long=True,
    ),
    Attack(
        name="stripper",
        change=HostilityChange(strips_tls=True, reads=True),
        reasons=frozenset({"Unhealthy"}),
        once_ready=True,
        releases=True,
        blame="Undecided",
        says="no TLS with the replica",
    ),
    Attack(
        name="cutter",
        change=HostilityChange(cuts_control=True, reads=True),
        reasons=SILENCE,
        once_ready=True,
        releases=True,
        is_long=True,
    ),
    Attack(
        name="staller",
        change=HostilityChange(delay_seconds=30, reads=True),
        reasons=frozenset({"Unhealthy"}),
        blame="Undecided",
        once_ready=True,
        releases=True,
        is_long=True,
    ),
)
"""Each on a workload of its own, which the cheap attacker wins before the dear haven."""
