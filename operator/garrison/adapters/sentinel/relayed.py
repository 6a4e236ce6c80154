"""A page of the workload's own metrics: what is relayed of it, since anybody may have written it."""

from __future__ import annotations

import re

from garrison.adapters.sentinel.page import parsed, stated
from garrison.ports.samples import MAX_RELAYED, PLACE, Labels, Sample, Samples

MAX_LINES = 4000
MAX_LINE = 1024
MAX_LABELS = 10
MAX_VALUE = 128
EXPORTED = "exported_"
"""Prometheus' prefix for a label whose name the scraper needs itself."""
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]{0,127}")
_LABEL = re.compile(r"(?!__|exported_)[A-Za-z_][A-Za-z0-9_]{0,63}")


def relayed_of(text: str) -> Samples:
    """Return the first ``MAX_RELAYED`` series of a page; every other line is counted as dropped.

    Types, help and times are not taken. A series stands once; a label of ours is renamed as
    Prometheus does; a line with a name or value that is too long, or with too many, is dropped.
    """
    lines, total = stated(text, MAX_LINES)
    taken: dict[tuple[str, Labels], Sample] = {}
    for line in lines:
        sample = _read(line) if len(line) <= MAX_LINE else None
        if sample is not None and len(taken) < MAX_RELAYED:
            taken.setdefault((sample.name, sample.labels), sample)
    return Samples(samples=tuple(taken.values()), dropped=total - len(taken))


def _read(line: str) -> Sample | None:
    found = parsed(line)
    if found is None or _NAME.fullmatch(found.name) is None:
        return None
    labels = _labels(found.labels)
    if labels is None:
        return None
    return Sample(family=found.name, name=found.name, labels=labels, value=float(found.value))


def _labels(found: dict[str, str]) -> Labels | None:
    if len(found) > MAX_LABELS:
        return None
    for name, value in found.items():
        if _LABEL.fullmatch(name) is None or len(value) > MAX_VALUE or not value.isprintable():
            return None
    return tuple(
        sorted((EXPORTED + name if name in PLACE else name, each) for name, each in found.items())
    )
