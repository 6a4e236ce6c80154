"""``make sentinel``: the sentinel as one file that any Python from 3.9 runs."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from devenv.arguments import no_arguments
from devenv.checkout import ROOT
from sentinel.packed import packed
from sentinel.packing import GOAL_BYTES, part_size

SOURCES = ROOT / "operator" / "sentinel"
TARGET = ROOT / "dist" / "sentinel.pyz"


def write(target: Path = TARGET) -> Path:
    """Write the zipapp, executable, in one step; returns its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.new")
    temporary.write_bytes(packed())
    temporary.chmod(0o755)
    temporary.replace(target)
    return target


def main() -> None:
    no_arguments("devenv.sentinel", __doc__)
    content = write().read_bytes()
    shown = TARGET.relative_to(ROOT)
    parts = ", ".join(f"{name} {part_size(name)}" for name in ("guard", "relay", "tls", "agent"))
    print(f"{shown}: {len(content)} bytes (goal {GOAL_BYTES}); apart: {parts}")
    print(f"sha256:{hashlib.sha256(content).hexdigest()}")
    if len(content) > GOAL_BYTES:
        sys.exit(f"{shown} is larger than the goal of {GOAL_BYTES} bytes")


if __name__ == "__main__":
    main()
