"""The commands that look inside, through providers' gateways, for a Console and a Chain account."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import Result

from garrison.adapters.akash.opening import Opener
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.api.account import Account, Backend, ChainBackend, ConsoleBackend
from garrison.api.lease import DeploymentStatus, Lease
from garrison.api.meta import SecretKeyRef
from garrison.errors import NotFoundError
from garrison.ports.market import Bid, LeaseGateway, LeaseTarget, Market, Order
from tests.builders import NOW, account, lease, workload
from tests.contract.market.stall import order
from tests.sandbox.sandbox_process import SandboxProcess
from tests.unit.cli.cluster import Cluster, document, invoked, secret

NAME = "chat-aaaaaa"
CREDENTIAL = SecretKeyRef(name="credential")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rented:
    """A replica without a sentinel, and the account that pays for it."""

    account: Account
    credential: str
    lease: Lease

    def cluster(self, *forbidden: tuple[str, str]) -> Cluster:
        found = [
            document(workload()),
            document(self.lease),
            document(self.account),
            secret("garrison-system", "credential", key=self.credential),
        ]
        return Cluster(found, forbidden)

    def invoked(self, *arguments: str, cluster: Cluster | None = None) -> Result:
        command, *rest = arguments
        return invoked(cluster or self.cluster(), command, "iw/chat", "-n", "prod", *rest)


@pytest.fixture(scope="module", params=["console", "chain"])
def rented(request: pytest.FixtureRequest, shared: SandboxProcess) -> Iterator[Rented]:
    found, credential = _account(shared, request.param)
    made = asyncio.run(_rent(found, credential))
    yield made
    asyncio.run(_return(made))


def _account(process: SandboxProcess, kind: str) -> tuple[Account, str]:
    bundle = Path(process.ca_file).read_text()
    if kind == "console":
        console = ConsoleBackend(
            api_key_secret_ref=CREDENTIAL, endpoint=process.console, ca_bundle=bundle
        )
        backend, credential = Backend(console=console), process.api_key
    else:
        chain = ChainBackend(
            key_secret_ref=CREDENTIAL, endpoints=(process.chain_url,), ca_bundle=bundle
        )
        backend = Backend(type="Chain", chain=chain)
        credential = (process.folder / "account.hex").read_text()
    return account(backend=backend, allow_private_addresses=True), credential


async def _rent(of: Account, credential: str) -> Rented:
    """Order, take the first bid, hand the manifest over, and wait until the container runs."""
    opened = Opener(screen=NetScreen(), clock=SystemClock()).open(of, credential)
    try:
        market, wanted = opened.exchange.market, order()
        made = await market.create(wanted, market.propose_id())
        bids = await _bids(market, made.id)
        await market.accept(bids[0], wanted)
        hosts = {each.id: each.host_uri for each in await market.providers()}
        target = LeaseTarget(
            deployment=made.id,
            gseq=bids[0].gseq,
            oseq=bids[0].oseq,
            provider=bids[0].provider,
            host_uri=hosts[bids[0].provider],
        )
        await _sent(opened.exchange.gateway, target, wanted)
        await _available(opened.exchange.gateway, target)
    finally:
        await opened.close()
    return Rented(account=of, credential=credential, lease=_described(target))


async def _bids(market: Market, deployment: str) -> Sequence[Bid]:
    while True:
        if found := await market.bids(deployment):
            return found
        await asyncio.sleep(0.1)


async def _available(gateway: LeaseGateway, target: LeaseTarget) -> None:
    while True:
        status = await gateway.status(target)
        if status is not None and status.available:
            return
        await asyncio.sleep(0.1)


async def _sent(gateway: LeaseGateway, target: LeaseTarget, wanted: Order) -> None:
    while True:
        try:
            return await gateway.send_manifest(target, wanted)
        except NotFoundError:
            await asyncio.sleep(0.1)


def _described(target: LeaseTarget) -> Lease:
    placed = DeploymentStatus(id=target.deployment, marker="garrison", ordered_at=NOW)
    return lease(
        "Ready",
        name=NAME,
        deployment=placed,
        gseq=target.gseq,
        oseq=target.oseq,
        provider=target.provider,
        provider_host=target.host_uri,
    )


async def _return(made: Rented) -> None:
    opened = Opener(screen=NetScreen(), clock=SystemClock()).open(made.account, made.credential)
    try:
        assert made.lease.status.deployment is not None
        await opened.exchange.market.close(made.lease.status.deployment.id)
    finally:
        await opened.close()


def test_logs(rented: Rented) -> None:
    result = rented.invoked("logs")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()
    newest = rented.invoked("logs", "--tail", "1")
    assert newest.stdout == result.stdout.splitlines(keepends=True)[-1]


def test_events(rented: Rented) -> None:
    result = rented.invoked("events")
    assert result.exit_code == 0, result.output
    assert re.search(r"^Normal +Started +Pod/replica-0 ", result.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        (("echo", "a b", "$HOME"), 0, "a b $HOME\n", ""),
        (("warn", "x"), 0, "", "x\n"),
        (("false",), 1, "", ""),
    ],
)
def test_a_command(rented: Rented, command: tuple[str, ...], code: int, out: str, err: str) -> None:
    result = rented.invoked("shell", "--", *command)
    assert (result.exit_code, result.stdout, result.stderr) == (code, out, err)


def test_what_cannot_be_run_is_an_error(rented: Rented) -> None:
    result = rented.invoked("shell", "--", "nowhere")
    assert result.exit_code == 1
    assert "CannotExecute" in result.output


def test_connectivity_needs_a_sentinel(rented: Rented) -> None:
    result = rented.invoked("connectivity")
    assert result.exit_code == 1
    assert "set trust: Verified" in result.output


@pytest.mark.parametrize("forbidden", [("Secret", "garrison-system"), ("AkashAccount", "")])
def test_who_may_not_read_the_account_is_told_why(
    rented: Rented, forbidden: tuple[str, str]
) -> None:
    for command in ("logs", "events", "shell"):
        result = rented.invoked(command, cluster=rented.cluster(forbidden))
        assert result.exit_code == 1
        assert "its provider's gateway, which wants a token" in result.output
        assert rented.credential not in result.output


def test_another_provider_takes_no_token(rented: Rented, shared: SandboxProcess) -> None:
    async def others() -> dict[str, str]:
        opener = Opener(screen=NetScreen(), clock=SystemClock())
        opened = opener.open(rented.account, rented.credential)
        try:
            return {each.id: each.host_uri for each in await opened.exchange.market.providers()}
        finally:
            await opened.close()

    status = rented.lease.status
    host = next(uri for name, uri in asyncio.run(others()).items() if name != status.provider)
    elsewhere = replace(rented.lease, status=replace(status, provider_host=host))
    result = replace(rented, lease=elsewhere).invoked("logs")
    assert result.exit_code == 1
    assert "refuses the token (401)" in result.output


def test_an_unknown_lease_is_said_to_be_unknown(rented: Rented) -> None:
    placed = DeploymentStatus(id="4", marker="garrison", ordered_at=NOW)
    other = replace(rented.lease, status=replace(rented.lease.status, deployment=placed))
    for command in (("logs",), ("events",), ("shell", "--", "true")):
        result = replace(rented, lease=other).invoked(*command)
        assert result.exit_code == 1
        assert "the provider does not run this lease" in result.output
