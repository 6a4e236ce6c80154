"""The sentinel as one file that any Python from 3.9 runs (PEP 441), made from the installed package.

The same sources give the same bytes with the same zlib: names sorted, one timestamp, fixed attributes.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "sentinel"
_SHEBANG = b"#!/usr/bin/env python3\n"
_ENTRY = "import sys\nfrom sentinel.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The sentinel's zipapp, and the text that ``python3 -c`` starts it with."""

    archive: bytes
    loader: str

    @property
    def digest(self) -> str:
        """Return the archive's SHA-256, hex."""
        return hashlib.sha256(self.archive).hexdigest()


def bundle() -> Bundle:
    """Return the sentinel that this installation injects."""
    loader = importlib.import_module(f"{PACKAGE}.agent.loader")
    return Bundle(archive=zipapp(), loader=str(loader.LOADER))


def sources() -> Path:
    """Return the folder of the sentinel's package. Raises FileNotFoundError when not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {PACKAGE} is not installed beside garrison")
    return Path(spec.origin).parent


def zipapp(folder: Path | None = None) -> bytes:
    """Return the package in ``folder`` (default: the installed one) as an executable zip archive."""
    root = folder or sources()
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "a") as archive:
        _add(archive, "__main__.py", _ENTRY.encode())
        for path in sorted(root.rglob("*.py")):
            _add(archive, str(path.relative_to(root.parent)), path.read_bytes())
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.external_attr = _REGULAR_FILE
    entry.create_system = _UNIX
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)
