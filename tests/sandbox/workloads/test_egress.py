"""The test network: all that containers reach, and where their packets are counted."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from akash_sandbox.settings import Egress, RuntimeName
from tests.sandbox.workloads.bench import Bench, get, running
from tests.sandbox.workloads.outside import NOBODY, SERVER, ip, reaches, sent, serving

SERVER_6 = "[2001:db8::10]"
WITH_IPV6 = Path("/proc/net/if_inet6").exists()


async def test_servers_of_the_test_network_are_reached_by_name_and_address(
    open_bench: Bench, oci: RuntimeName, tmp_path: Path
) -> None:
    supervisor = await open_bench.supervisor(oci)
    await supervisor.deploy(open_bench.ask())
    external = await running(supervisor)
    found = await get(external, "/resolve?name=api.example.test")
    assert sorted(found) == ["2001:db8::10", SERVER]
    with pytest.raises(aiohttp.ClientResponseError):
        await get(external, "/resolve?name=unknown.example.test")
    targets = ["api.example.test:80", f"{SERVER}:80", "192.0.2.77:80"]
    if WITH_IPV6:
        targets.append(f"{SERVER_6}:80")
    assert not any([await reaches(external, each) for each in targets]), "control"
    async with serving(supervisor.egress_namespace, tmp_path):
        assert all([await reaches(external, each) for each in targets])


async def test_packets_are_counted_at_the_far_end(open_bench: Bench, oci: RuntimeName) -> None:
    supervisor = await open_bench.supervisor(oci)
    await supervisor.deploy(open_bench.ask())
    external = await running(supervisor)
    await supervisor.deploy(open_bench.ask("tenant-2"))
    await running(supervisor, "tenant-2")
    first, second = sent(supervisor), sent(supervisor, "tenant-2")
    assert not await reaches(external, NOBODY)
    assert sent(supervisor) > first
    for _ in range(20):
        assert not await reaches(external, f"{SERVER}:80")
    assert sent(supervisor) >= first + 20
    assert sent(supervisor, "tenant-2") < second + 20, "each container has a cable of its own"


async def test_neither_this_machine_nor_another_tenant_is_reached(
    open_bench: Bench, oci: RuntimeName
) -> None:
    supervisor = await open_bench.supervisor(oci)
    await supervisor.deploy(open_bench.ask())
    external = await running(supervisor)
    await supervisor.deploy(open_bench.ask("tenant-2"))
    await running(supervisor, "tenant-2")
    registry = open_bench.image.split(":")[1].split("/")[0]
    assert await reaches(external, "10.245.0.2:8000"), "control: its own address"
    assert not await reaches(external, "10.245.0.3:8000")
    assert not await reaches(external, f"127.0.0.1:{registry}")
    assert not await reaches(external, f"10.245.0.1:{registry}")
    links = json.loads(ip("-n", supervisor.egress_namespace, "-json", "link", "show"))
    assert {each["ifname"] for each in links if each.get("operstate") == "UP"} == {
        *("lease1", "lease2"),
    }
    forwarding = ("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
    shown = ip("netns", "exec", supervisor.egress_namespace, *forwarding)
    assert shown.split() == ["0", "0"]


async def test_a_restart_keeps_the_cable(open_bench: Bench, oci: RuntimeName) -> None:
    supervisor = await open_bench.supervisor(oci)
    await supervisor.deploy(open_bench.ask())
    external = await running(supervisor)
    assert not await reaches(external, f"{SERVER}:80")
    before = sent(supervisor)
    await supervisor.restart("tenant-1")
    assert await running(supervisor) == external
    assert not await reaches(external, f"{SERVER}:80")
    assert sent(supervisor) > before


async def test_close_leaves_no_network(open_bench: Bench, oci: RuntimeName) -> None:
    supervisor = await open_bench.supervisor(oci)
    name = supervisor.egress_namespace
    await supervisor.deploy(open_bench.ask())
    await running(supervisor)
    assert f"{name}-1" in ip("netns", "list")
    await supervisor.remove("tenant-1")
    assert f"{name}-1" not in ip("netns", "list")
    assert name in ip("netns", "list")
    await supervisor.close()
    assert name not in ip("netns", "list")


async def test_what_an_earlier_process_left_is_replaced(
    open_bench: Bench, oci: RuntimeName
) -> None:
    supervisor = await open_bench.supervisor(oci)
    name = supervisor.egress_namespace
    await supervisor.close()
    for left in (name, f"{name}-1", f"{name}-7"):
        ip("netns", "add", left)
    again = await open_bench.supervisor(oci)
    assert again.egress_namespace == name
    await again.deploy(open_bench.ask())
    assert await get(await running(again), "/resolve?name=api.example.test")
    assert f"{name}-7" not in ip("netns", "list")


async def test_without_a_network_there_is_no_way_out_and_it_says_so(
    bench: Bench, oci: RuntimeName
) -> None:
    supervisor = await bench.supervisor(oci)
    assert "no way out: egress.network is off" in supervisor.isolation
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    assert (await get(external, "/who"))["interfaces"] == ["lo"]
    assert not await reaches(external, f"{SERVER}:80")


async def test_a_runtime_that_joins_no_network_says_so(
    bench: Bench, usable: frozenset[str]
) -> None:
    if "unshare" not in usable:
        pytest.skip("unshare does not work on this machine")
    bench.egress = Egress()
    supervisor = await bench.supervisor("unshare")
    assert "no way out: unshare starts no container in a network" in supervisor.isolation
    assert supervisor.egress_namespace == ""


async def test_a_machine_without_ip_says_so(
    bench: Bench, oci: RuntimeName, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.egress = Egress()
    monkeypatch.setattr("shutil.which", lambda name: None if name == "ip" else f"/usr/bin/{name}")
    supervisor = await bench.supervisor(oci)
    assert "install iproute2" in supervisor.isolation
    assert supervisor.egress_namespace == ""
