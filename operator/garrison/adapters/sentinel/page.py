"""A page of metrics that a hostile machine may have written: what is taken of it, and what is not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise

from prometheus_client.core import Sample as Parsed
from prometheus_client.parser import text_string_to_metric_families

from garrison.ports.samples import FAMILIES, Family, Labels, Sample, Samples

PREFIX = "garrison_sentinel_"
MAX_LINES = 2000
MAX_LINE = 1024
MAX_VALUE = 1e18
_SUFFIXES = ("_bucket", "_sum", "_count")
_FORMS = {
    "direction": r"in|out",
    "destination": r"[A-Za-z0-9._:*-]{1,253}",
    "address": r"[0-9A-Fa-f.:]{0,45}",
    "port": r"[0-9]{1,5}",
    "protocol": r"[a-z0-9]{1,16}",
    "reason": r"[A-Za-z0-9 _-]{0,64}",
    "gpu": r"[0-9]{1,3}",
    "uuid": r"[A-Za-z0-9-]{0,64}",
    "le": r"[0-9]{1,6}(\.[0-9]{1,6})?|\+Inf",
}
_FORM = {name: re.compile(form) for name, form in _FORMS.items()}
_BY_NAME = {
    each.sent_as + suffix: (each, suffix)
    for each in FAMILIES
    for suffix in (_SUFFIXES if each.kind == "histogram" else ("",))
}


def samples_of(text: str) -> Samples:
    """Return what a page says in the closed list of families; every other line is counted as dropped.

    A value is finite, not negative and at most ``MAX_VALUE``; a series stands once; a family has
    at most its limit of series; a histogram is whole and its buckets do not shrink.
    """
    lines, total = stated(text)
    taken: dict[tuple[str, Labels], Sample] = {}
    counts: dict[str, int] = {}
    for sample, limit in _known(lines):
        slot = (sample.name, sample.labels)
        if slot in taken or counts.get(sample.name, 0) >= limit:
            continue
        counts[sample.name] = counts.get(sample.name, 0) + 1
        taken[slot] = sample
    broken = {each.name for each in FAMILIES if each.kind == "histogram"} - _whole(taken)
    kept = tuple(each for each in taken.values() if each.family not in broken)
    return Samples(samples=kept, dropped=total - len(kept))


def stated(text: str, limit: int = MAX_LINES) -> tuple[list[str], int]:
    """Return the first lines of a page that say something, at most ``limit``, and how many do."""
    lines: list[str] = []
    total = 0
    for line in StringIO(text):
        if line.strip() and not line.startswith("#"):
            total += 1
            if total <= limit:
                lines.append(line.rstrip("\n"))
    return lines, total


def parsed(line: str) -> Parsed | None:
    """Return the one sample of a line, with a value that a float can hold; None for anything else."""
    try:
        families = list(text_string_to_metric_families(line))
        samples = [each for family in families for each in family.samples]
        float(samples[0].value)
    except (ValueError, IndexError, KeyError, OverflowError):
        return None
    return samples[0] if len(samples) == 1 else None


def _known(lines: list[str]) -> Iterator[tuple[Sample, int]]:
    for line in lines:
        found = _read(line) if len(line) <= MAX_LINE else None
        if found is not None:
            name, labels, value = found
            family, suffix = _BY_NAME[name]
            sample = Sample(
                family=family.name,
                name=family.name + suffix,
                labels=labels,
                value=value * family.scale,
            )
            yield sample, family.limit


def _read(line: str) -> tuple[str, Labels, float] | None:
    """Return the name without its prefix, the labels in the family's order, and the value."""
    found = parsed(line)
    if found is None:
        return None
    name = found.name.removeprefix(PREFIX)
    if name not in _BY_NAME or not found.name.startswith(PREFIX):
        return None
    labels = _labels(*_BY_NAME[name], found.labels)
    value = float(found.value)
    if labels is None or not math.isfinite(value) or not 0 <= value <= MAX_VALUE:
        return None
    return name, labels, value


def _labels(family: Family, suffix: str, found: dict[str, str]) -> Labels | None:
    wanted = ("le",) if suffix == "_bucket" else family.labels
    if set(found) != set(wanted):
        return None
    if any(_FORM[name].fullmatch(found[name]) is None for name in wanted):
        return None
    return tuple((name, found[name]) for name in wanted)


def _whole(taken: dict[tuple[str, Labels], Sample]) -> set[str]:
    """Return the histograms whose parts are all there and fit together."""
    names = [each.name for each in FAMILIES if each.kind == "histogram"]
    return {name for name in names if _is_whole(name, taken)}


def _is_whole(name: str, taken: dict[tuple[str, Labels], Sample]) -> bool:
    buckets = [each for each in taken.values() if each.name == f"{name}_bucket"]
    ordered = sorted((float(each.labels[0][1]), each.value) for each in buckets)
    count = taken.get((f"{name}_count", ()))
    return (
        bool(ordered)
        and count is not None
        and (f"{name}_sum", ()) in taken
        and ordered[-1] == (math.inf, count.value)
        and all(before[1] <= after[1] for before, after in pairwise(ordered))
    )
