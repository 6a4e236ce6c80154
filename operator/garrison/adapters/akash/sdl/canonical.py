"""Canonical JSON and the manifest's hash, byte for byte as the reference library's."""

from __future__ import annotations

import hashlib
import json
from typing import Any

# The reference encoder (Go's) escapes these characters inside strings.
_ESCAPES = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
    }
)


def canonical_json(value: Any) -> str:
    """Return a JSON value with sorted keys, no whitespace, and Go's escapes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_ESCAPES)


def manifest_hash(text: str) -> str:
    """Return the SHA-256 of a canonical manifest in hex: what the chain keeps."""
    return hashlib.sha256(text.encode()).hexdigest()
