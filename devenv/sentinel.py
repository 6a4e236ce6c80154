"""``make sentinel``: the sentinel as one file that any Python from 3.9 runs.

The same sources give the same bytes, on any machine with the same zlib: names sorted, one
timestamp, fixed attributes.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path

from devenv.checkout import ROOT

SOURCES = ROOT / "operator" / "sentinel"
TARGET = ROOT / "dist" / "sentinel.pyz"
GOAL_BYTES = 64 * 1024
_SHEBANG = b"#!/usr/bin/env python3\n"
_ENTRY = "import sys\nfrom sentinel.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3


def zipapp(sources: Path = SOURCES) -> bytes:
    """Return the package of ``sources`` as an executable zip archive (PEP 441)."""
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "a") as archive:
        _add(archive, "__main__.py", _ENTRY.encode())
        for path in sorted(sources.rglob("*.py")):
            _add(archive, str(path.relative_to(sources.parent)), path.read_bytes())
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.external_attr = _REGULAR_FILE
    entry.create_system = _UNIX
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)


def part_size(folder: str, sources: Path = SOURCES) -> int:
    """Return how many compressed bytes of the zipapp one folder of the package takes."""
    prefix = f"{sources.name}/{folder}/"
    with zipfile.ZipFile(io.BytesIO(zipapp(sources))) as archive:
        return sum(e.compress_size for e in archive.infolist() if e.filename.startswith(prefix))


def write(target: Path = TARGET) -> Path:
    """Write the zipapp, executable, in one step; returns its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.new")
    temporary.write_bytes(zipapp())
    temporary.chmod(0o755)
    temporary.replace(target)
    return target


def main() -> None:
    content = write().read_bytes()
    shown = TARGET.relative_to(ROOT)
    print(f"{shown}: {len(content)} bytes (goal {GOAL_BYTES}), guard {part_size('guard')}")
    print(f"sha256:{hashlib.sha256(content).hexdigest()}")
    if len(content) > GOAL_BYTES:
        sys.exit(f"{shown} is larger than the goal of {GOAL_BYTES} bytes")


if __name__ == "__main__":
    main()
