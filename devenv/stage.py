"""Everything together: control plane, registry, local market, chart, operator."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml

from akash_sandbox.client import SandboxAdmin
from devenv.checkout import ROOT
from devenv.cluster import Cluster, flattened
from devenv.command import output_of
from devenv.controlplane import ControlPlane, service_account_kubeconfig, start_controlplane
from devenv.errors import DevenvError
from devenv.gobuild import told
from devenv.image import MODEL, SYNTHETIC, publish
from devenv.light import start_light
from devenv.network import Network
from devenv.processes import Process
from devenv.provision import ensure_container_runtime, ensure_helm, ensure_kubectl
from devenv.registry import start_registry
from devenv.steps import Say, step, to_stderr

NAMESPACE = "garrison-system"
RELEASE = "garrison"
CHART = ROOT / "charts" / "garrison"
SECRET = "console-key"  # noqa: S105 - the name of a Secret
Way = Literal["console", "chain"]
"""How the account reaches the market: Console API, or the chain with a wallet of its own."""
KUBECTL_SECONDS = 60.0
READY_SECONDS = 60.0
BLOCK_SECONDS = 1.0
"""Of the local market's chain when the account trades there: nobody wants to wait six."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What to set up. ``runtime`` is the market's: auto, synthetic, or a container runtime's name.

    ``light``: the in-memory API server in place of the real one. ``kubeconfig``: a person's own
    cluster, as the variable KUBECONFIG names it. ``sandbox`` are more settings of the market.
    ``model``: push the real model's image. ``way``: how the account reaches the market.
    ``network``: the namespace in which the market runs, by
    default this process's own. ``webhook_hosts`` are what RotatingSecrets may name, wherever it is.
    """

    runtime: str = "auto"
    light: bool = False
    kubeconfig: str = ""
    model: bool = False
    way: Way = "console"
    network: Network | None = None
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    survey_seconds: float = 5.0
    bid_seconds: float = 60.0
    debug: bool = False
    webhook_hosts: Sequence[str] = ()

    @property
    def home(self) -> str:
        """The demo's namespace for workloads; in a person's cluster ``prod`` may be taken."""
        return "garrison-demo" if self.kubeconfig else "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The running local market; ``process`` changes when it is restarted."""

    console_url: str
    ca_file: Path
    admin_url: str
    api_key: str
    token_file: Path
    key_file: Path

    def admin(self) -> SandboxAdmin:
        """Return a client of its admin API; close it."""
        return SandboxAdmin(self.admin_url, self.token_file.read_text().strip())


