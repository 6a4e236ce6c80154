"""``make bench``, the chain's part: a hundred workloads applied at once, and how fast is signed.

The market's chain makes a block every six seconds, as the public network does; containers are synthetic.
Figures are printed, and gate nothing.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console
from rich.table import Table

from akash_proto.schema.akash_deployment_v1_pb2 import DeploymentID
from akash_proto.schema.akash_deployment_v1beta4_pb2 import MsgCloseDeployment
from devenv.bench import workload
from devenv.bench_processes import begin
from devenv.bench_sdl import rate
from devenv.bench_stage import NAMESPACE, outcome, running
from devenv.errors import DevenvError
from devenv.stage import Script, Stage
from garrison.adapters.akash.chain.composing import Sheet, signed
from garrison.adapters.akash.chain.terms import gas_price_of
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner
from garrison.adapters.kube.client import KubeClient
from garrison.api.account import parse_account
from garrison.api.lease import Lease, parse_lease
from garrison.api.meta import ACCOUNT, LEASE, WORKLOAD

AT_ONCE = 100
GOAL_TRANSACTIONS = GOAL_BLOCKS = 3
WAIT_SECONDS = 300.0
TXS = "/cosmos/tx/v1beta1/txs"
MARKET = {
    "block_seconds": 6.0,
    "balance": 1000,
    "providers": [
        {"name": name, "region": "eu-west", "leases": AT_ONCE}
        for name in ("frost", "harbor", "prairie")
    ],
}
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What got into blocks with messages of one kind."""

    transactions: int
    blocks: int
    messages: int


class Hundred:
    """A hundred workloads on a running stage."""

    def __init__(self, stage: Stage, kube: KubeClient) -> None:
        self._stage = stage
        self._kube = kube

    async def applied(self) -> tuple[list[Lease], float, float]:
        """Return the leases once all serve, the seconds that took, and the operator's own ones."""
        image = self._stage.images["synthetic"]
        used, began = self._used(), time.monotonic()
        bodies = [workload(f"w{number}", image) for number in range(AT_ONCE)]
        await asyncio.gather(*(self._kube.create(WORKLOAD, each) for each in bodies))
        leases = await self._until(self._serving)
        return leases, time.monotonic() - began, self._used() - used

    async def deleted(self) -> None:
        """Delete them, and wait until no lease is left."""
        names = [f"w{number}" for number in range(AT_ONCE)]
        await asyncio.gather(*(self._kube.delete(WORKLOAD, NAMESPACE, each) for each in names))
        await self._until(self._gone)

    async def sent(self, kind: str) -> Sent:
        """Return the transactions of the account that carry such messages, as its node tells."""
        raw = await self._kube.get(ACCOUNT, "", "treasury")
        if raw is None:
            raise DevenvError("AkashAccount treasury vanished")
        query = f"message.sender='{parse_account(raw).status.address}'"
        found = []
        for each in (await self._asked(f"{TXS}?query={query}&limit=1000"))["tx_responses"]:
            messages = [m for m in each["tx"]["body"]["messages"] if m["@type"].endswith(kind)]
            if messages and each["code"] == 0:
                found.append((each["height"], len(messages)))
        return Sent(
            transactions=len(found),
            blocks=len({height for height, _ in found}),
            messages=sum(count for _, count in found),
        )

    async def _asked(self, path: str) -> Any:
        async with self._stage.market.admin() as admin:
            chain = await admin.chain()
        context = ssl.create_default_context(cafile=str(self._stage.market.ca_file))
        async with (
            aiohttp.ClientSession() as session,
            session.get(chain.nodes[0].url + path, ssl=context) as answer,
        ):
            return await answer.json()

    async def _serving(self) -> list[Lease] | None:
        leases = await self._leases()
        ready = [each for each in leases if each.status.phase == "Ready"]
        return ready if len(ready) >= AT_ONCE else None

    async def _gone(self) -> list[Lease] | None:
        leases = await self._leases()
        return None if leases else leases

    async def _leases(self) -> list[Lease]:
        return [parse_lease(each) for each in await self._kube.list(LEASE, namespace=NAMESPACE)]

    async def _until(self, done: Callable[[], Awaitable[list[Lease] | None]]) -> list[Lease]:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                found = await done()
                if found is not None:
                    return found
                await asyncio.sleep(1.0)

    def _used(self) -> float:
        """Seconds of processor time that the operator's process has used."""
        stat = Path(f"/proc/{self._stage.processes['operator'].pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS


async def hundred(folder: Path) -> None:
    """Apply, count, delete, and print."""
    script = Script(runtime="synthetic", way="chain", sandbox=MARKET)
    async with running(folder, script) as (stage, kube):
        backend = await stage.backend(horizon_seconds=150)
        limits = {"maxPricePerHour": "100", "maxLeases": 200, "maxNewLeasesPer10Minutes": 200}
        await stage.apply(stage.account(backend=backend, limits=limits))
        of = Hundred(stage, kube)
        leases, seconds, used = await of.applied()
        creates, accepts = await of.sent("MsgCreateDeployment"), await of.sent("MsgCreateLease")
        await of.deleted()
        closes = await of.sent("MsgCloseDeployment")
    table = Table("", "", "goal", title=f"{AT_ONCE} workloads applied at once, blocks of 6 s")
    for name, found, goal in (
        ("creates", creates, f"{GOAL_TRANSACTIONS} and {GOAL_BLOCKS}"),
        ("leases", accepts, ""),
        ("closes", closes, ""),
    ):
        shown = f"{found.messages} in {found.transactions} transactions, {found.blocks} blocks"
        table.add_row(name, shown, goal)
    table.add_row("until all serve", f"{seconds:.0f} s", "")
    table.add_row("operator's CPU per lease", f"{used / len(leases) * 1000:.0f} ms", "")
    Console().print(table)


def signing() -> None:
    """Print how many signatures and whole transactions one core makes, beside OpenSSL alone."""
    key = PrivateKey.from_hex("11" * 32)
    signer = LocalSigner(key)
    plain = ec.derive_private_key(int("11" * 32, 16), ec.SECP256K1())
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    message = MsgCloseDeployment(id=DeploymentID(owner=signer.address, dseq=1))
    sheet = Sheet(chain_id="local", account_number=1, gas_price=gas_price_of("0.025uakt"))
    until = datetime.now(UTC)

    def whole(messages: Sequence[MsgCloseDeployment]) -> None:
        # Nothing in it waits, so the first step is the last.
        making = signed(signer, messages, sheet=sheet, gas=200_000, expires_at=until)
        try:
            making.send(None)
        except StopIteration:
            return
        raise AssertionError("signing waits for something")

    table = Table("", "per second of CPU time", title="signing, one core")
    limit = rate(partial(plain.sign, b"x" * 300, algorithm))
    table.add_row("OpenSSL alone, through cryptography", f"{limit:,.0f}")
    ours = rate(partial(key.sign, b"x" * 300))
    table.add_row("the wallet's signature", f"{ours:,.0f} ({ours / limit:.0%})")
    for count in (1, 50):
        each = rate(partial(whole, [message] * count))
        table.add_row(f"whole transactions of {count}", f"{each:,.0f} ({each / limit:.0%})")
    Console().print(table)


def main() -> int:
    """Measure; 1 with the reason when something cannot be measured."""
    begin("devenv.bench_chain", __doc__)
    signing()
    return outcome(hundred, "a workload was not served in time")


if __name__ == "__main__":
    sys.exit(main())
