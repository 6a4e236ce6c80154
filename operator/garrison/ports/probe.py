"""Talking to a served model from outside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from garrison.ports.identity import Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A screened address: ``address`` is the IP that was resolved and may be dialled."""

    host: str
    address: str
    port: int


class ProbeOutcome(StrEnum):
    HEALTHY = "Healthy"
    REFUSED = "Refused"
    """nothing listens, or the connection breaks"""
    TIMED_OUT = "TimedOut"
    BAD_STATUS = "BadStatus"
    """something answers, but not with 2xx"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    outcome: ProbeOutcome
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkAsk:
    """What to ask an OpenAI-compatible server for. ``model`` None: the first of /v1/models."""

    model: str | None
    requests: int = 4
    max_tokens: int = 64
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkFigures:
    """Medians over the requests, with vLLM's definitions.

    Time to first token in milliseconds, from sending the request to the first token's arrival.
    Tokens per second in thousandths: output tokens after the first / (end - first token), one
    request at a time.
    """

    model: str
    requests: int
    time_to_first_token_ms: int
    millitokens_per_second: int


class Screen(Protocol):
    """The one check of every address that somebody else chose."""

    async def destination(self, host: str, port: int, *, allow_private: bool) -> Destination:
        """Resolve once. Raises UnsafeDestinationError (no public address), UnavailableError (DNS)."""


class Prober(Protocol):
    """Probes and benchmarks, at screened destinations only."""

    async def probe(
        self,
        destination: Destination,
        path: str,
        *,
        timeout_seconds: float,
        peer: Peer | None = None,
    ) -> ProbeResult:
        """One GET; never raises for what the server does. ``peer`` None: in the clear."""

    async def benchmark(
        self, destination: Destination, ask: BenchmarkAsk, *, peer: Peer | None = None
    ) -> BenchmarkFigures:
        """Run the benchmark. No usable answer raises UnavailableError: a failure, never a skip."""
