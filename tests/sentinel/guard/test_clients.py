"""Programs that people run: they work where they may, and are refused where they may not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sentinel.guard.conftest import NOBODY, PROGRAMS, Guarded, Runner
from tests.sentinel.guard.netns import FORBIDDEN, Wire
from tests.sentinel.guard.rungs import options

pytestmark = pytest.mark.long
POLICY = {"allow": [{"host": "allowed.example", "ports": [80]}]}
GOOD, BAD_NAME, BAD_ADDRESS = (
    "http://allowed.example/",
    "http://evil.example/",
    f"http://{FORBIDDEN}/",
)
NODE = "http=require('http');http.get(process.argv[1],r=>r.pipe(process.stdout))"
LIBRARIES = {
    "requests": "import requests,sys; print(requests.get(sys.argv[1], timeout=5).text)",
    "httpx": "import httpx,sys; print(httpx.get(sys.argv[1], timeout=5).text)",
    "httpx2": "import httpx2,sys; print(httpx2.get(sys.argv[1], timeout=5).text)",
    "aiohttp": (
        "import aiohttp,asyncio,sys\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession() as s, s.get(sys.argv[1]) as r:\n"
        "        print(await r.text())\n"
        "asyncio.run(main())"
    ),
    "openai": (
        "import openai,sys\n"
        "client = openai.OpenAI(base_url=sys.argv[1], api_key='x', max_retries=0, timeout=5)\n"
        "try: client.models.list()\n"
        "except openai.APIConnectionError: raise\n"
        "except Exception: pass\n"  # the answer is no list of models, but it is an answer
        "print('ok')"
    ),
}
Command = Callable[[str], list[str]]


def program(name: str, *arguments: str) -> Command:
    def command(url: str) -> list[str]:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed: it is not tried")
        return [found, *arguments, url]

    return command


def library(name: str) -> Command:
    def command(url: str) -> list[str]:
        pytest.importorskip(name)
        return [sys.executable, "-c", LIBRARIES[name], url]

    return command


@pytest.fixture(scope="module")
def go_program(folder: Path) -> Path:
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: static Go programs are not tried")
    target = folder / "dial"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    command = ["go", "build", "-o", str(target), str(PROGRAMS / "dial.go")]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return target


CLIENTS: dict[str, Command] = {
    "curl": program("curl", "-sS", "--max-time", "8"),
    "wget": program("wget", "-qO-", "-T", "8", "-t", "1"),
    "node": program("node", "-e", NODE),
    "java": program("java", str(PROGRAMS / "Fetch.java")),
    **{name: library(name) for name in LIBRARIES},
}


def check(command: Command, guarded: Runner, wire: Wire, rung: str, user: int = 0) -> None:
    def run(url: str) -> tuple[int, str]:
        done = guarded(
            *command(url), policy=POLICY, options=options(rung), on=wire, user=user, seconds=90
        )
        return done.code, done.output

    code, output = run(GOOD)
    assert (code, output.strip()) == (0, "ok")
    for url in (BAD_NAME, BAD_ADDRESS):
        code, output = run(url)
        assert code != 0 or "ok" not in output
    assert wire.forbidden() == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rung", ["strict", "strict-tcp", "addfd", "relay"])
@pytest.mark.parametrize("name", CLIENTS)
def test_clients(name: str, rung: str, guarded: Runner, clean: Wire) -> None:
    check(CLIENTS[name], guarded, clean, rung)


@pytest.mark.parametrize("name", ["curl", "wget", "node"])
def test_clients_without_any_right(name: str, guarded: Runner, clean: Wire) -> None:
    check(CLIENTS[name], guarded, clean, "strict", NOBODY)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rung", ["strict", "addfd"])
def test_java_without_any_right(rung: str, guarded: Runner, clean: Wire, folder: Path) -> None:
    source = str(shutil.copy(PROGRAMS / "Fetch.java", folder))  # where everybody may read it
    check(program("java", source), guarded, clean, rung, NOBODY)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])
@pytest.mark.parametrize("rung", ["strict", "addfd", "relay"])
def test_static_go(rung: str, user: int, go_program: Path, guarded: Runner, clean: Wire) -> None:
    check(lambda url: [str(go_program), url], guarded, clean, rung, user)


@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "nobody"])
@pytest.mark.parametrize("rung", ["strict", "addfd"])
def test_git(rung: str, user: int, guarded: Runner, clean: Wire) -> None:
    """The answer is an empty list of references, which git takes from old servers."""
    listing = program("git", "ls-remote")

    def run(url: str) -> Guarded:
        how = options(rung)
        return guarded(*listing(f"{url}x.git"), policy=POLICY, options=how, on=clean, user=user)

    allowed, denied = run(GOOD), run(BAD_ADDRESS)
    assert allowed.code == 0, allowed.errors
    assert denied.code != 0
    assert f"{FORBIDDEN} port 80" in denied.errors
    assert clean.forbidden() == []
