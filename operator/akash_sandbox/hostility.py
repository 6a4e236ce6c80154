"""What a hostile provider does to its tenants on purpose, as far as it can from outside a container."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Replay = Literal["", "beside", "instead"]
Forged = Literal["", "self-made", "other-lease"]

BOOTSTRAP = "GARRISON_BOOTSTRAP"
"""The variable in which a sentinel's bootstrap is, for whoever reads the environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostility:
    """The hostile behaviours of one provider that are on.

    ``reads`` keeps everything that it receives. ``replay`` starts a second container from the same
    order: ``beside`` the first, which every other connection of the control port then meets, or
    ``instead`` of it. ``certificate`` answers TLS itself, with a certificate of its own making that has
    the lease's names or with the one that another tenant's environment holds. ``strips_tls`` answers
    plain HTTP at the data port. ``stale_answers`` lets one control connection through and answers the
    later ones with its bytes. ``delay_seconds`` holds every connection up. ``cuts_control`` refuses the
    control port.
    """

    reads: bool = False
    replay: Replay = ""
    certificate: Forged = ""
    strips_tls: bool = False
    stale_answers: bool = False
    delay_seconds: float = 0.0
    cuts_control: bool = False

    @property
    def in_words(self) -> list[str]:
        """Name what is on, as ``garrison sandbox hostile`` does."""
        named = {
            "read-env": self.reads,
            f"replay-{self.replay}": self.replay,
            f"{self.certificate}-certificate": self.certificate,
            "strip-tls": self.strips_tls,
            "stale-answers": self.stale_answers,
            "delay": self.delay_seconds,
            "cut-control": self.cuts_control,
        }
        return [name for name, on in named.items() if on]


@dataclass(frozen=True, slots=True, kw_only=True)
class StolenBootstrap:
    """What reading a container's environment gives: names, ports, and one key pair."""

    lease: str
    namespace: str
    workload: str
    trust_domain: str
    certificate: str
    key: str
    control_port: int
    data_port: int


def stolen(environment: Iterable[tuple[str, str]]) -> StolenBootstrap | None:
    """Return the bootstrap in an environment, None where there is none that can be read."""
    try:
        body: dict[str, Any] = json.loads(base64.b64decode(dict(environment)[BOOTSTRAP]))
        return StolenBootstrap(
            lease=body["lease"],
            namespace=body["namespace"],
            workload=body["workload"],
            trust_domain=body["trustDomain"],
            certificate=body["certificate"],
            key=body["key"],
            control_port=int(body["controlPort"]),
            data_port=int(body["dataPort"]),
        )
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
