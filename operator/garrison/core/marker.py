"""The marker by which Garrison finds its own deployments: the group's name on the market.

``garrison-INSTALLATION-LEASEUID-ATTEMPT``: installation is 8 hex digits, the lease's uid 32.
The attempt is part of it, so that a deployment given up is never taken for its successor.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_MARKER = re.compile(r"garrison-([0-9a-f]{8})-([0-9a-f]{32})-([0-9]{1,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The parts of a marker; ``lease`` is the uid as Kubernetes writes it."""

    installation: str
    lease: str
    attempt: int

    def __str__(self) -> str:
        return f"garrison-{self.installation}-{self.lease.replace('-', '')}-{self.attempt}"


def installation_id(namespace_uid: str) -> str:
    """Return the 8 hex digits of an installation, from the uid of the operator's namespace."""
    return hashlib.sha256(namespace_uid.encode()).hexdigest()[:8]


def parse_marker(name: str) -> Marker | None:
    """Return the marker in a group's name, None when it is somebody else's."""
    match = _MARKER.fullmatch(name)
    if match is None:
        return None
    return Marker(installation=match[1], lease=_dashed(match[2]), attempt=int(match[3]))


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
