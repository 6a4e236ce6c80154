"""Where things are in this repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTROLPLANE = ROOT / "tests" / "controlplane"
OCIREGISTRY = ROOT / "tests" / "ociregistry"
WORKLOADS = ROOT / "devenv" / "workloads"
