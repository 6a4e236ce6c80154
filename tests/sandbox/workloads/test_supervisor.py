"""Real images in real containers, with every runtime that works on this machine."""

from __future__ import annotations

import os
from functools import partial

import aiohttp
import pytest

from akash_sandbox.runtimes.container import RuntimeFailure
from akash_sandbox.settings import RuntimeName
from tests.sandbox.workloads.bench import (
    Bench,
    answers,
    get,
    post,
    refuses,
    running,
    until,
    until_state,
)
from tests.sandbox.workloads.image import ImageFiles
from tests.sandbox.workloads.registry import LoopbackRegistry


async def test_serves_through_the_external_port(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask(args=("--fast",), env=(("COLOUR", "red"),)))
    external = await running(supervisor)
    seen = await get(external, "/who")
    assert seen["args"] == ["--fast"]
    assert "COLOUR=red" in seen["env"]
    assert seen["cwd"].endswith("/work")
    assert not any(entry.startswith("PYTEST") for entry in seen["env"])
    body = bytes(range(256)) * 4096
    assert await post(external, "/echo", body) == body


async def test_is_apart_from_the_machine(bench: Bench, runtime: RuntimeName) -> None:
    if runtime == "process":
        pytest.skip("plain processes share the machine's files and network, and say so")
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    seen = await get(external, "/who")
    assert seen["interfaces"] == ["lo"]
    assert seen["pid"] < 20
    assert seen["hostname"] == "tenant-1"
    assert set(seen["root"]) == {
        *("bin", "dev", "etc", "proc", "serve", "sys", "tmp", "work"),
    }
    with pytest.raises(aiohttp.ClientResponseError):
        await get(external, f"/dial?to=127.0.0.1:{bench.image.split(':')[1].split('/')[0]}")


async def test_two_tenants_do_not_see_each_others_files(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    for number in (1, 2):
        environment = (("PORT", f"{8000 + number}"),)
        ask = bench.ask(f"tenant-{number}", env=environment, ports=(8000 + number,))
        await supervisor.deploy(ask)
    ports = []
    for number in (1, 2):
        name = f"tenant-{number}"
        state = await until_state(supervisor, name, lambda state: state.running)
        ports.append(state.forwarded[0][1])
        await until(partial(answers, ports[-1]))
    await get(ports[0], "/write?path=only-here")
    written = list(bench.folder.glob("**/only-here"))
    assert written
    assert all("tenant-1" in path.parts for path in written)


async def test_ends_a_tenant_above_its_memory(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask(memory_bytes=64 << 20))
    external = await running(supervisor)
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        await get(external, f"/eat?bytes={400 << 20}")
    await until_state(supervisor, "tenant-1", lambda state: state.restarts >= 1)
    await running(supervisor)


async def test_runs_as_the_images_user(
    bench: Bench, registry: LoopbackRegistry, tiny_as_server: ImageFiles, runtime: RuntimeName
) -> None:
    if runtime == "process":
        pytest.skip("plain processes keep this machine's user, and say so")
    if runtime == "unshare" and os.geteuid() != 0:
        pytest.skip("an ordinary user's unshare knows root only, and says so")
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask(image=registry.add(tiny_as_server)))
    external = await running(supervisor)
    seen = await get(external, "/who")
    assert (seen["uid"], seen["gid"]) == (1001, 1002)
    assert "HOME=/home/server" in seen["env"]
    await get(external, "/write?path=/tmp/mine")
    if runtime == "bubblewrap":
        return  # Has one user id for all files, and says so.
    with pytest.raises(aiohttp.ClientResponseError):
        await get(external, "/write?path=/etc/passwd")


