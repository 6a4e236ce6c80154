"""What a relay is told: where to listen, whom to take, whom to serve, and its bounds."""

from __future__ import annotations

from typing import List, NamedTuple  # noqa: UP035 -- evaluated at run time on Python 3.9


class Limits(NamedTuple):
    """Bounds of one relay; times in seconds, sizes in bytes. ``connections`` are those of all workers.

    A client that keeps bytes waiting for ``stall`` is dropped: it takes less than 4 KiB a second.
    When ``pending`` bytes wait in one worker, its connections read in steps of 16 KiB.
    """

    connections: int = 1024
    handshakes: int = 256
    handshake: float = 10.0
    stall: float = 60.0
    connect: float = 3.0
    pending: int = 32 * 1024 * 1024


class Identity(NamedTuple):
    """The certificate to present, and whose clients to take (PEM)."""

    chain: str
    key: str
    authorities: List[str]  # noqa: UP006

    def __repr__(self) -> str:
        """Show no key."""
        return "Identity()"


class Settings(NamedTuple):
    """One relay: TLS on ``host``:``port``, clients named ``client``, plain TCP to ``upstream``.

    ``vendor``: the abstract Unix address that gives sockets of the workload's own network, where
    that is not ours.
    """

    host: str
    port: int
    upstream: int
    client: str
    identity: Identity
    limits: Limits = Limits()
    vendor: str = ""