class Stage:
    """What is running, and how to drive it with kubectl."""

    def __init__(self, folder: Path, script: Script, kubeconfig: Path, kubectl: Path) -> None:
        self.folder = folder
        self.script = script
        self.kubeconfig = kubeconfig
        self.operator_kubeconfig = kubeconfig
        self.kubectl_path = kubectl
        self.processes: dict[str, Process] = {}
        self.images: dict[str, str] = {}
        self.plane: ControlPlane | None = None
        self.operator_url = ""
        """where a started operator serves health and metrics"""
        self._market: Market | None = None

    @property
    def market(self) -> Market:
        """The local market. Raises DevenvError before it was started."""
        if self._market is None:
            raise DevenvError("the local market has not been started")
        return self._market

    async def kubectl(
        self, *arguments: str, limit_seconds: float = KUBECTL_SECONDS, stdin: str | None = None
    ) -> str:
        """Return kubectl's standard output. Raises DevenvError with its error."""
        argv = [str(self.kubectl_path), "--kubeconfig", str(self.kubeconfig), *arguments]
        if stdin is not None:
            file = self.folder / f"apply-{abs(hash(stdin)):x}.yaml"
            file.write_text(stdin)
            argv += ["-f", str(file)]
        return await output_of(argv, limit_seconds=limit_seconds)

    async def apply(self, *bodies: Mapping[str, Any]) -> str:
        """Apply objects."""
        return await self.kubectl(
            "apply", stdin=yaml.safe_dump_all([dict(each) for each in bodies])
        )

    async def get(self, *arguments: str) -> Any:
        """Return ``kubectl get … -o json``."""
        return json.loads(await self.kubectl("get", *arguments, "-o", "json"))

    async def stop_api_server(self) -> None:
        """Stop the real API server; its objects stay. Nothing happens where it is not ours."""
        if self.plane is not None:
            await self.plane.stop()

    async def start_api_server(self) -> None:
        """Start the real API server again: same objects, same address. Raises DevenvError."""
        if self.plane is None:
            raise DevenvError("this API server is not the stage's own, so it cannot be started")
        port = urlsplit(self.plane.url).port or 0
        self.plane = await start_controlplane(self.folder / "cluster", port=port)

    async def start_market(self) -> Market:
        """Start the local market, or start it again on the state that it left."""
        config = self.folder / "sandbox.yaml"
        pace = {"block_seconds": BLOCK_SECONDS} if self.script.way == "chain" else {}
        settings = {"workloads": {"runtime": self.script.runtime}, **pace, **self.script.sandbox}
        config.write_text(yaml.safe_dump(settings))
        data = self.folder / "sandbox"
        argv = [sys.executable, "-m", "akash_sandbox", "serve", "--data-dir", str(data)]
        argv += ["--config", str(config)]
        process = await Process.start(
            "sandbox",
            self.script.network.inside(*argv) if self.script.network else argv,
            log=self.folder / "sandbox.log",
            env={"PYTHONPATH": str(ROOT / "operator")},
        )
        self.processes["sandbox"] = process
        console, ca_file, admin, key = await process.ready(limit_seconds=READY_SECONDS)
        self._market = Market(
            console_url=console,
            ca_file=Path(ca_file),
            admin_url=admin,
            api_key=key,
            token_file=data / "admin-token",
            key_file=data / "account.hex",
        )
        return self._market

    async def start_operator(self) -> Process:
        """Start an operator with the ServiceAccount's rights; returns once it watches."""
        argv = [sys.executable, "-m", "garrison.cli", "run", "--namespace", NAMESPACE]
        argv += ["--kubeconfig", str(self.operator_kubeconfig), "--port", "0", "--verbose"]
        argv += ["--survey-seconds", str(self.script.survey_seconds)]
        argv += ["--bid-seconds", str(self.script.bid_seconds)]
        for address in self._insecure_registries():
            argv += ["--insecure-registry", address]
        for host in self.script.webhook_hosts:
            argv += ["--webhook-host", host, "--webhook-private-addresses"]
        process = await Process.start(
            "operator",
            argv,
            log=self.folder / "operator.log",
            env={
                "PYTHONPATH": str(ROOT / "operator"),
                "PYTHONASYNCIODEBUG": "1" if self.script.debug else "",
            },
        )
        self.processes["operator"] = process
        self.operator_url = (await process.ready(limit_seconds=READY_SECONDS))[-1]
        return process

    def _insecure_registries(self) -> list[str]:
        return sorted({reference.partition("/")[0] for reference in self.images.values()})

    async def install_chart(self, helm: Path) -> None:
        """Install CRDs, ServiceAccount and rights; the operator itself runs beside the cluster."""
        await output_of(
            [
                str(helm), "--kubeconfig", str(self.kubeconfig), "upgrade", "--install", RELEASE, str(CHART),
                "--namespace", NAMESPACE, "--create-namespace", "--set", "deployment.enabled=false",
            ],
            limit_seconds=120,
        )  # fmt: skip
        self.operator_kubeconfig = await service_account_kubeconfig(
            self.kubeconfig, NAMESPACE, RELEASE, self.folder / "operator.kubeconfig"
        )

    async def install_definitions(self) -> None:
        """Apply only the CRDs and the namespace: the light API server knows no rights."""
        for path in sorted((CHART / "crds").glob("*.yaml")):
            await self.kubectl("apply", "--validate=false", "-f", str(path))
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await self.apply(body)

    async def store_key(self) -> None:
        """Put the market's API key, or the wallet's key, where an AkashAccount looks for it."""
        is_chain = self.script.way == "chain"
        key = self.market.key_file.read_text() if is_chain else self.market.api_key
        await self.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": SECRET, "namespace": NAMESPACE},
                "stringData": {"key": key.strip()},
            }
        )

    async def backend(self, horizon_seconds: int) -> dict[str, Any]:
        """Return how an AkashAccount reaches the local market."""
        bundle = self.market.ca_file.read_text()
        if self.script.way == "console":
            console = {
                "apiKeySecretRef": {"name": SECRET},
                "endpoint": self.market.console_url,
                "caBundle": bundle,
                "outcomeHorizonSeconds": horizon_seconds,
            }
            return {"type": "Console", "console": console}
        async with self.market.admin() as admin:
            chain = await admin.chain()
        settings = {
            "keySecretRef": {"name": SECRET},
            "endpoints": [each.url for each in chain.nodes],
            "chainId": chain.id,
            "blockTime": "Nominal",
            "caBundle": bundle,
        }
        return {"type": "Chain", "chain": settings}

    def account(self, name: str = "treasury", **spec: Any) -> dict[str, Any]:
        """Return an AkashAccount of the local market; ``spec`` overrides fields."""
        return {
            "apiVersion": "garrison.dev/v1alpha1",
            "kind": "AkashAccount",
            "metadata": {"name": name},
            "spec": {
                "default": True,
                "backend": {
                    "type": "Console",
                    "console": {
                        "apiKeySecretRef": {"name": SECRET},
                        "endpoint": self.market.console_url,
                        "caBundle": self.market.ca_file.read_text(),
                        "outcomeHorizonSeconds": 5,
                    },
                },
                "limits": {
                    "maxPricePerHour": "20",
                    "maxLeases": 10,
                    "maxNewLeasesPer10Minutes": 200,
                },
                "treasury": {"depositHours": 1},
                "allowPrivateAddresses": True,
                **spec,
            },
        }

    async def stop(self) -> None:
        """Stop everything, the operator first."""
        for name in ("operator", "sandbox"):
            process = self.processes.pop(name, None)
            if process is not None:
                await process.stop(grace_seconds=20)


