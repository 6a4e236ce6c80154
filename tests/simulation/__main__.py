"""``python -m tests.simulation SEEDS``: run seeds such as 17, 0-299 or 5,9,100-200.

17@sentinel.start is seed 17 in which an operator dies of its first ``sentinel.start`` in the chaos.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.simulation.coverage import LATER, Reached, operations, union
from tests.simulation.run import run_seed


def seeds(text: str) -> list[tuple[int, str | None]]:
    """Return the numbers of ``1,4@kube.get,10-20``, and what an operator dies of in each."""
    found: list[tuple[int, str | None]] = []
    for part in text.split(","):
        numbers, _, operation = part.partition("@")
        if operation and operation not in operations() - LATER:
            raise argparse.ArgumentTypeError(f"there is no operation {operation!r}")
        first, _, last = numbers.partition("-")
        found += ((each, operation or None) for each in range(int(first), int(last or first) + 1))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="?", type=seeds, default="0-99")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell each seed's story")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.CRITICAL)
    began = time.perf_counter()
    reached: list[Reached] = []
    failed: list[str] = []
    for seed, last in options.seeds:
        story = run_seed(seed, print if options.verbose else lambda _: None, last)
        reached.append(story.reached)
        if story.broken:
            failed.append(story.name)
            print(f"seed {story.name} FAILED: {'; '.join(story.broken[:3])}")
            print(f"  replay: make simulate SEEDS={story.name} VERBOSE=1")
    seconds = time.perf_counter() - began
    print(f"{len(options.seeds)} seeds, {len(failed)} failed, {seconds:.1f} s")
    for sort, names in union(reached).missing().items():
        print(f"not reached: {sort}: {', '.join(names)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
