"""How many SDLs are compiled and hashed in a second of CPU time, beside the Go reference library.

The reference (devenv/bench_sdl.go) is built where Go can fetch Akash's modules; else give it built:
SDL_REFERENCE=/path/to/binary. Without it Garrison is measured alone. Figures gate nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devenv import bench_sdl_reference
from devenv.arguments import no_arguments
from devenv.checkout import ROOT
from devenv.errors import DevenvError
from garrison.adapters.akash.sdl import compile_sdl, parse
from garrison.adapters.akash.sdl.canonical import canonical_json, manifest_hash

VECTORS = ROOT / "tests" / "conformance" / "akash" / "vectors"
# a small SDL, one with GPUs, and one of several services
DOCUMENTS = ("v20-minimal", "v20-gpu-model-ram-interface", "v21-multi-service-shared-profile")
SECONDS = 0.5
ROUNDS = 5
GOAL = 10
_WIDTH = 120


def rate(work: Callable[[], object]) -> float:
    """Return how often ``work`` is done in a second of this process's CPU time."""
    done, began = 0, time.process_time()
    while (passed := time.process_time() - began) < SECONDS:
        work()
        done += 1
    return done / passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What is done with a document, and the rates of each round; ``mode`` is the reference's word.

    Parsed objects have no counterpart in the reference: ``mode`` is empty.
    """

    document: str
    title: str
    mode: str
    work: Callable[[], object]
    ours: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)

    @property
    def times(self) -> float | None:
        """How many times as fast the reference is: the median of the rounds' ratios."""
        if not self.reference:
            return None
        pairs = zip(self.reference, self.ours, strict=True)
        return statistics.median(reference / ours for reference, ours in pairs)


def path_of(document: str) -> Path:
    return VECTORS / document / "input.yaml"


def version_of(text: bytes) -> str:
    return compile_sdl(parse(text)).version


def hash_of(manifest: list[dict[str, Any]]) -> str:
    return manifest_hash(canonical_json(manifest))


def contests() -> Iterator[Contest]:
    for document in DOCUMENTS:
        text = path_of(document).read_bytes()
        sdl = parse(text)
        for title, mode, work in (
            ("compiled", "compile", partial(version_of, text)),
            ("compiled, of it without YAML", "", partial(compile_sdl, sdl)),
            ("manifest hashed", "hash", partial(hash_of, compile_sdl(sdl).manifest)),
        ):
            yield Contest(document=document, title=title, mode=mode, work=work)


def measure(contest: Contest, program: Path | None) -> None:
    """Add one round. Raises DevenvError when the reference fails or comes to another version."""
    contest.ours.append(rate(contest.work))
    if program is None or not contest.mode:
        return
    path = path_of(contest.document)
    answer = bench_sdl_reference.measure(program, contest.mode, path, SECONDS)
    if answer.version != (expected := version_of(path.read_bytes())):
        raise DevenvError(
            f"{contest.document}: {expected} here and {answer.version} in the reference: "
            "they do not do the same work, so their rates do not compare"
        )
    contest.reference.append(answer.rate)


def table(measured: Sequence[Contest]) -> Table:
    """Return medians, per second of CPU time."""
    shown = Table(
        *("SDL", "per second of CPU time", "Garrison", "Go reference"),
        f"reference / Garrison (goal: <= {GOAL}x)",
    )
    for each in measured:
        reference = f"{statistics.median(each.reference):,.0f}" if each.reference else "-"
        times = f"{each.times:.1f}x" if each.times else "-"
        ours = f"{statistics.median(each.ours):,.0f}"
        shown.add_row(each.document, each.title, ours, reference, times)
    return shown


def reference() -> Path | None:
    """Return the reference's program; None, and says why, where it cannot be built.

    Raises DevenvError when ``SDL_REFERENCE`` names no program.
    """
    if program := bench_sdl_reference.given():
        return program
    try:
        return asyncio.run(bench_sdl_reference.built())
    except DevenvError as error:
        remedy = f"give it built: {bench_sdl_reference.VARIABLE}=/path/to/binary"
        print(f"without the Go reference: {error} ({remedy})")
        return None


def main() -> int:
    """Measure; 1 with the reason when the reference fails."""
    no_arguments("devenv.bench_sdl", __doc__)
    found = list(contests())
    try:
        program = reference()
        for _ in range(ROUNDS):
            for contest in found:
                measure(contest, program)
    except DevenvError as error:
        print(error, file=sys.stderr)
        return 1
    Console(width=_WIDTH).print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
