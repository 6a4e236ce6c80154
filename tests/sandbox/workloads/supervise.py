"""A process that runs one workload until it is killed: its folder, image, runtime and mark."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import cast

from akash_sandbox.settings import RuntimeName
from tests.sandbox.workloads.bench import Bench, running


async def supervise(folder: Path, image: str, runtime: RuntimeName, mark: str) -> None:
    """Deploy the workload, print its external port once it answers, and wait."""
    bench = Bench(folder=folder, image=image)
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask(env=(("MARK", mark),)))
    sys.stdout.write(f"{await running(supervisor)}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(
        supervise(Path(sys.argv[1]), sys.argv[2], cast("RuntimeName", sys.argv[3]), sys.argv[4])
    )
