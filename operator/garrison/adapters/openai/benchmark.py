"""The benchmark of a served model, with the definitions of vLLM's serving benchmark and GuideLLM.

Time to first token (TTFT): from sending a request to the arrival of the first chunk with text.
Tokens per second: output tokens after the first, over the time from the first to the last chunk with
text, for one request at a time: the reciprocal of GuideLLM's inter-token latency. Tokens are counted
by the server (``usage``), else chunks are.
Figures are medians over the requests after one warm-up. Every prompt begins differently, so that no
prefix is found in a cache.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from garrison.adapters.openai.http import Way, exchange, read_some
from garrison.adapters.openai.stream import Reception, StreamError, arrivals
from garrison.errors import UnavailableError
from garrison.ports.probe import BenchmarkAsk, BenchmarkFigures

MAX_BODY = 1 << 20
MAX_NAME = 512
_TOPIC = (
    "Describe in plain prose how a lighthouse keeper spends a stormy night: the lamp, the log, "
    "the tide, the ships that pass, and what is written down for the next keeper at dawn."
)
_UNSUPPORTED = frozenset({400, 404, 405, 415, 422, 501})
"""Answers that say "not this way"; the next form of the request is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to ask. ``ignore_eos`` keeps the model talking; not every server knows it."""

    chat: bool
    ignore_eos: bool

    @property
    def path(self) -> str:
        return "/v1/chat/completions" if self.chat else "/v1/completions"

    def body(self, model: str, prompt: str, max_tokens: int) -> dict[str, Any]:
        """Return the request's JSON."""
        said: dict[str, Any] = (
            {"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}
        )
        extra = {"ignore_eos": True} if self.ignore_eos else {}
        return {
            "model": model,
            **said,
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **extra,
        }


FORMS = (
    Form(chat=True, ignore_eos=True),
    Form(chat=True, ignore_eos=False),
    Form(chat=False, ignore_eos=True),
    Form(chat=False, ignore_eos=False),
)


class UnsupportedError(Exception):
    """The server does not take this form of request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One request's figures, in seconds and tokens per second."""

    first_token: float
    rate: float


async def benchmark(way: Way, ask: BenchmarkAsk) -> BenchmarkFigures:
    """Return medians over ``ask.requests``; ``ask.timeout_seconds`` is for each request.

    Raises UnavailableError as soon as one request has no usable answer.
    """
    where = f"the model at {way.destination.host}:{way.destination.port}"
    try:
        model = ask.model or await _first_model(way, ask.timeout_seconds)
        form = await _warmed_up(way, ask, model)
        timings = [
            await _timed(way, ask, form, model, number) for number in range(1, ask.requests + 1)
        ]
    except TimeoutError as error:
        raise UnavailableError(
            f"{where} did not finish an answer within {ask.timeout_seconds:g} s"
        ) from error
    except (aiohttp.ClientError, OSError, ValueError, StreamError, UnsupportedError) as error:
        raise UnavailableError(f"{where} cannot be benchmarked: {error}") from error
    return _medians(model, timings)


def _medians(model: str, timings: list[Timing]) -> BenchmarkFigures:
    if not timings:
        raise UnavailableError("a benchmark of 0 requests has no result; ask for at least 1")
    return BenchmarkFigures(
        model=model,
        requests=len(timings),
        time_to_first_token_ms=round(statistics.median(t.first_token for t in timings) * 1000),
        millitokens_per_second=round(statistics.median(t.rate for t in timings) * 1000),
    )


async def _warmed_up(way: Way, ask: BenchmarkAsk, model: str) -> Form:
    """Return the first form that the server answers, after one whole answer."""
    refused: UnsupportedError | None = None
    for form in FORMS:
        try:
            await _timed(way, ask, form, model, 0)
        except UnsupportedError as error:
            refused = refused or error
        else:
            return form
    raise StreamError(str(refused))


def prompt_of(number: int, requests: int) -> str:
    """Return the prompt of a request; number 0 is the warm-up."""
    return f"Night {number} of {requests}. {_TOPIC}"


async def _timed(way: Way, ask: BenchmarkAsk, form: Form, model: str, number: int) -> Timing:
    body = form.body(model, prompt_of(number, ask.requests), ask.max_tokens)
    clock = asyncio.get_running_loop().time
    sent = clock()
    async with exchange(way, form.path, timeout_seconds=ask.timeout_seconds, body=body) as response:
        await _check(response, form)
        reception = Reception()
        async for arrival in arrivals(_pieces(response)):
            reception.take(arrival)
    return timing(reception, sent=sent, max_tokens=ask.max_tokens)


def timing(reception: Reception, *, sent: float, max_tokens: int) -> Timing:
    """Return a request's figures. Raises StreamError for an answer from which none follow."""
    tokens = reception.chunks if reception.tokens is None else reception.tokens
    if reception.first is None or reception.last is None:
        raise StreamError("the answer has no text")
    if not 2 <= tokens <= max_tokens:
        raise StreamError(f"the answer has {tokens} tokens where 2 to {max_tokens} were asked for")
    span = reception.last - reception.first
    if span <= 0:
        raise StreamError("the answer came in one piece instead of a stream")
    return Timing(first_token=reception.first - sent, rate=(tokens - 1) / span)


async def _check(response: aiohttp.ClientResponse, form: Form) -> None:
    if response.status == 200:
        return
    said = (await read_some(response, 300)).decode("utf-8", "replace")
    message = f"{form.path} answered {response.status}: {' '.join(said.split())}"
    if response.status in _UNSUPPORTED:
        raise UnsupportedError(message)
    raise StreamError(message)


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[float, bytes]]:
    clock = asyncio.get_running_loop().time
    async for piece in response.content.iter_any():
        yield clock(), piece


async def _first_model(way: Way, timeout_seconds: float) -> str:
    async with exchange(way, "/v1/models", timeout_seconds=timeout_seconds) as response:
        if response.status != 200:
            raise StreamError(f"/v1/models answered {response.status}")
        return model_name(await read_some(response, MAX_BODY))


def model_name(raw: bytes) -> str:
    """Return the first model in an answer of ``/v1/models``. Raises StreamError without one."""
    try:
        name = json.loads(raw)["data"][0]["id"]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise StreamError("/v1/models names no model") from error
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise StreamError("/v1/models names no model")
    return name
