"""The make-believe model, run as the image runs it."""

import asyncio
import hashlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp
import openai

from devenv.checkout import WORKLOADS
from devenv.processes import Process

_SCRIPT = WORKLOADS / "synthetic.py"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_it_streams_to_the_openai_client(tmp_path: Path) -> None:
    port = _free_port()
    server = await Process.start(
        "synthetic",
        (sys.executable, str(_SCRIPT)),
        log=tmp_path / "log",
        env={"PORT": str(port), "SYNTHETIC_TOKENS_PER_SECOND": "1000", "PYTHONUNBUFFERED": "1"},
    )
    try:
        await server.ready(limit_seconds=20, word="serving")
        async with openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="x"
        ) as client:
            stream = await client.chat.completions.create(
                model="synthetic",
                messages=[{"role": "user", "content": "hello there"}],
                max_tokens=5,
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
    finally:
        await server.stop()
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "the river keeps its own"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


async def test_it_crashes_when_asked(tmp_path: Path) -> None:
    crashing = await Process.start(
        "synthetic",
        (sys.executable, str(_SCRIPT)),
        log=tmp_path / "log",
        env={"SYNTHETIC_CRASH": "1"},
    )
    assert await crashing.wait() == 1


async def _changed(session: aiohttp.ClientSession, first: dict[str, Any]) -> dict[str, Any]:
    """What it has read once that is not ``first`` any more: a signal takes effect in its own time."""
    async with asyncio.timeout(20):
        while True:
            async with session.get("/secrets") as answer:
                found: dict[str, Any] = await answer.json()
            if found != first:
                return found
            await asyncio.sleep(0.02)


async def test_it_reads_its_secrets_again_at_a_signal_and_counts_answers(tmp_path: Path) -> None:
    port, folder = _free_port(), tmp_path / "secrets"
    folder.mkdir()
    (folder / "token").write_text("one")
    server = await Process.start(
        "synthetic",
        (sys.executable, str(_SCRIPT)),
        log=tmp_path / "log",
        env={"PORT": str(port), "GARRISON_SECRETS": str(folder), "PYTHONUNBUFFERED": "1"},
    )
    try:
        await server.ready(limit_seconds=20, word="serving")
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/secrets") as answer:
                first = await answer.json()
            (folder / "token").write_text("two")
            os.kill(server.pid, signal.SIGHUP)
            second = await _changed(session, first)
            async with session.post("/v1/completions", json={"max_tokens": 1}) as answer:
                await answer.read()
            async with session.get("/metrics") as answer:
                page = await answer.text()
    finally:
        await server.stop()
    assert [each["read"]["token"] for each in (first, second)] == [
        hashlib.sha256(each).hexdigest() for each in (b"one", b"two")
    ]
    assert first["pid"] == second["pid"] == server.pid
    assert 'synthetic_requests_total{model="synthetic"} 1' in page.splitlines()
