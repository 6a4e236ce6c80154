"""Probes and benchmarks of a served model (``ports.probe.Prober``)."""

from __future__ import annotations

import aiohttp

from garrison.adapters.openai.benchmark import benchmark
from garrison.adapters.openai.http import Way, exchange, read_some
from garrison.adapters.sockets import cause
from garrison.errors import GarrisonError, UnavailableError
from garrison.ports.identity import Identities, Peer
from garrison.ports.probe import (
    BenchmarkAsk,
    BenchmarkFigures,
    Destination,
    ProbeOutcome,
    ProbeResult,
)

MAX_BODY = 1 << 16
"""What is read of a probe's answer; a health page says everything in its status."""

NO_TLS = "no TLS with the replica, something in its place or on the way answers"


class HttpProber:
    """Talks HTTP to the forwarded port at the screened address, by mutual TLS where there is a peer.

    ``identities`` may be None where no replica has a sentinel.
    """

    def __init__(self, identities: Identities | None = None) -> None:
        self._identities = identities

    async def _way(self, destination: Destination, peer: Peer | None) -> Way:
        if peer is None:
            return Way(destination=destination)
        if self._identities is None:
            raise UnavailableError("this prober has no client identity for mutual TLS")
        return Way(destination=destination, tls=await self._identities.context(peer))

    async def probe(
        self,
        destination: Destination,
        path: str,
        *,
        timeout_seconds: float,
        peer: Peer | None = None,
    ) -> ProbeResult:
        """Return how one GET went; 2xx is healthy, a redirect is not followed and is not healthy."""
        where = f"GET {path} at {destination.host}:{destination.port}"
        try:
            way = await self._way(destination, peer)
            async with exchange(way, path, timeout_seconds=timeout_seconds) as response:
                await read_some(response, MAX_BODY)
                return _judged(where, response.status)
        except TimeoutError:
            return ProbeResult(
                outcome=ProbeOutcome.TIMED_OUT,
                message=f"{where}: no answer within {timeout_seconds:g} s",
            )
        except aiohttp.ClientSSLError as error:
            return ProbeResult(
                outcome=ProbeOutcome.REFUSED,
                message=f"{where}: {NO_TLS}: {_line(str(error.os_error))}",
            )
        except (aiohttp.ClientError, OSError, ValueError, GarrisonError) as error:
            return ProbeResult(
                outcome=ProbeOutcome.REFUSED, message=f"{where}: {_line(cause(error))}"
            )

    async def benchmark(
        self, destination: Destination, ask: BenchmarkAsk, *, peer: Peer | None = None
    ) -> BenchmarkFigures:
        """Return the figures. Raises UnavailableError when there is no usable answer."""
        return await benchmark(await self._way(destination, peer), ask)


def _judged(where: str, status: int) -> ProbeResult:
    if status // 100 == 2:
        return ProbeResult(outcome=ProbeOutcome.HEALTHY)
    return ProbeResult(outcome=ProbeOutcome.BAD_STATUS, message=f"{where}: answered {status}")


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)[:300]
