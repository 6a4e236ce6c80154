"""``garrison sandbox`` against a running market: each command does what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from akash_sandbox.client import SandboxAdmin
from garrison.cli.main import main
from tests.sandbox.sandbox_process import SandboxProcess, Tenant


async def said(sandbox: SandboxProcess, *arguments: str, code: int = 0) -> str:
    """Run a command in a thread, for it makes an event loop of its own."""
    where = ["sandbox", "--url", sandbox.admin_url]
    where += ["--token-file", str(sandbox.folder / "admin-token")]
    result = await asyncio.to_thread(
        CliRunner().invoke, main, [*where, *arguments], env={"COLUMNS": "200"}
    )
    assert result.exit_code == code, result.output
    return result.output


async def test_faults_are_switched_on_shown_and_switched_off(
    shared: SandboxProcess, admin: SandboxAdmin
) -> None:
    assert "frost is dead" in await said(shared, "kill", "frost")
    assert "4 times slower" in await said(shared, "wrong-hardware", "prairie", "--slowdown", "4")
    assert "250 ms" in await said(shared, "slow-network", "prairie", "--latency-ms", "250")
    assert "prairie is silent" in await said(shared, "no-bids", "prairie")
    rows = {row.split()[0]: row for row in (await said(shared, "providers")).splitlines()}
    assert "dead" in rows["frost"]
    assert all(each in rows["prairie"] for each in ("silent", "slow x4", "250 ms"))
    assert "frost is alive" in await said(shared, "revive", "frost")
    assert "prairie bids again" in await said(shared, "no-bids", "prairie", "--end")
    assert "no faults" in await said(shared, "clear")
    assert [each for each in await admin.providers() if each.dead or each.silent] == []
    assert {each.slowdown for each in await admin.providers()} == {1}


async def test_leases_are_listed_restarted_and_closed(
    shared: SandboxProcess, tenant: Tenant, admin: SandboxAdmin
) -> None:
    rented = await tenant.rent()
    lease = f"{rented.dseq}/1/1"
    assert lease in await said(shared, "leases")
    assert "restarts" in await said(shared, "restart", lease)
    assert "is reclaimed in 60 s" in await said(shared, "reclaim", lease, "--seconds", "60")
    assert "is closed: unstable" in await said(shared, "close-lease", rented.dseq)
    assert lease not in await said(shared, "leases")
    assert lease in await said(shared, "leases", "--all")
    await tenant.close(rented.dseq)


async def test_the_console_answers_errors_and_keeps_requests_waiting(
    shared: SandboxProcess, tenant: Tenant, admin: SandboxAdmin
) -> None:
    assert "console answers 503" in await said(
        shared, "errors", "console", "--status", "503", "--count", "1"
    )
    assert (await tenant.call("GET", "/v1/providers")).status == 503
    assert (await tenant.call("GET", "/v1/providers")).status == 200
    assert "for 0.1 s" in await said(shared, "hang", "console", "--seconds", "0.1")
    assert "for 0 s" in await said(shared, "hang", "console", "--seconds", "0")


async def test_what_does_not_exist_is_named(shared: SandboxProcess, admin: SandboxAdmin) -> None:
    assert "nobody" in await said(shared, "kill", "nobody", code=1)
    assert "12345" in await said(shared, "close-lease", "12345", code=1)


async def test_a_provider_turns_hostile_and_behaves_well_again(
    own: Callable[[str], SandboxProcess],
) -> None:
    sandbox = own("workloads: {runtime: process}\n")
    assert "turns hostile: strip-tls" in await said(sandbox, "hostile", "frost", "strip-tls")
    assert "delay" in await said(sandbox, "hostile", "frost", "delay", "--seconds", "2")
    rows = {row.split()[0]: row for row in (await said(sandbox, "providers")).splitlines()}
    assert "strip-tls,delay" in rows["frost"]
    assert "behaves well again" in await said(sandbox, "hostile", "frost", "--end")
    rows = {row.split()[0]: row for row in (await said(sandbox, "providers")).splitlines()}
    assert rows["frost"].split()[-1] == "-"
    assert "give one behaviour, or --end" in await said(sandbox, "hostile", "frost", code=2)
    refused = await said(sandbox, "hostile", "console", "cut-control", code=1)
    assert "console runs no containers" in refused
    assert "there are" in await said(sandbox, "hostile", "nobody", "strip-tls", code=1)


async def test_hostility_needs_containers(shared: SandboxProcess, admin: SandboxAdmin) -> None:
    refused = await said(shared, "hostile", "frost", "replay-beside", code=1)
    assert "workloads.runtime is synthetic" in refused
    assert (await admin.faults()).hostile == {}


async def test_what_is_received_is_kept_and_listed(
    shared: SandboxProcess, tenant: Tenant, admin: SandboxAdmin
) -> None:
    await said(shared, "hostile", "console", "read-env")
    await tenant.call("GET", "/v1/balances?marker=planted")
    (file,) = await admin.seen("console")
    assert file.path in await said(shared, "seen", "console")
    kept = await asyncio.to_thread(Path(file.path).read_bytes)
    assert b"GET /v1/balances?marker=planted" in kept
    assert shared.api_key.encode() in kept


async def test_a_file_cannot_be_swapped_where_there_is_none(
    shared: SandboxProcess, tenant: Tenant
) -> None:
    rented = await tenant.rent()
    refused = await said(shared, "swap-file", rented.dseq, "/etc/passwd", code=1)
    assert "is a synthetic model" in refused
    await tenant.close(rented.dseq)
