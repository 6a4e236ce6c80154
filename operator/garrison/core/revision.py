"""Revisions: which edits need a new lease, and what they are called.

The one table of the edit classes is ``Template``: a field that is in it makes a new revision and
rolls with surge; every other field of the spec applies in place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

from garrison.api.container import TEMPLATE_ADAPTER, Template
from garrison.api.parsing import dump

HISTORY = 3


@lru_cache(maxsize=4096)
def revision_name(workload: str, template: Template) -> str:
    """Return the name of a template's ControllerRevision: the same template, the same name."""
    text = json.dumps(dump(TEMPLATE_ADAPTER, template), sort_keys=True)
    return f"{workload[:200]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def lease_name(workload: str, uid: str, sequence: int) -> str:
    """Return the name of a workload's ``sequence``-th lease; never used twice."""
    digest = hashlib.sha256(f"{uid}/{sequence}".encode()).digest()
    alphabet = "bcdfghjklmnpqrstvwxz2456789"
    return f"{workload[:200]}-{''.join(alphabet[byte % len(alphabet)] for byte in digest[:6])}"


def outdated(revisions: Iterable[tuple[str, int]], *, used: frozenset[str]) -> tuple[str, ...]:
    """Return the revisions to delete: unused ones beyond the newest ``HISTORY``.

    ``revisions`` are (name, revision number).
    """
    newest = sorted(revisions, key=lambda each: each[1], reverse=True)
    return tuple(name for name, _ in newest[HISTORY:] if name not in used)
