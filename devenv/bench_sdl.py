"""How many SDLs are compiled and hashed in a second, on one core. Figures gate nothing.

The reference library is not measured beside: its Go module is not to be had from every module proxy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devenv.arguments import no_arguments
from devenv.checkout import ROOT
from garrison.adapters.akash.sdl import compile_sdl, parse
from garrison.adapters.akash.sdl.canonical import canonical_json, manifest_hash

VECTORS = ROOT / "tests" / "conformance" / "akash" / "vectors"
SECONDS = 1.0
ROUNDS = 3


def rate(work: Callable[[], object]) -> float:
    """Return how often a second ``work`` is done, in the best of a few rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        done, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < SECONDS:
            work()
            done += 1
        best = max(best, done / passed)
    return best


def inputs() -> dict[str, bytes]:
    """Return a small SDL, one with GPUs, and one of several services."""
    names = ("v20-minimal", "v20-gpu-model-ram-interface", "v21-multi-service-shared-profile")
    return {name: Path(VECTORS / name / "input.yaml").read_bytes() for name in names}


def version_of(text: bytes) -> str:
    return compile_sdl(parse(text)).version


def hash_of(manifest: list[dict[str, Any]]) -> str:
    return manifest_hash(canonical_json(manifest))


def main() -> None:
    no_arguments("devenv.bench_sdl", __doc__)
    table = Table("SDL", "compiled per second", "of it without YAML", "manifests hashed per second")
    for name, text in inputs().items():
        sdl = parse(text)
        manifest = compile_sdl(sdl).manifest
        table.add_row(
            name,
            f"{rate(partial(version_of, text)):,.0f}",
            f"{rate(partial(compile_sdl, sdl)):,.0f}",
            f"{rate(partial(hash_of, manifest)):,.0f}",
        )
    console = Console()
    console.print(table)
    console.print("The reference library was not measured: its module is not fetched.")


if __name__ == "__main__":
    main()
