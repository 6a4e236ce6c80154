"""``garrison adopt``: what is refused, what is printed, and that one object is created at most."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from click.testing import CliRunner, Result

from garrison.adapters.akash.opening import Opened, Opener
from garrison.adapters.akash.sdl import compile_sdl, parse
from garrison.adapters.memory.gateway import MemoryGateway
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.provider import MemoryProvider
from garrison.adapters.memory.records import DeploymentRecord
from garrison.adapters.system import SystemClock
from garrison.api.meta import ACCOUNT, WORKLOAD
from garrison.api.money import MicroUSD
from garrison.cli import adopt as command
from garrison.cli.main import main
from garrison.ports.market import Deployment, Exchange, Order
from tests.builders import IMAGE, account
from tests.unit.adapters.akash.sdl.documents import BASE, changed
from tests.unit.cli.cluster import Cluster, document, secret

ORDER = Order(
    marker="dcloud",
    image=IMAGE,
    ports=(8000,),
    cpu_millis=1000,
    memory_bytes=1 << 30,
    storage_bytes=1 << 30,
    max_price_per_hour=MicroUSD(2_000_000),
    deposit=MicroUSD(5_000_000),
)


class Market(MemoryMarket):
    """Says a hash of the manifest, as the real ones do."""

    version = ""

    async def deployment(self, deployment_id: str) -> Deployment | None:
        found = await super().deployment(deployment_id)
        return replace(found, version=self.version) if found is not None else None


class Ground:
    """A cluster, and a market with one deployment that somebody started."""

    def __init__(self) -> None:
        payer = account()
        payer = replace(payer, spec=replace(payer.spec, default=True, adoption="Allow"))
        reference = payer.spec.backend.settings.api_key_secret_ref  # type: ignore[union-attr]
        key = secret("garrison-system", reference.name, **{reference.key: "key"})
        self.cluster = Cluster([document(payer), key])
        clock = SystemClock()
        provider = MemoryProvider(id="p1", host="p1.example", price_per_hour=MicroUSD(1_000_000))
        self.market = Market(clock=clock, providers=[provider])
        self.running: DeploymentRecord = self.market.start_by_hand(ORDER, "p1")
        gateway = MemoryGateway(clock=clock, market=self.market)
        self.exchange = Exchange(market=self.market, gateway=gateway)

    def adopt(self, *words: str) -> Result:
        """Run the command."""

        async def connect(_kubeconfig: str | None, _context: str | None) -> Cluster:
            return self.cluster

        def opened(_self: Opener, _account: Any, _credential: str) -> Opened:
            return Opened(exchange=self.exchange, console=lambda _: None, closers=())  # type: ignore[arg-type, return-value]

        with (
            patch.object(command, "connect_kube", connect),
            patch.object(Opener, "open", opened),
        ):
            return CliRunner().invoke(main, ["adopt", self.running.id, "-n", "prod", *words])

    def workloads(self) -> list[Any]:
        """Return what was created."""
        return list(asyncio.run(self.cluster.list(WORKLOAD)))


@pytest.fixture
def ground() -> Ground:
    return Ground()


@pytest.fixture
def sdl(tmp_path: Path, ground: Ground) -> str:
    """The SDL that the deployment was started with."""
    text = changed(("image: nginx:1.27.3", f"image: {IMAGE}"))
    ground.market.version = compile_sdl(parse(text)).version
    file = tmp_path / "deploy.yaml"
    file.write_text(text)
    return str(file)


def test_without_consent_nothing_is_even_read(ground: Ground) -> None:
    result = ground.adopt()
    assert result.exit_code == 2
    assert "Add --unverified to agree" in result.stderr


def test_an_administrator_has_to_allow_it(ground: Ground, sdl: str) -> None:
    raw = asyncio.run(ground.cluster.get(ACCOUNT, "", "treasury"))
    assert raw is not None
    kind = ground.cluster.store.resource(ACCOUNT.group, ACCOUNT.version, ACCOUNT.plural)
    ground.cluster.store.merge(kind, {"spec": {"adoption": "Deny"}}, "", "treasury")
    result = ground.adopt("--unverified", "--sdl", sdl)
    assert result.exit_code == 1
    assert "kubectl patch aa treasury --type merge" in result.stderr
    assert ground.workloads() == []


def test_a_dry_run_prints_what_would_be_created(ground: Ground, sdl: str) -> None:
    result = ground.adopt("--dry-run", "--sdl", sdl)
    assert result.exit_code == 0, result.output
    body = list(yaml.safe_load_all(result.stdout))[-1]
    assert body["spec"]["trust"] == "Unverified"
    assert body["spec"]["adopt"]["deployment"] == ground.running.id
    assert float(body["spec"]["budget"]["maxPricePerHour"]) >= 1.1
    assert "health.path" in result.stdout
    assert ground.workloads() == []


def test_with_consent_one_workload_is_created(ground: Ground, sdl: str) -> None:
    result = ground.adopt("--unverified", "--sdl", sdl, "--name", "chat")
    assert result.exit_code == 0, result.output
    (made,) = ground.workloads()
    assert made["metadata"]["name"] == "chat"
    again = ground.adopt("--unverified", "--sdl", sdl)
    assert again.exit_code == 1
    assert f"InferenceWorkload prod/chat adopts deployment {ground.running.id}" in again.stderr
    assert ground.market.paid() == [ground.running]


def _close(ground: Ground) -> None:
    ground.running.closed = ground.market.now()


def _ours(ground: Ground) -> None:
    marker = f"garrison-0123abcd-{'0' * 32}-0"
    ground.running.order = replace(ORDER, marker=marker)


def _unleased(ground: Ground) -> None:
    ground.running.lease = None


def _other(ground: Ground) -> None:
    ground.market.version = "0" * 64


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_close, "is closed; use: garrison convert"),
        (_ours, "is managed by Garrison already"),
        (_unleased, "has 0 open leases"),
        (_other, "the SDL is not the one of deployment"),
    ],
)
def test_what_cannot_be_adopted_is_refused_with_the_way_out(
    ground: Ground, sdl: str, spoil: Any, said: str
) -> None:
    spoil(ground)
    result = ground.adopt("--unverified", "--sdl", sdl)
    assert (result.exit_code, said in result.stderr) == (1, True), result.stderr
    assert ground.workloads() == []


def test_another_owner_s_deployment_is_not_there(ground: Ground, sdl: str) -> None:
    del ground.market.deployments[ground.running.id]
    result = ground.adopt("--unverified", "--sdl", sdl)
    assert "another owner's cannot be adopted" in result.stderr


def test_without_an_sdl_the_provider_must_say_what_has_the_hash(ground: Ground) -> None:
    result = ground.adopt("--unverified")
    assert result.exit_code == 1
    assert "give the SDL: --sdl deploy.yaml" in result.stderr


def test_a_tag_needs_a_digest_for_later_replicas(ground: Ground, tmp_path: Path) -> None:
    ground.market.version = compile_sdl(parse(BASE)).version
    file = tmp_path / "deploy.yaml"
    file.write_text(BASE)
    result = ground.adopt("--unverified", "--sdl", str(file))
    assert result.exit_code == 1
    assert "imagetools inspect" in result.stderr
    assert ground.workloads() == []
    assert ground.adopt("--unverified", "--sdl", str(file), "--image", IMAGE).exit_code == 0
