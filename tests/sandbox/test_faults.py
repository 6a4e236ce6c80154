"""Bad days on request: each fault does what its name says, and clearing it ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp
import pytest

from akash_sandbox.admin.bodies import Reason
from akash_sandbox.client import CONSOLE, SandboxAdmin
from tests.sandbox.sandbox_process import Rented, SandboxProcess, Tenant, sdl


async def _seconds_for_tokens(tenant: Tenant, url: str, count: int = 40) -> float:
    started = time.monotonic()
    await tenant.send("POST", f"{url}/v1/completions", {"prompt": "a", "max_tokens": count})
    return time.monotonic() - started


async def test_a_killed_provider_is_gone_while_its_lease_is_paid(
    tenant: Tenant, admin: SandboxAdmin
) -> None:
    rented = await tenant.rent()
    url = await tenant.model_url(rented)
    await admin.kill_provider(rented.provider)
    for dead in (f"{url}/health", rented.status_url):
        with pytest.raises(aiohttp.ClientConnectorError):
            await tenant.send("GET", dead)
    lease = (await tenant.deployment(rented.dseq))["leases"][0]
    assert (lease["state"], lease["status"]) == ("active", None)
    record = (await tenant.call("GET", f"/v1/providers/{rented.provider}")).json
    assert record["isOnline"] is False
    await admin.revive_provider(rented.provider)
    assert await tenant.model_url(rented) == url
    await tenant.close(rented.dseq)


async def test_silent_providers_do_not_bid(tenant: Tenant, admin: SandboxAdmin) -> None:
    await admin.no_bids("frost")
    some = await tenant.create(sdl())
    frost = next(p.address for p in await admin.providers() if p.name == "frost")
    bidders = {b["id"]["provider"] for b in await tenant.bids(some["dseq"])}
    assert bidders
    assert frost not in bidders
    await admin.no_bids()
    nobody = await tenant.create(sdl())
    assert await tenant.bids(nobody["dseq"]) == []
    await admin.clear_faults()
    assert frost in {b["id"]["provider"] for b in await tenant.bids(nobody["dseq"])}
    for created in (some, nobody):
        await tenant.close(created["dseq"])


async def test_wrong_hardware_and_a_slow_network_slow_the_model(
    tenant: Tenant, admin: SandboxAdmin
) -> None:
    rented = await tenant.rent()
    url = await tenant.model_url(rented)
    # 40 tokens at 400 a second never take less than their schedule, however busy the machine is.
    await admin.wrong_hardware(rented.provider, slowdown=5)
    assert await _seconds_for_tokens(tenant, url) >= 0.48
    await admin.wrong_hardware(rented.provider, slowdown=1)
    await admin.slow_network(rented.provider, latency_ms=400)
    assert await _seconds_for_tokens(tenant, url, 1) >= 0.4
    await tenant.close(rented.dseq)


async def test_the_console_fails_as_often_as_asked(tenant: Tenant, admin: SandboxAdmin) -> None:
    await admin.errors(CONSOLE, status=503, count=2)
    statuses = [(await tenant.call("GET", "/v1/balances")).status for _ in range(3)]
    assert statuses == [503, 503, 200]
    await admin.errors(CONSOLE)
    assert {(await tenant.call("GET", "/v1/balances")).status for _ in range(3)} == {500}
    await admin.errors(CONSOLE, status=0)
    assert (await tenant.call("GET", "/v1/balances")).status == 200


async def test_the_console_fails_at_one_path(tenant: Tenant, admin: SandboxAdmin) -> None:
    await admin.errors(CONSOLE, status=429, path="/v1/balances", retry_after=7)
    assert (await tenant.call("GET", "/v1/balances")).status == 429
    assert (await tenant.call("GET", "/v1/deployments")).status == 200
    await admin.errors(CONSOLE, status=0)


async def test_a_failing_gateway_leaves_the_lease_without_its_manifest(
    tenant: Tenant, admin: SandboxAdmin
) -> None:
    created = await tenant.create(sdl())
    bid = (await tenant.bids(created["dseq"]))[0]
    lease = {k: bid["id"][k] for k in ("dseq", "gseq", "oseq", "provider")}
    await admin.errors(lease["provider"])
    body = {"manifest": created["manifest"], "leases": [lease]}
    assert (await tenant.call("POST", "/v1/leases", body)).status == 503
    found = (await tenant.deployment(created["dseq"]))["leases"][0]
    assert (found["state"], found["status"]) == ("active", None)
    await admin.errors(lease["provider"], status=0)
    assert (await tenant.call("POST", "/v1/leases", body)).status == 200
    await tenant.close(created["dseq"])


@pytest.mark.parametrize("scope", [CONSOLE, "frost"])
async def test_a_hanging_server_keeps_requests_waiting(
    tenant: Tenant, admin: SandboxAdmin, scope: str
) -> None:
    frost = next(p for p in await admin.providers() if p.name == "frost")
    await admin.hang(scope, seconds=30)
    ask = (
        tenant.call("GET", "/v1/balances")
        if scope == CONSOLE
        else tenant.send("GET", f"{frost.host_uri}/status")
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask, 0.3)


async def test_an_answer_can_get_lost_after_the_deed(tenant: Tenant, admin: SandboxAdmin) -> None:
    before = (await tenant.call("GET", "/v1/deployments")).json["data"]["pagination"]["total"]
    await admin.drop_answers(CONSOLE)
    with pytest.raises(aiohttp.ClientError):
        await tenant.create(sdl())
    listed = (await tenant.call("GET", "/v1/deployments")).json["data"]
    assert listed["pagination"]["total"] == before + 1
    await tenant.close(listed["deployments"][-1]["deployment"]["id"]["dseq"])


async def _closed_with(tenant: Tenant, rented: Rented) -> tuple[str, str, str]:
    found = await tenant.deployment(rented.dseq)
    lease = found["leases"][0]
    return found["deployment"]["state"], lease["state"], lease["reason"]


@pytest.mark.parametrize(
    ("reason", "deployment", "lease"),
    [
        ("owner", "active", "closed"),
        ("unstable", "active", "closed"),
        ("insufficient_funds", "closed", "insufficient_funds"),
    ],
)
async def test_a_lease_closes_for_a_reason(
    tenant: Tenant, admin: SandboxAdmin, reason: Reason, deployment: str, lease: str
) -> None:
    rented = await tenant.rent()
    await tenant.model_url(rented)
    await admin.close_lease(rented.dseq, 1, 1, reason=reason)
    found = await _closed_with(tenant, rented)
    assert found[:2] == (deployment, lease)
    assert found[2].endswith(reason)
    assert (await tenant.status(rented)).status == 404
    await tenant.close(rented.dseq)


async def test_a_notice_runs_out(tenant: Tenant, admin: SandboxAdmin) -> None:
    rented = await tenant.rent()
    await admin.reclaim(rented.dseq, 1, 1, seconds=3600)
    lease = (await tenant.deployment(rented.dseq))["leases"][0]
    assert lease["state"] == "reclaiming"
    assert int(lease["reclamation"]["deadline"]) > time.time() + 3000
    await admin.reclaim(rented.dseq, 1, 1, seconds=0)
    found = await _closed_with(tenant, rented)
    assert found == ("active", "closed", "lease_closed_reason_decommission")
    await tenant.close(rented.dseq)


async def test_a_crashing_workload_is_restarted_and_never_available(
    tenant: Tenant, admin: SandboxAdmin
) -> None:
    rented = await tenant.rent(sdl(env="SYNTHETIC_CRASH=1"))
    while True:
        lease = next(x for x in await admin.leases() if x.dseq == rented.dseq)
        if lease.workloads[0].restarts >= 2:
            break
        await asyncio.sleep(0.05)
    assert "exited with code 1" in lease.workloads[0].message
    status = (await tenant.status(rented)).json
    assert status["services"]["model"]["available"] == 0
    await tenant.close(rented.dseq)


async def test_a_restarted_workload_comes_back_at_the_same_port(
    tenant: Tenant, admin: SandboxAdmin
) -> None:
    rented = await tenant.rent()
    url = await tenant.model_url(rented)
    await admin.restart_workload(rented.dseq, 1, 1)
    assert await tenant.model_url(rented) == url
    lease = next(x for x in await admin.leases() if x.dseq == rented.dseq)
    assert lease.workloads[0].restarts == 1
    await tenant.close(rented.dseq)


async def test_an_escrow_that_runs_dry_closes_the_lease(
    own: Callable[[str], SandboxProcess],
) -> None:
    process = own("block_seconds: 0.001\n")
    async with process.tenant() as tenant:
        rented = await tenant.rent(deposit=1.0)
        found = await _closed_with(tenant, rented)
        while found[0] == "active":
            await asyncio.sleep(0.1)
            found = await _closed_with(tenant, rented)
    assert found[1:] == ("insufficient_funds", "lease_closed_reason_insufficient_funds")


async def test_bids_take_their_time_and_do_not_wait_for_ever(
    own: Callable[[str], SandboxProcess],
) -> None:
    process = own("bid_delay_seconds: 0.5\nbid_timeout_seconds: 0.5\n")
    async with process.tenant() as tenant:
        dseq = (await tenant.create(sdl()))["dseq"]
        seen = [b["state"] for b in await tenant.bids(dseq)]
        assert seen == []
        while "closed" not in seen:
            await asyncio.sleep(0.05)
            seen += [b["state"] for b in await tenant.bids(dseq)]
    assert "open" in seen
