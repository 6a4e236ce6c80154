"""``python -m tests.simulation SEEDS``: run seeds such as 17, 0-299 or 5,9,100-200."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from tests.simulation.coverage import Reached, union
from tests.simulation.run import run_seed


def seeds(text: str) -> list[int]:
    """Return the numbers of ``1,4,10-20``."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="?", default="0-99")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell each seed's story")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.CRITICAL)
    began = time.perf_counter()
    reached: list[Reached] = []
    failed: list[int] = []
    wanted = seeds(options.seeds)
    for seed in wanted:
        story = run_seed(seed, print if options.verbose else lambda _: None)
        reached.append(story.reached)
        if story.broken:
            failed.append(seed)
            print(f"seed {seed} FAILED: {'; '.join(story.broken[:3])}")
            print(f"  replay: make simulate SEEDS={seed} VERBOSE=1")
    seconds = time.perf_counter() - began
    print(f"{len(wanted)} seeds, {len(failed)} failed, {seconds:.1f} s")
    for sort, names in union(reached).missing().items():
        print(f"not reached: {sort}: {', '.join(names)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
