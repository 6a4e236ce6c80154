"""From an order to tokens and back to nothing."""

from __future__ import annotations

import json

from akash_sandbox.client import SandboxAdmin
from tests.sandbox.sandbox_process import GROUP, Tenant, bearer, sdl


async def test_an_order_becomes_a_model_that_answers(tenant: Tenant) -> None:
    rented = await tenant.rent()
    url = await tenant.model_url(rented)
    ask = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 7}
    answer = await tenant.send("POST", f"{url}/v1/chat/completions", ask)
    assert answer.json["usage"]["completion_tokens"] == 7
    assert (await tenant.send("GET", f"{url}/health")).status == 200
    await tenant.close(rented.dseq)
    ended = await tenant.deployment(rented.dseq)
    assert ended["deployment"]["state"] == "closed"
    assert [lease["state"] for lease in ended["leases"]] == ["closed"]
    assert (await tenant.status(rented)).status == 404
    listed = (await tenant.call("GET", "/v1/deployments")).json["data"]["deployments"]
    assert rented.dseq not in {d["deployment"]["id"]["dseq"] for d in listed}


async def test_a_model_streams_word_by_word_and_counts_its_tokens(tenant: Tenant) -> None:
    rented = await tenant.rent()
    ask = {
        "prompt": "once upon a time",
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    answer = await tenant.send("POST", f"{await tenant.model_url(rented)}/v1/completions", ask)
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    pieces = [json.loads(event) for event in events]
    assert pieces[-1]["usage"] == {
        "prompt_tokens": 4,
        "completion_tokens": 5,
        "total_tokens": 9,
    }
    assert sum(1 for p in pieces for c in p["choices"] if c["text"]) == 5
    await tenant.close(rented.dseq)


async def test_the_manifest_goes_over_the_gateway_as_well(tenant: Tenant) -> None:
    rented = await tenant.rent()
    url = f"{rented.host_uri}/deployment/{rented.dseq}/manifest"
    reply = await tenant.send("PUT", url, rented.manifest, bearer(rented.token))
    assert (reply.status, reply.text) == (200, "")
    await tenant.close(rented.dseq)
    late = await tenant.send("PUT", url, rented.manifest, bearer(rented.token))
    assert (late.status, late.text) == (404, "no lease for deployment\n")


async def test_the_cheaper_the_ceiling_the_fewer_the_bids(tenant: Tenant) -> None:
    rich = await tenant.create(sdl())
    poor = await tenant.create(sdl(ceiling=1))
    assert {b["state"] for b in await tenant.bids(rich["dseq"])} == {"open"}
    assert await tenant.bids(poor["dseq"]) == []
    for created in (rich, poor):
        await tenant.close(created["dseq"])


async def test_one_losing_bid_is_lost_and_the_offer_names_its_gpu(tenant: Tenant) -> None:
    """The others stay open until the deployment is closed, as the real node leaves them."""
    rented = await tenant.rent(sdl(gpu="rtx4090"))
    bids = await tenant.bids(rented.dseq)
    states = {b["id"]["provider"]: b["state"] for b in bids}
    assert states.pop(rented.provider) == "active"
    first, *others = [states[provider] for provider in sorted(states)]
    assert (first, set(others) - {"open"}) == ("lost", set())
    offer = bids[0]["resources_offer"][0]["resources"]["gpu"]["attributes"]
    assert offer[0]["key"].startswith("vendor/nvidia/model/rtx4090/")
    await tenant.close(rented.dseq)
    assert "open" not in {b["state"] for b in await tenant.bids(rented.dseq)}


async def test_the_database_lists_the_marker_and_needs_no_key(tenant: Tenant) -> None:
    created = await tenant.create(sdl())
    path = "/akash/deployment/v1beta4/deployments/list?filters.state=active"
    reply = await tenant.call("GET", path, accept="application/json")
    groups = {
        d["deployment"]["id"]["dseq"]: [g["group_spec"]["name"] for g in d["groups"]]
        for d in reply.json["deployments"]
    }
    assert groups[created["dseq"]] == [GROUP]
    await tenant.close(created["dseq"])


async def test_what_is_not_spent_comes_back(tenant: Tenant) -> None:
    before = (await tenant.call("GET", "/v1/balances")).json["data"]
    created = await tenant.create(sdl(), deposit=7.5)
    during = (await tenant.call("GET", "/v1/balances")).json["data"]
    await tenant.call(
        "POST", "/v1/deposit-deployment", {"data": {"dseq": created["dseq"], "deposit": 2.5}}
    )
    await tenant.close(created["dseq"])
    after = (await tenant.call("GET", "/v1/balances")).json["data"]
    assert round(before["balance"] - during["balance"], 6) == 7.5
    assert after["balance"] == before["balance"]


async def test_the_list_of_deployments_comes_in_pages(tenant: Tenant) -> None:
    made = [(await tenant.create(sdl()))["dseq"] for _ in range(3)]
    page = (await tenant.call("GET", "/v1/deployments?skip=1&limit=1")).json["data"]
    assert len(page["deployments"]) == 1
    assert page["pagination"]["hasMore"] is True
    for dseq in made:
        await tenant.close(dseq)


async def test_providers_are_listed_with_what_they_have(tenant: Tenant) -> None:
    listed = (await tenant.call("GET", "/v1/providers", accept="*/*")).json
    assert {p["locationRegion"] for p in listed} >= {"eu-west", "us-central"}
    one = (await tenant.call("GET", f"/v1/providers/{listed[0]['owner']}")).json
    assert one["isOnline"] is True
    assert one["gpuModels"][0]["model"] == "h100"
    status = await tenant.send("GET", f"{one['hostUri']}/status")
    assert status.json["address"] == one["owner"]


async def test_the_admin_sees_the_lease_with_its_workload(
    tenant: Tenant, admin: SandboxAdmin
) -> None:
    rented = await tenant.rent()
    await tenant.model_url(rented)
    lease = next(x for x in await admin.leases() if x.dseq == rented.dseq)
    assert (lease.group, lease.state, lease.provider_address) == (GROUP, "active", rented.provider)
    assert [w.running for w in lease.workloads] == [True]
    await tenant.close(rented.dseq)
