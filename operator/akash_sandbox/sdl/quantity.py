"""Sizes of CPU and bytes as the SDL writes them."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from akash_sandbox.sdl.errors import SdlError

_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {f"{unit}i": 1024 ** (power + 1) for power, unit in enumerate("KMGTPE")}
_SIZE = re.compile(r"([0-9]*\.?[0-9]+)([kMGTPE]?|[KMGTPE]i)")


def cpu_millis(value: Any) -> int:
    """Return cores (``0.5`` or ``"500m"``) in thousandths, truncated."""
    text = str(value)
    scale = 1
    if text.endswith("m"):
        text = text[:-1]
    else:
        scale = 1000
    try:
        return int(Decimal(text) * scale)
    except (InvalidOperation, ValueError, OverflowError):
        raise SdlError(f"sdl: invalid CPU units {value!r}") from None


def size_bytes(value: Any) -> int:
    """Return a size such as ``1.5Gi`` in bytes, truncated."""
    match = _SIZE.fullmatch(str(value))
    if match is None:
        raise SdlError(f"sdl: invalid size {value!r}; write it like 512Mi")
    unit = {**_DECIMAL, **_BINARY}[match[2]]
    return int(Decimal(match[1]) * unit)
