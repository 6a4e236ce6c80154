"""``make demo``: apply ten lines, get an answer, lose the provider, get an answer again, leave nothing.

Environment: CONTROL_PLANE=light for an in-memory API server in place of the real one;
MARKET=chain to trade on the local market's chain, with a wallet, in place of its Console API;
GARRISON_USE_CLUSTER=1 with KUBECONFIG for a cluster of your own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from openai import AsyncOpenAI
from rich.console import Console

from devenv.checkout import ROOT
from devenv.demo_board import Board
from devenv.demo_lease import LeaseRow, failover, row_of
from devenv.demo_view import picture, save_svg, shown
from devenv.errors import DevenvError
from devenv.processes import INTERRUPTED, Process, end_on_sigterm
from devenv.stage import Script, Stage, Way, open_stage
from garrison.adapters.kube.client import KubeClient, connect
from garrison.api.lease import parse_lease
from garrison.api.meta import LEASE, WORKLOAD
from garrison.api.workload import parse_workload
from garrison.errors import GarrisonError

EXAMPLES = ROOT / "docs" / "examples"
NAME = "chat"
PORT = 8080
LOOK_SECONDS = 0.3
READY_SECONDS = 180.0
QUESTIONS = ("In one sentence: what is a garrison?", "And in one sentence: what is Kubernetes?")


def script() -> Script:
    """Return what to set up, as the environment asks."""
    plane = os.environ.get("CONTROL_PLANE", "")
    if plane not in ("", "light"):
        raise DevenvError(f"CONTROL_PLANE={plane} is not known: leave it out, or set it to light")
    kubeconfig = ""
    if os.environ.get("GARRISON_USE_CLUSTER", "") not in ("", "0"):
        kubeconfig = os.environ.get("KUBECONFIG", "")
        if not kubeconfig:
            raise DevenvError(
                "GARRISON_USE_CLUSTER=1 needs KUBECONFIG: the file that names your cluster, "
                "for example KUBECONFIG=$HOME/.kube/config"
            )
        if plane:
            raise DevenvError("GARRISON_USE_CLUSTER=1 and CONTROL_PLANE=light exclude each other")
    return Script(
        light=plane == "light",
        kubeconfig=kubeconfig,
        model=True,
        way=_way(os.environ.get("MARKET", "")),
        survey_seconds=5.0,
    )


def _way(asked: str) -> Way:
    match asked:
        case "" | "console":
            return "console"
        case "chain":
            return "chain"
        case _:
            raise DevenvError(f"MARKET={asked} is not known: set it to console or chain")


async def account(stage: Stage) -> dict[str, Any]:
    """Return docs/examples' account, pointed at the local market."""
    body = _example("00-account.yaml")
    body["spec"]["backend"] = await stage.backend(horizon_seconds=10)
    body["spec"]["allowPrivateAddresses"] = True
    body["spec"]["treasury"] = {"depositHours": 1}
    return body


def workload(stage: Stage) -> dict[str, Any]:
    """Return docs/examples' ten lines with the pushed image, measured, and probed often."""
    body = _example("20-workload.yaml")
    body["metadata"]["namespace"] = stage.script.home
    body["spec"] |= {
        "image": stage.images["model"],
        "port": PORT,
        "benchmark": {"api": "OpenAI"},
        "health": {"periodSeconds": 2, "failureThreshold": 2, "timeoutSeconds": 5},
        "traffic": {"drainSeconds": 2},
    }
    if stage.script.runtime == "synthetic":
        body["spec"]["trust"] = "Unverified"  # what is no container has no agent either
    return body


def policy(stage: Stage) -> dict[str, Any]:
    """Return docs/examples' policy, in the workload's namespace."""
    body = _example("10-policy.yaml")
    body["metadata"]["namespace"] = stage.script.home
    return body


def _example(name: str) -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    return body


