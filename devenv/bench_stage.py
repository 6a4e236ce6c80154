"""The stage on which benchmarks measure the operator, and how they end."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from devenv.errors import DevenvError
from devenv.stage import Script, Stage, open_stage
from garrison.adapters.kube.client import KubeClient, connect
from garrison.errors import GarrisonError

NAMESPACE = "bench"


@asynccontextmanager
async def running(folder: Path, script: Script) -> AsyncIterator[tuple[Stage, KubeClient]]:
    """Run the operator on a stage with the benchmarks' namespace; yields both ways to its API server.

    An AkashAccount is the caller's to apply.
    """
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(open_stage(folder, script))
        await stage.start_operator()
        await stage.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        kube = await connect(str(stage.kubeconfig))
        stack.push_async_callback(kube.close)
        yield stage, kube


def outcome(measure: Callable[[Path], Coroutine[Any, Any, None]], late: str) -> int:
    """Measure in a folder that goes afterwards; 1 with the reason, ``late`` when something took too long."""
    with tempfile.TemporaryDirectory(prefix="garrison-bench-") as folder:
        try:
            asyncio.run(measure(Path(folder)))
        except (DevenvError, GarrisonError, TimeoutError) as error:
            print(error or late, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted; everything that was started has been stopped", file=sys.stderr)
            return 1
    return 0
