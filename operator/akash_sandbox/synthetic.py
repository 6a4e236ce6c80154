"""A make-believe model behind the OpenAI API: right shapes, settable speed, meaningless words."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Json = dict[str, Any]

_WORDS = ("the", "river", "keeps", "its", "own", "slow", "time", "and", "carries", "light")
_DEFAULT_TOKENS = 16
_GREATEST_TOKENS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """``load_seconds``: how long after its start the model says 503 on /health."""

    tokens_per_second: float = 50.0
    first_token_seconds: float = 0.05
    load_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What slows the way to the model and the model itself."""

    latency_ms: int = 0
    bytes_per_second: int = 0
    speed_percent: int = 100


def speed_from_env(env: Mapping[str, str]) -> Speed:
    """Return the speed that a workload's SYNTHETIC_* variables ask for; raises ValueError."""
    tokens = float(env.get("SYNTHETIC_TOKENS_PER_SECOND", "50"))
    if tokens <= 0:
        raise ValueError(f"SYNTHETIC_TOKENS_PER_SECOND is {tokens}; give a number above 0")
    return Speed(
        tokens_per_second=tokens,
        first_token_seconds=float(env.get("SYNTHETIC_TTFT_MS", "50")) / 1000,
        load_seconds=float(env.get("SYNTHETIC_LOAD_MS", "0")) / 1000,
    )


class SyntheticModel:
    """Answers as one model server; ``shape`` is asked anew for every request."""

    def __init__(self, *, name: str, speed: Speed, shape: Callable[[], Shape]) -> None:
        self._name = name
        self._speed = speed
        self._shape = shape
        self._ready_at = time.monotonic() + speed.load_seconds

    def app(self) -> web.Application:
        """Return the model server."""
        app = web.Application(middlewares=[self._delay])
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completions)
        return app

    @web.middleware
    async def _delay(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Any],
    ) -> web.StreamResponse:
        await asyncio.sleep(self._shape().latency_ms / 1000)
        response: web.StreamResponse = await handler(request)
        return response

    async def _health(self, _request: web.Request) -> web.Response:
        loaded = time.monotonic() >= self._ready_at
        return web.Response(status=200 if loaded else 503)

    async def _models(self, _request: web.Request) -> web.Response:
        model = {"id": self._name, "object": "model", "created": 0, "owned_by": "synthetic"}
        return web.json_response({"object": "list", "data": [model]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._generate(request, chat=True)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        return await self._generate(request, chat=False)

    async def _generate(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        try:
            ask = _ask(await request.json())
        except (ValueError, TypeError, AttributeError) as error:
            return _bad_request(str(error))
        if time.monotonic() < self._ready_at:
            return web.json_response({"error": {"message": "the model is loading"}}, status=503)
        answer = _Answer(model=self._name, chat=chat, ask=ask)
        if ask.stream:
            return await self._stream(request, answer)
        words = [word async for word in self._words(ask.tokens)]
        return web.json_response(answer.whole("".join(words)))

    async def _stream(self, request: web.Request, answer: _Answer) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        async for word in self._words(answer.ask.tokens):
            await self._send(response, answer.piece(word))
        await self._send(response, answer.last())
        if answer.ask.usage:
            await self._send(response, answer.usage())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _send(self, response: web.StreamResponse, event: Json) -> None:
        data = f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
        rate = self._shape().bytes_per_second
        if rate:
            await asyncio.sleep(len(data) / rate)
        await response.write(data)

    async def _words(self, count: int) -> AsyncIterator[str]:
        """Yield words on a fixed schedule, so that many short sleeps do not add up late."""
        slow = 100 / self._shape().speed_percent
        due = time.monotonic() + self._speed.first_token_seconds * slow
        for index in range(count):
            await asyncio.sleep(due - time.monotonic())
            yield _WORDS[index % len(_WORDS)] + " "
            due += slow / self._speed.tokens_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    tokens: int
    prompt_tokens: int
    stream: bool
    usage: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    model: str
    chat: bool
    ask: _Ask

    def whole(self, text: str) -> Json:
        content: Json = {"text": text}
        if self.chat:
            content = {"message": {"role": "assistant", "content": text}}
        return {**self._frame("", [self._choice(content, "length")]), "usage": self._counts()}

    def piece(self, word: str) -> Json:
        content = {"delta": {"content": word}} if self.chat else {"text": word}
        return self._frame(".chunk", [self._choice(content, None)])

    def last(self) -> Json:
        content: Json = {"delta": {}} if self.chat else {"text": ""}
        return self._frame(".chunk", [self._choice(content, "length")])

    def usage(self) -> Json:
        return {**self._frame(".chunk", []), "usage": self._counts()}

    def _frame(self, chunk: str, choices: list[Json]) -> Json:
        kind = f"chat.completion{chunk}" if self.chat else "text_completion"
        return {
            "id": "synthetic",
            "object": kind,
            "created": int(time.time()),
            "model": self.model,
            "choices": choices,
        }

    def _choice(self, content: Json, reason: str | None) -> Json:
        return {"index": 0, **content, "finish_reason": reason, "logprobs": None}

    def _counts(self) -> Json:
        return {
            "prompt_tokens": self.ask.prompt_tokens,
            "completion_tokens": self.ask.tokens,
            "total_tokens": self.ask.prompt_tokens + self.ask.tokens,
        }


def _ask(body: Any) -> _Ask:
    """Return what a request body asks for; raises ValueError, TypeError or AttributeError."""
    tokens = int(body.get("max_tokens") or body.get("max_completion_tokens") or _DEFAULT_TOKENS)
    if not 0 < tokens <= _GREATEST_TOKENS:
        raise ValueError(f"max_tokens is {tokens}; give 1 to {_GREATEST_TOKENS}")
    text = json.dumps(body.get("messages") or body.get("prompt") or "")
    options = body.get("stream_options") or {}
    return _Ask(
        tokens=tokens,
        prompt_tokens=len(text.split()),
        stream=bool(body.get("stream")),
        usage=bool(options.get("include_usage")),
    )


def _bad_request(message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "code": None}
    return web.json_response({"error": error}, status=400)
