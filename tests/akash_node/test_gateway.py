"""A provider's own gateway beside a real node: manifests, tokens, status, logs, events and shells.

What it answered when it was recorded is in tests/conformance/akash/gateway.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from garrison.adapters.akash.opening import Opened
from garrison.adapters.akash.tokens import rights
from garrison.adapters.akash.wallet.jwt import token
from garrison.errors import NotFoundError, RejectedError, UnavailableError
from garrison.ports.console import Size
from garrison.ports.market import LeaseTarget
from tests.akash_node import gateway_process, node_process
from tests.akash_node.gateways import gateways_in
from tests.akash_node.ground import ground_in, signer_of
from tests.akash_node.scene import (
    PROVIDER,
    Lease,
    Proof,
    Scene,
    answered,
    eventually,
    first,
    looking,
    ordered,
    run,
    running,
)

NEEDED = (node_process.BIN, gateway_process.BIN)
MANY = 1000
"""more lines and events than there are"""

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not all(map(os.environ.get, NEEDED)),
        reason=f"a real node and a real gateway are given by {' and '.join(NEEDED)}: docs/testing.md",
    ),
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("gateway")
    with ground_in(folder) as ground, gateways_in(folder, ground, [PROVIDER]) as gateways:
        assert gateways is not None
        yield Scene(ground=ground, gateways=gateways)


@pytest.fixture(scope="module")
def lease(scene: Scene) -> Lease:
    """A lease that no test ends."""
    return asyncio.run(scene.lease())


@pytest.fixture(params=["Token", "Certificate"])
async def account(request: pytest.FixtureRequest, scene: Scene) -> AsyncIterator[Opened]:
    """The tenant with a token for each question; then with a certificate that is on the chain."""
    proof: Proof = request.param
    async with scene.account(proof) as found:
        yield found


async def test_a_manifest_before_the_lease_is_refused_and_kept(scene: Scene) -> None:
    async with scene.bidder(), scene.account() as account:
        market, gateway = account.exchange.market, account.exchange.gateway
        wanted, bid = await ordered(market)
        target = scene.target(bid)
        assert await gateway.status(target) is None
        with pytest.raises(NotFoundError, match="404: no lease for deployment"):
            await gateway.send_manifest(target, wanted)
        await market.accept(bid, wanted)
        await running(account, target)
        await market.close(target.deployment)


async def test_a_closed_lease_is_gone(scene: Scene) -> None:
    closed = await scene.lease()
    async with scene.account() as account:
        await account.exchange.market.close(closed.target.deployment)

        async def gone() -> bool | None:
            return await account.exchange.gateway.status(closed.target) is None or None

        await eventually(gone)
        async with looking(account, closed.target) as console:
            with pytest.raises(NotFoundError, match="does not run this lease"):
                await first(console.lines(follow=False, tail=None), MANY)
        with pytest.raises(NotFoundError):
            await account.exchange.gateway.send_manifest(closed.target, closed.wanted)


async def test_a_manifest_is_taken_any_number_of_times(account: Opened, lease: Lease) -> None:
    for _ in range(2):
        await account.exchange.gateway.send_manifest(lease.target, lease.wanted)


async def test_a_manifest_with_another_hash_is_refused(account: Opened, lease: Lease) -> None:
    other = replace(lease.wanted, image=lease.wanted.image.replace("acme", "other"))
    with pytest.raises(RejectedError, match="422: manifest version validation failed"):
        await account.exchange.gateway.send_manifest(lease.target, other)


async def test_the_status_names_the_forwarded_port(account: Opened, lease: Lease) -> None:
    (port,) = (await running(account, lease.target)).ports
    assert port.port == 8000
    assert port.host
    assert port.external_port


async def test_another_group_of_the_deployment_is_not_there(account: Opened, lease: Lease) -> None:
    assert await account.exchange.gateway.status(replace(lease.target, gseq=2)) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A token for the lease's status, but for what is told here; ``refusal`` is the HTTP status."""

    name: str
    refusal: int
    signer: str = "tenant"
    provider: str = PROVIDER
    deployment: str = ""
    scope: str = "status"
    late: timedelta = timedelta()

    async def text(self, target: LeaseTarget) -> str:
        meant = replace(
            target,
            provider=signer_of(self.provider).address,
            deployment=self.deployment or target.deployment,
        )
        claimed = rights(meant, self.scope)
        now = datetime.now(UTC) + self.late
        lifetime = timedelta(minutes=5)
        sound = await token(signer_of("tenant"), claimed, now=now, lifetime=lifetime)
        signed = await token(signer_of(self.signer), claimed, now=now, lifetime=lifetime)
        return f"{sound.rpartition('.')[0]}.{signed.rpartition('.')[2]}"