@asynccontextmanager
async def open_stage(folder: Path, script: Script, *, say: Say = to_stderr) -> AsyncIterator[Stage]:
    """Set everything up but the operator; what was started is stopped at the end."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        kubectl = await ensure_kubectl(say=say)
        plane, kubeconfig = await _cluster(stack, folder, script, say)
        stage = Stage(folder, script, kubeconfig, kubectl)
        stage.plane = plane
        stack.push_async_callback(stage.stop_api_server)
        stack.push_async_callback(stage.stop)
        await asyncio.gather(
            _installed(stage, say), _imaged(stack, stage, say), _market(stage, say)
        )
        await stage.store_key()
        yield stage


async def _cluster(
    stack: AsyncExitStack, folder: Path, script: Script, say: Say
) -> tuple[ControlPlane | None, Path]:
    if script.kubeconfig:
        return None, await _borrowed(stack, folder, script, say)
    if script.light:
        with step("API server", "in memory, for an impatient first look", say):
            light = await start_light(folder)
        stack.push_async_callback(light.process.stop)
        return None, light.kubeconfig
    with step("Control plane", "a real kube-apiserver and etcd in one process", say):
        plane = await start_controlplane(folder / "cluster", report=told(say))
    stack.push_async_callback(plane.stop)
    return plane, plane.kubeconfig


async def _borrowed(stack: AsyncExitStack, folder: Path, script: Script, say: Say) -> Path:
    """Return the kubeconfig of a person's cluster, which is given back at the end."""
    kubectl, helm = await asyncio.gather(ensure_kubectl(say=say), ensure_helm(say=say))
    cluster = Cluster(
        kubeconfig=await flattened(script.kubeconfig, kubectl, folder / "your.kubeconfig"),
        kubectl=kubectl,
        helm=helm,
        release=RELEASE,
        release_namespace=NAMESPACE,
        namespaces=(script.home, NAMESPACE),
    )
    with step("Your cluster", "is it there, and free of Garrison", say):
        server = await cluster.require_free()
        say(f"  {server}")
    stack.push_async_callback(cluster.give_back, say)
    return cluster.kubeconfig


async def _installed(stage: Stage, say: Say) -> None:
    if stage.script.light:
        with step("CRDs", "Garrison's resources", say):
            await stage.install_definitions()
        return
    helm = await ensure_helm(say=say)
    with step("Chart", "CRDs, ServiceAccount, least-privilege rights", say):
        await stage.install_chart(helm)


async def _imaged(stack: AsyncExitStack, stage: Stage, say: Say) -> None:
    recipes = (MODEL, SYNTHETIC) if stage.script.model else (SYNTHETIC,)
    registry = await start_registry(stage.folder / "registry", report=told(say))
    stack.push_async_callback(registry.stop)
    for recipe in recipes:
        with step(f"Image {recipe.name}", recipe.why, say):
            stage.images[recipe.name] = await publish(recipe, registry.url, say=say)


async def _market(stage: Stage, say: Say) -> None:
    if stage.script.runtime == "auto":
        runtime = await ensure_container_runtime(say=say)
        if runtime.missing:
            say(runtime.missing)
    with step("Market", "Console API and provider gateways on loopback", say):
        await stage.start_market()
