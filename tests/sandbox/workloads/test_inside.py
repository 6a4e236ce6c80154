"""A workload's output, and commands inside its container, as a provider's gateway offers them."""

from __future__ import annotations

import json

import pytest

from akash_sandbox.settings import RuntimeName
from akash_sandbox.workload import NoProgramError, Session
from tests.sandbox.workloads.bench import Bench, running


async def heard(session: Session) -> tuple[bytes, bytes, int]:
    """Return what a command wrote to its two outputs, and its exit status."""
    said = {False: b"", True: b""}
    async for is_error, data in session.output():
        said[is_error] += data
    code = await session.wait()
    await session.close()
    return said[False], said[True], code


async def test_a_command_runs_inside_the_container(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask(env=(("COLOUR", "green"),)))
    await running(supervisor)
    session = await supervisor.execute("tenant-1", ["program", "visit", "a b"], tty=False)
    await session.feed(b"typed\n")
    out, aside, code = await heard(session)
    first, _, rest = out.partition(b"\n")
    seen = json.loads(first)
    assert (rest, aside, code) == (b"typed\n", b"aside\n", 3)
    assert (seen["args"], seen["colour"]) == (["a b"], "green")
    if runtime != "process":
        assert seen["hostname"] == "tenant-1"
        assert seen["entries"] < 12


async def test_a_terminal_joins_both_outputs(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask())
    await running(supervisor)
    session = await supervisor.execute("tenant-1", ["/bin/program", "visit"], tty=True)
    session.resize(120, 40)
    await session.feed(b"typed\r")
    out, aside, code = await heard(session)
    assert (aside, code) == (b"", 3)
    assert b"aside" in out
    assert out.count(b"typed") == 2


async def test_what_is_not_there_does_not_run(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    with pytest.raises(NoProgramError):
        await supervisor.execute("tenant-1", ["program"], tty=False)
    await supervisor.deploy(bench.ask())
    await running(supervisor)
    for name in ("nonesuch", "/etc/passwd/x", "/bin"):
        with pytest.raises(NoProgramError, match="has no program"):
            await supervisor.execute("tenant-1", [name], tty=False)


async def test_a_session_can_be_cut_short(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask())
    await running(supervisor)
    session = await supervisor.execute("tenant-1", ["program", "visit"], tty=False)
    await session.close()
    assert await session.wait() == 137


async def test_its_output_is_in_the_log(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    assert supervisor.log("tenant-1") is None
    await supervisor.deploy(bench.ask())
    await running(supervisor)
    log = supervisor.log("tenant-1")
    assert log is not None
    assert log.read_text() == "serving\n"