async def test_speed_follows_the_shape(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    await supervisor.shape("tenant-1", latency_ms=0, bytes_per_second=0, speed_percent=20)
    # An upper bound only: a busy machine gives less, never more.
    assert await get(external, "/spin?ms=600") < 0.4


async def test_suspends_and_resumes(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    await supervisor.suspend("tenant-1", True)
    state = supervisor.state("tenant-1")
    assert state is not None
    assert (state.running, state.message) == (False, "suspended")
    assert await refuses(external)
    await supervisor.restart("tenant-1")
    assert await refuses(external)
    await supervisor.suspend("tenant-1", False)
    assert await running(supervisor) == external


async def test_starts_again_after_an_exit(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    with pytest.raises(aiohttp.ClientError):
        await get(external, "/exit?code=7")
    state = await until_state(supervisor, "tenant-1", lambda state: state.restarts == 1)
    assert await running(supervisor) == external
    assert state.forwarded == ((8000, external),)


async def test_says_why_it_does_not_run(bench: Bench) -> None:
    supervisor = await bench.supervisor()
    await supervisor.deploy(bench.ask(env=(("EXIT_AT_ONCE", "9"),)))
    state = await until_state(
        supervisor, "tenant-1", lambda state: state.restarts >= 3 and not state.running
    )
    assert "exit code 9" in state.message


async def test_says_that_the_image_is_not_there(bench: Bench) -> None:
    supervisor = await bench.supervisor()
    absent = bench.image.split("@")[0] + "@sha256:" + "0" * 64
    await supervisor.deploy(bench.ask(image=absent))
    state = await until_state(supervisor, "tenant-1", lambda state: state.restarts >= 1)
    assert "answered 404" in state.message
    assert absent in state.message


async def test_says_that_the_program_is_not_there(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask(command=("/absent",)))
    state = await until_state(supervisor, "tenant-1", lambda state: state.restarts >= 1)
    assert not state.running
    assert state.message


async def test_restart_is_counted_and_takes_no_back_off(bench: Bench) -> None:
    supervisor = await bench.supervisor()
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    await supervisor.restart("tenant-1")
    assert await running(supervisor) == external
    state = supervisor.state("tenant-1")
    assert state is not None
    assert state.restarts == 1


async def test_the_same_ask_changes_nothing_and_another_replaces(bench: Bench) -> None:
    supervisor = await bench.supervisor()
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    await supervisor.deploy(bench.ask())
    state = supervisor.state("tenant-1")
    assert state is not None
    assert state.running
    await supervisor.deploy(bench.ask(env=(("COLOUR", "green"),)))
    assert await running(supervisor) == external
    assert "COLOUR=green" in (await get(external, "/who"))["env"]


async def test_removed_means_unknown_and_refused(bench: Bench) -> None:
    supervisor = await bench.supervisor()
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    await supervisor.remove("tenant-1")
    await supervisor.remove("tenant-1")
    assert supervisor.state("tenant-1") is None
    assert await refuses(external)


async def test_external_ports_survive_a_restart_of_the_sandbox(bench: Bench) -> None:
    first = await bench.supervisor()
    await first.deploy(bench.ask())
    external = await running(first)
    await first.close()
    assert await refuses(external)
    second = await bench.supervisor()
    await second.deploy(bench.ask())
    assert await running(second) == external


async def test_a_folder_belongs_to_one_process(bench: Bench) -> None:
    await bench.supervisor()
    with pytest.raises(RuntimeFailure, match="in use by another process"):
        await bench.supervisor()


async def test_an_image_that_needs_a_login_backs_off_without_it(
    bench: Bench, tiny: ImageFiles
) -> None:
    login = ("robot", "pull-only-7f3")
    async with LoopbackRegistry(login=login) as registry:
        reference = registry.add(tiny)
        supervisor = await bench.supervisor("process")
        await supervisor.deploy(bench.ask(image=reference))
        told = await until_state(supervisor, "tenant-1", lambda state: state.restarts > 1)
        assert not told.running
        assert "refused to issue a token" in told.message
        await supervisor.deploy(bench.ask(image=reference, login=login))
        await running(supervisor)
