"""``make up`` leaves a stage that can be used as it says, and ``make down`` ends it."""

from __future__ import annotations

import os
import re
import sys

import pytest

from tests.devenv.commands import LIMIT_SECONDS, Home, control_groups

DOWN = (sys.executable, "-m", "devenv.up", "down")
pytestmark = pytest.mark.timeout(2 * LIMIT_SECONDS)


def exported(output: str) -> dict[str, str]:
    """Return the variables that the output tells a person to export."""
    words = [line.split()[1:] for line in output.splitlines() if line.startswith("export ")]
    pairs = dict(word.split("=", 1) for line in words for word in line)
    return {**pairs, "PATH": pairs["PATH"].replace("$PATH", os.environ["PATH"])}


def to_try(output: str) -> list[str]:
    """Return the commands that the output tells a person to try."""
    _, _, after = output.partition("\nTry:\n")
    return [line.strip() for line in after.partition("\n\n")[0].splitlines()]


async def walk(home: Home, **env: str) -> None:
    """Go the whole way: up, try everything, up again, down, down again."""
    up = await home.run("make", "up", **env)
    assert up.code == 0, up.output
    market = home.market_folder()
    await try_everything(home, up.output)
    again = await home.run("make", "up", **env)
    assert again.code == 0
    assert "already running" in again.output
    assert exported(again.output) == exported(up.output)
    down = await home.run("make", "down")
    assert down.code == 0
    assert re.search(r"ended in [0-9.]+ s", down.output)
    assert home.left() == []
    assert control_groups(market) == []
    assert "nothing is running" in (await home.run("make", "down")).output


async def try_everything(home: Home, output: str) -> None:
    """Type what the output says into a shell."""
    variables = exported(output)
    look, scale, connect = to_try(output)
    looked = await home.run("sh", "-c", look, **variables)
    assert looked.code == 0, looked.output
    assert "inferenceworkload.garrison.dev/chat" in looked.output
    scaled = await home.run("sh", "-c", scale, **variables)
    assert scaled.code == 0, scaled.output
    connected = await home.start("sh", "-c", f"exec {connect}", **variables)
    await connected.says(r"^ready http://127\.0\.0\.1:\d+$")
    connected.interrupt()
    assert (await connected.ended()).code == 0


async def test_a_stage_on_the_light_api_server(home: Home) -> None:
    await walk(home, CONTROL_PLANE="light")


LINGERING = """
import fcntl, os, pathlib, signal, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), file=file, flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("held", flush=True)
signal.sigwait([signal.SIGTERM])
file.close()
time.sleep(1)
"""
"""A stage that goes on for a moment after it has let go of its lock, as a busy one does."""


async def test_down_waits_until_the_process_has_ended(home: Home) -> None:
    lock = home.folder / "cache" / "garrison" / "up" / "pid"
    lock.parent.mkdir()
    stage = await home.start(sys.executable, "-c", LINGERING, str(lock))
    await stage.says("held")
    down = await home.run(*DOWN)
    assert down.code == 0, down.output
    assert home.left() == []
    assert (await stage.ended()).code == 0


@pytest.mark.long
async def test_a_stage_on_the_real_api_server(home: Home) -> None:
    await walk(home)


@pytest.mark.long
async def test_ctrl_c_while_it_starts_leaves_nothing(home: Home) -> None:
    up = await home.start("make", "up", CONTROL_PLANE="light")
    await up.says("Operator")
    up.interrupt()
    ended = await up.ended()
    assert ended.code != 0
    assert "everything that was started has been stopped" in ended.output
    assert home.left() == []
    assert "nothing is running" in (await home.run("make", "down")).output
