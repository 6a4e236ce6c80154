"""Canonical JSON and the manifest's hash, byte for byte like the reference library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

# Go's encoder escapes these five characters even inside UTF-8 text.
_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def canonical_json(value: Any) -> str:
    """Return ``value`` as JSON with sorted keys, no whitespace and Go's escapes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def manifest_hash(manifest: Sequence[Any]) -> bytes:
    """Return the 32 bytes that the chain keeps as the deployment's hash."""
    return hashlib.sha256(canonical_json(manifest).encode()).digest()