class Demo:
    """One run on a stage."""

    def __init__(self, stage: Stage, board: Board, kube: KubeClient) -> None:
        self.stage = stage
        self.board = board
        self.kube = kube
        self.home = stage.script.home
        self._names: Mapping[str, str] = {}

    async def prepare(self) -> None:
        """Start the operator and apply what comes before the workload."""
        rights = "the ServiceAccount's rights, no more"
        if self.stage.script.light:
            rights = "all rights: the light API server knows none"
        with self.board.step("Operator", f"with {rights}"):
            await self.stage.start_operator()
        async with self.stage.market.admin() as admin:
            self._names = {each.address: each.name for each in await admin.providers()}
        with self.board.step(
            "kubectl apply", "who pays, within which limits; a namespace; a policy"
        ):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.home}}
            await self.stage.apply(body, await account(self.stage), policy(self.stage))

    async def serve(self) -> None:
        """Apply the workload and wait until it is Ready."""
        with self.board.step("kubectl apply", "ten lines: image, port, resources"):
            await self.stage.apply(workload(self.stage))
        with self.board.step("Ready", "lease, container, probe, benchmark"):
            await self._until(self._is_ready)

    async def look(self) -> None:
        """Show the leases as they are."""
        raw = await self.kube.get(WORKLOAD, self.home, NAME)
        leases = [parse_lease(each) for each in await self.kube.list(LEASE, namespace=self.home)]
        status = parse_workload(raw).status if raw is not None else None
        text = "" if status is None else f"iw/{NAME}  READY {status.ready}  STATUS {status.phase}"
        self.board.saw(text or f"iw/{NAME} is gone", [row_of(each, self._names) for each in leases])

    async def _until(self, done: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not await done():
            if time.monotonic() > deadline:
                raise DevenvError(f"this took longer than {READY_SECONDS:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)

    async def _is_ready(self) -> bool:
        await self.look()
        raw = await self.kube.get(WORKLOAD, self.home, NAME)
        conditions = ((raw or {}).get("status") or {}).get("conditions") or ()
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def ready_row(self) -> LeaseRow:
        """Return the lease that serves. Raises DevenvError when none does."""
        row = next((each for each in self.board.leases.values() if each.is_ready), None)
        if row is None:
            raise DevenvError("no replica is Ready any more")
        return row

    async def ask(self, url: str, question: str) -> None:
        """Stream an answer through the OpenAI client."""
        with self.board.step("Ask the model", "openai client, streaming, through garrison connect"):
            self.board.ask(question)
            async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", timeout=120) as client:
                began = time.monotonic()
                models = await client.models.list()
                stream = await client.chat.completions.create(
                    model=models.data[0].id,
                    messages=[{"role": "user", "content": question}],
                    max_tokens=48,
                    stream=True,
                )
                async for chunk in stream:
                    text = chunk.choices[0].delta.content if chunk.choices else None
                    if text:
                        self.board.hear(text, first_token_seconds=time.monotonic() - began)
                self.board.heard(time.monotonic() - began)
        if not self.board.exchanges[-1].answer.strip():
            raise DevenvError("the model said nothing")

    async def fail_over(self) -> None:
        """Kill the provider under the replica and wait for another one."""
        old = self.ready_row()
        with self.board.step("Kill the provider", f"{old.provider}: gateway, container and ports"):
            async with self.stage.market.admin() as admin:
                await admin.kill_provider(old.provider)
            killed = datetime.now(UTC)
        with self.board.step("Failover", "noticed, replaced, measured, Ready"):
            await self._until(lambda: self._replaced(old.name))
        for line in failover(killed, self.board.leases[old.name], self.ready_row()).lines():
            self.board.fact(line)

    async def _replaced(self, old: str) -> bool:
        await self.look()
        return any(each.is_ready and each.name != old for each in self.board.leases.values())

    async def leave(self) -> None:
        """Delete the workload, and prove that nothing is paid any more."""
        with self.board.step("kubectl delete", "returns when the market has confirmed the close"):
            await self.stage.kubectl(
                "delete", "iw", NAME, "-n", self.home, "--timeout=90s", limit_seconds=100
            )
            await self.look()
        with self.board.step("Proof", "kubectl get al; the market's own list"):
            leases = (await self.stage.get("al", "-A"))["items"]
            async with self.stage.market.admin() as admin:
                paid = [each for each in await admin.leases() if each.state == "active"]
        if leases or paid:
            raise DevenvError(f"left behind: AkashLeases {len(leases)}, paid leases {len(paid)}")
        self.board.fact("no AkashLease is left, and the market has no open lease")

    async def tidy(self) -> None:
        """Delete what only a running operator can delete in order: leases first, then the account."""
        operator = self.stage.processes.get("operator")
        if operator is None or operator.returncode is not None:
            return
        with (
            contextlib.suppress(DevenvError),
            self.board.step("kubectl delete", f"namespace {self.home}, account treasury"),
        ):
            for words in (("namespace", self.home), ("aa", "treasury")):
                await self.stage.kubectl(
                    "delete", *words, "--ignore-not-found", "--timeout=90s", limit_seconds=100
                )


@asynccontextmanager
async def connected(stage: Stage) -> AsyncIterator[str]:
    """Run ``garrison connect`` and yield its address."""
    process = await Process.start(
        "garrison connect",
        [
            sys.executable, "-m", "garrison.cli", "connect", f"iw/{NAME}",
            "-n", stage.script.home, "-p", "0",
            "--kubeconfig", str(stage.kubeconfig),
        ],
        log=stage.folder / "connect.log",
        env={"PYTHONPATH": str(ROOT / "operator")},
    )  # fmt: skip
    try:
        (url,) = await process.ready(limit_seconds=30)
        yield url
    finally:
        await process.stop()


async def perform(board: Board, folder: Path, what: Script) -> None:
    """Run the whole demo. Raises DevenvError, GarrisonError; CancelledError on SIGTERM."""
    end_on_sigterm()
    async with prepared(board, folder, what) as demo, AsyncExitStack() as stack:
        await demo.serve()
        url = await stack.enter_async_context(connected(demo.stage))
        await demo.ask(url, QUESTIONS[0])
        await demo.fail_over()
        await demo.ask(url, QUESTIONS[1])
        await demo.leave()


@asynccontextmanager
async def prepared(board: Board, folder: Path, what: Script) -> AsyncIterator[Demo]:
    """Set the stage with an operator, an account and a policy; everything ends with the block.

    Raises DevenvError.
    """
    async with open_stage(folder, what, say=board.say) as stage, _client(stage) as kube:
        demo = Demo(stage, board, kube)
        try:
            await demo.prepare()
            yield demo
        finally:
            if what.kubeconfig:
                await demo.tidy()


@asynccontextmanager
async def _client(stage: Stage) -> AsyncIterator[KubeClient]:
    kube = await connect(str(stage.kubeconfig))
    try:
        yield kube
    finally:
        await kube.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devenv.demo", description=__doc__)
    parser.add_argument("--svg", type=Path, help="write the last picture to this file")
    parser.add_argument(
        "--runtime",
        default="auto",
        help="how the market runs containers: auto, runc, crun, bubblewrap, unshare, process, synthetic",
    )
    return parser.parse_args()


def main() -> int:
    """Run the demo; 0 when everything was shown, 1 with the reason when not."""
    options = _arguments()
    console = Console()
    try:
        what = replace(script(), runtime=options.runtime)
    except DevenvError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    light = " (light API server: not Kubernetes itself)" if what.light else ""
    board = Board(title=f"Garrison: ten lines to a model that answers{light}")
    failure, code = "", 1
    with tempfile.TemporaryDirectory(prefix="garrison-demo-") as folder:
        try:
            with shown(board, console):
                asyncio.run(perform(board, Path(folder), what))
        except (DevenvError, GarrisonError) as error:
            failure = f"{error}\n{_tails(Path(folder))}"
        except (KeyboardInterrupt, asyncio.CancelledError):
            failure, code = "interrupted; everything that was started has been stopped", INTERRUPTED
    board.end()
    if console.is_terminal:
        console.print(picture(board))
    if options.svg:
        save_svg(board, options.svg)
    if failure:
        console.print(f"failed after {board.elapsed:.1f} s: {failure}", style="red", markup=False)
        return code
    console.print(f"done in {board.elapsed:.1f} s")
    return 0


def _tails(folder: Path) -> str:
    logs = (folder / name for name in ("operator.log", "sandbox.log"))
    return "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in logs if log.exists())


if __name__ == "__main__":
    sys.exit(main())
