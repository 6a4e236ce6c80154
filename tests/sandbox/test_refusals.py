"""Every refusal has the status code and the words of the real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from akash_sandbox.client import SandboxAdmin, SandboxAdminError
from tests.sandbox.sandbox_process import SandboxProcess, Tenant, bearer, sdl


@pytest.mark.parametrize(
    ("request_line", "body", "status", "words"),
    [
        ("POST /v1/deployments", {"data": {"sdl": "version: 9", "deposit": 5}}, 400, "SDL"),
        ("POST /v1/deployments", {"data": {"sdl": sdl()}}, 400, "Validation"),
        ("POST /v1/deployments", "not json", 400, "Validation"),
        ("POST /v1/deployments", {"data": {"sdl": sdl(), "deposit": 0.4}}, 400, "too low"),
        ("POST /v1/deployments", {"data": {"sdl": sdl(), "deposit": 99_999}}, 402, "balance"),
        ("GET /v1/deployments/1", None, 404, "Deployment not found"),
        ("GET /v1/deployments/one", None, 400, "dseq"),
        ("DELETE /v1/deployments/1", None, 404, "Deployment not found"),
        ("GET /v1/bids", None, 400, "Validation"),
        ("GET /v1/deployments?limit=0", None, 400, "Validation"),
        ("GET /v1/providers/akash1none", None, 404, "Provider not found"),
        ("POST /v1/deposit-deployment", {"data": {"dseq": "1", "deposit": 1}}, 404, "not found"),
        (
            "POST /v1/leases",
            {
                "manifest": '[{"name": "x"}]',
                "leases": [{"dseq": "1", "gseq": 1, "oseq": 1, "provider": "akash1none"}],
            },
            404,
            "Deployment not found",
        ),
        (
            "POST /v1/create-jwt-token",
            {"data": {"ttl": 5, "leases": {"access": "all"}}},
            400,
            "claims",
        ),
        ("GET /v1/nothing", None, 404, "Not Found"),
    ],
)
async def test_the_console_refuses(
    tenant: Tenant, request_line: str, body: Any, status: int, words: str
) -> None:
    method, path = request_line.split()
    reply = await tenant.call(method, path, body)
    assert reply.status == status, reply.text
    assert words in reply.json["message"]


async def test_the_console_wants_exactly_one_key(shared: SandboxProcess, tenant: Tenant) -> None:
    none = await tenant.call("GET", "/v1/deployments", accept="*/*")
    wrong = await tenant.call("GET", "/v1/deployments", **{"x-api-key": "wrong"})
    both = await tenant.call(
        "GET", "/v1/deployments", **{"x-api-key": shared.api_key, "Authorization": "Bearer x"}
    )
    assert [r.status for r in (none, wrong, both)] == [401, 401, 400]


async def test_a_lost_bid_cannot_be_leased_and_a_lease_can_be_asked_for_twice(
    tenant: Tenant,
) -> None:
    rented = await tenant.rent()
    lost = next(b for b in await tenant.bids(rented.dseq) if b["state"] == "lost")
    body = {"manifest": rented.manifest, "leases": [rented.lease]}
    assert (await tenant.call("POST", "/v1/leases", body)).status == 200
    other = {**rented.lease, "provider": lost["id"]["provider"]}
    refused = await tenant.call("POST", "/v1/leases", {**body, "leases": [other]})
    assert (refused.status, refused.json["message"]) == (400, "bid not open")
    await tenant.close(rented.dseq)
    await tenant.close(rented.dseq)


async def test_too_many_requests_are_told_to_wait(own: Callable[[str], SandboxProcess]) -> None:
    process = own("requests_per_second: 1\n")
    async with process.tenant() as tenant:
        statuses = [(await tenant.call("GET", "/v1/deployments")).status for _ in range(5)]
    assert 429 in statuses
    assert statuses[0] == 200


async def test_a_gateway_refuses_in_the_real_ones_words(tenant: Tenant) -> None:
    rented = await tenant.rent()
    put = f"{rented.host_uri}/deployment/{rented.dseq}/manifest"
    status_only = await tenant.token(rented.provider, rented.dseq, "status")
    elsewhere = await tenant.token("akash1elsewhere", rented.dseq, "status", "send-manifest")
    good = bearer(rented.token)
    head = f"{rented.host_uri}/lease/{rented.dseq}"
    for method, url, body, headers, expected in (
        ("PUT", put, rented.manifest, None, (401, '{"message":"unauthorized access"}')),
        ("PUT", put, rented.manifest, bearer(status_only), (401, '{"message":"unauthorized access"}')),
        ("PUT", put, rented.manifest, bearer(elsewhere), (401, '{"message":"unauthorized access"}')),
        ("PUT", put, rented.manifest, bearer("x.y.z"), (401, '{"message":"JWT is invalid"}')),
        ("PUT", put, "", {"Authorization": "Basic x"}, (400, '{"message":"invalid authorization header"}')),
        ("PUT", put, "[]", good, (422, "invalid manifest: manifest is empty\n")),
        ("PUT", put, '[{"name":"x"}]', good, (422, "manifest version validation failed\n")),
        ("GET", f"{head}/2/1/status", None, good, (404, "")),
        ("GET", f"{rented.host_uri}/nothing", None, good, (404, "404 page not found\n")),
        ("POST", put, "", good, (405, "")),
    ):  # fmt: skip
        reply = await tenant.send(method, url, body, headers)
        assert (reply.status, reply.text) == expected, url
    bad = await tenant.send("PUT", f"{rented.host_uri}/deployment/abc/manifest", "[]", good)
    assert (bad.status, "ParseUint" in bad.text) == (400, True)
    await tenant.close(rented.dseq)


async def test_the_admin_wants_its_token_and_known_names(
    shared: SandboxProcess, admin: SandboxAdmin
) -> None:
    assert (shared.folder / "admin-token").stat().st_mode & 0o777 == 0o600
    async with SandboxAdmin(shared.admin_url, "wrong") as stranger:
        with pytest.raises(SandboxAdminError) as refused:
            await stranger.clear_faults()
    assert refused.value.status == 401
    with pytest.raises(SandboxAdminError, match="no provider 'nobody' here; there are frost"):
        await admin.kill_provider("nobody")
