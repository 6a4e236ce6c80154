"""Answers are bounded, whoever sends them."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from garrison.adapters.sentinel.reply import bounded
from garrison.errors import UnavailableError

LIMIT = 1 << 16


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 4096)


async def exact(_request: web.Request) -> web.Response:
    return web.Response(body=b"x" * LIMIT)


def server() -> TestServer:
    app = web.Application()
    app.add_routes([web.get("/endless", endless), web.get("/exact", exact)])
    return TestServer(app)


async def test_an_answer_without_an_end_is_cut_off_at_its_limit() -> None:
    async with server() as place, aiohttp.ClientSession() as session:
        async with session.get(place.make_url("/exact")) as answer:
            assert len(await bounded(answer, LIMIT)) == LIMIT
        answer = await session.get(place.make_url("/endless"))
        with pytest.raises(UnavailableError, match=f"longer than {LIMIT} bytes"):
            await bounded(answer, LIMIT)
        answer.close()