REFUSED = (
    Shown(name="another provider", provider="prairie", refusal=401),
    Shown(name="another deployment", deployment="4", refusal=401),
    Shown(name="another right", scope="logs", refusal=401),
    Shown(name="expired", late=timedelta(hours=-1), refusal=400),
    Shown(name="not yet valid", late=timedelta(hours=1), refusal=400),
    Shown(name="signed by another account", signer="treasury", refusal=401),
)


@pytest.mark.parametrize("shown", REFUSED, ids=lambda each: each.name)
async def test_a_token_is_refused(shown: Shown, lease: Lease) -> None:
    right = Shown(name="right", refusal=0)
    assert await answered(lease.target, await right.text(lease.target)) == 200
    assert await answered(lease.target, await shown.text(lease.target)) == shown.refusal


@pytest.mark.parametrize("text", [None, "no-token"])
async def test_nothing_is_told_without_a_token(text: str | None, lease: Lease) -> None:
    assert await answered(lease.target, text) == 401


async def test_logs_are_kept_and_followed(account: Opened, lease: Lease) -> None:
    async with looking(account, lease.target) as console:
        kept = await first(console.lines(follow=False, tail=None), MANY)
        assert len(kept) > 2
        assert len(await first(console.lines(follow=False, tail=2), MANY)) == 2
        followed = await first(console.lines(follow=True, tail=1), 4)
        assert len({each.text for each in followed}) == 4


async def test_logs_of_a_service_that_is_not_there(account: Opened, lease: Lease) -> None:
    async with looking(account, replace(lease.target, service="absent")) as console:
        with pytest.raises(UnavailableError, match="no running pods"):
            await first(console.lines(follow=False, tail=None), MANY)


async def test_logs_of_a_lease_that_is_not_there(account: Opened, lease: Lease) -> None:
    """The gateway says so in its close code, 4001."""
    async with looking(account, replace(lease.target, oseq=9)) as console:
        with pytest.raises(NotFoundError, match="does not run this lease"):
            await first(console.lines(follow=False, tail=None), MANY)


async def test_events_are_told_and_followed(account: Opened, lease: Lease) -> None:
    async with looking(account, lease.target) as console:
        told = await first(console.events(follow=False), MANY)
        assert told
        assert all(each.reason and each.about for each in told)
        assert await first(console.events(follow=True), 1) == told[:1]


async def test_a_command_s_output_and_exit_code(account: Opened, lease: Lease) -> None:
    async with looking(account, lease.target) as console:
        ran = await run(console, ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (ran.out, ran.err, ran.exit_code) == ("out\n", "err\n", 7)


async def test_a_command_reads_what_is_typed(account: Opened, lease: Lease) -> None:
    async with looking(account, lease.target) as console:
        ran = await run(console, ["/bin/sh", "-c", "read a; echo got $a"], typed=b"hello\n")
    assert (ran.out, ran.exit_code) == ("got hello\n", 0)


async def test_a_command_on_a_terminal(account: Opened, lease: Lease) -> None:
    async with looking(account, lease.target) as console:
        ran = await run(console, ["/bin/echo", "hi"], size=Size(rows=24, columns=81))
    assert ran.out.split()[-1] == "hi"
    assert ran.exit_code == 0


@pytest.mark.parametrize(
    ("service", "argv", "why"),
    [
        ("", ["/nonexistent"], "does not exist"),
        ("absent", ["/bin/true"], "no service for that lease"),
        ("", ["/bin/sh", "-c", "echo $#", "sh", "", "b"], "empty argument"),
    ],
)
async def test_what_cannot_be_run(
    service: str, argv: list[str], why: str, account: Opened, lease: Lease
) -> None:
    async with looking(account, replace(lease.target, service=service)) as console:
        with pytest.raises(RejectedError, match=why):
            await run(console, argv)
