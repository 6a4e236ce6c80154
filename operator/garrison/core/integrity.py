"""Whether what is inside a replica is what its reference says, and when to look again.

The reference is the image's own layers, or else what the first look found. Hashes come from the agent
in the container: an intruder, a bad roll-out and drift show; a provider that owns the machine can
answer whatever it likes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Literal

from garrison.api.workload import Integrity
from garrison.ports.sentinel import Evidence

MAX_DRIFTED = 20
MAX_UNEXPLAINED = 10
UNREADABLE = "unreadable"
"""What the agent says of a file that it could not hash."""
DELETED = " (deleted)"
"""What Linux adds to the path of a mapped file that is gone."""
RUNTIME = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab"})
"""What every container runtime writes: no image explains it."""
_DRIVER = re.compile(
    r"/(usr/(local/nvidia/)?)?(lib|lib32|lib64|lib/[a-z0-9_]+-linux-gnu|bin)/"
    r"((firmware|vdpau|nvidia)/)?"
    r"(lib(nvidia|cuda|nvcuvid|nvoptix|vdpau_nvidia|GLX?_nvidia|EGL_nvidia|GLESv[12]_nvidia|cudadebugger)"
    r"[^/]*\.so[^/]*|nvidia-[a-z0-9-]+)"
)
"""Driver files that NVIDIA's container toolkit mounts from the machine."""

Stage = Literal["Sealed", "Running"]
State = Literal["Verified", "Drifted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What should be inside: SHA-256 (hex) by path; ``named`` are the paths that were asked for.

    ``complete``: a program that is not in it has no business there, which only an image can say.
    """

    files: Mapping[str, str] = field(repr=False)
    named: frozenset[str] = field(repr=False)
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One look, compared. ``digest`` is that of the named files as they were found."""

    instance: str
    stage: Stage
    patterns: str
    at: datetime
    state: State
    digest: str
    drifted: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()
    truncated: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a pass knows of a replica's integrity. ``asked`` None: nobody wants to know.

    ``image`` is the digest of the image once its layers have been read; ``image_error`` says why
    they have not been, ``hopeless`` that trying again is useless. ``looking``: a look is on its way.
    """

    asked: Integrity | None = None
    image: str = ""
    image_error: str = ""
    hopeless: bool = False
    finding: Finding | None = None
    looking: bool = False
    error: str = ""
    tried_at: datetime | None = None
    failing_since: datetime | None = None


def learned(evidence: Evidence) -> Baseline:
    """Return what one look found, as the reference for later ones."""
    files = {**evidence.libraries, **evidence.executables, **evidence.files}
    return Baseline(files=files, named=frozenset(evidence.files), complete=False)


def extended(baseline: Baseline, evidence: Evidence) -> Baseline:
    """Return the baseline with the programs and libraries that it does not know yet."""
    files = {**evidence.libraries, **evidence.executables, **baseline.files}
    return Baseline(files=files, named=baseline.named, complete=False)


def unrecognised(
    evidence: Evidence, patterns: tuple[str, ...], stage: Stage, now: datetime
) -> Finding:
    """Return the finding for files that are not those of the first look, of which a digest is left."""
    return Finding(
        instance=evidence.instance,
        stage=stage,
        patterns=patterns_digest(patterns),
        at=now,
        state="Drifted",
        digest=files_digest(evidence.files),
        drifted=("the named files (which ones is not known: the operator was restarted since)",),
    )


def refused(
    instance: str, patterns: tuple[str, ...], stage: Stage, why: str, now: datetime
) -> Finding:
    """Return the finding for an answer under another nonce, or with a proof that is wrong."""
    return Finding(
        instance=instance,
        stage=stage,
        patterns=patterns_digest(patterns),
        at=now,
        state="Drifted",
        digest="",
        drifted=(printable(f"the answer itself: {why}"),),
    )


@lru_cache(maxsize=4096)
def patterns_digest(patterns: tuple[str, ...]) -> str:
    """Return the SHA-256 (hex) of the paths that are asked for: other paths, another reference."""
    return hashlib.sha256(json.dumps(list(patterns)).encode()).hexdigest()


def files_digest(files: Mapping[str, str]) -> str:
    """Return the SHA-256 (hex) of paths and their digests."""
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()


def is_due(last: datetime | None, every_seconds: int, jitter: float, now: datetime) -> bool:
    """Return whether to look again: after nine tenths to ten tenths of the period.

    ``jitter`` is from 0 to 1, a lease's own: not all of them hash at once.
    """
    wait = every_seconds * (0.9 + 0.1 * jitter)
    return last is None or (now - last).total_seconds() >= wait


def jitter_of(uid: str) -> float:
    """Return a lease's own part of the period, from 0 to 1."""
    return hashlib.sha256(uid.encode()).digest()[0] / 255


def judge(
    baseline: Baseline,
    evidence: Evidence,
    patterns: tuple[str, ...],
    *,
    sentinel: str,
    stage: Stage,
    now: datetime,
    readable: frozenset[str] = frozenset(),
) -> Finding:
    """Return what one look amounts to. ``sentinel`` is the digest of the agent that was injected.

    ``readable`` are paths that an earlier look at this instance could hash.
    """
    drifted = [] if evidence.sentinel == sentinel else ["the sentinel itself"]
    drifted += sorted(
        {*_files(baseline, evidence), *_running(baseline, evidence), *_hidden(evidence, readable)}
    )
    unexplained = list(_unexplained(baseline, evidence))
    if baseline.complete:
        drifted += [each for each in _programs(baseline, evidence) if each not in drifted]
    return Finding(
        instance=evidence.instance,
        stage=stage,
        patterns=patterns_digest(patterns),
        at=now,
        state="Drifted" if drifted else "Verified",
        digest=files_digest(evidence.files),
        drifted=tuple(map(printable, drifted[:MAX_DRIFTED])),
        unexplained=tuple(map(printable, unexplained[:MAX_UNEXPLAINED])),
        truncated=evidence.truncated
        or len(drifted) > MAX_DRIFTED
        or len(unexplained) > MAX_UNEXPLAINED
        or any(UNREADABLE in each.values() for each in _hashes(evidence)),
        message=_without_files(evidence.missing),
    )


def _hashes(evidence: Evidence) -> tuple[Mapping[str, str], ...]:
    return (evidence.files, evidence.executables, evidence.libraries)


def _files(baseline: Baseline, evidence: Evidence) -> Iterator[str]:
    """Named files that are others, that came, or that went."""
    for path, found in evidence.files.items():
        wanted = baseline.files.get(path)
        if path in RUNTIME:
            continue
        if wanted is None:
            yield f"{path} (added)"
        elif found not in {wanted, UNREADABLE}:
            yield path
    if evidence.truncated:
        return
    for path in baseline.named:
        if path not in evidence.files and path not in RUNTIME:
            yield f"{path} (missing)"


def known_readable(baseline: Baseline, evidence: Evidence) -> frozenset[str]:
    """Return the paths that a look could hash, of those that can be judged."""
    return frozenset(
        path
        for each in _hashes(evidence)
        for path, found in each.items()
        if found != UNREADABLE and path in baseline.files
    )


def _hidden(evidence: Evidence, readable: frozenset[str]) -> Iterator[str]:
    """What can be hashed no more; where a look met its bounds, that may be why."""
    if evidence.truncated:
        return
    for each in _hashes(evidence):
        for path, found in each.items():
            if found == UNREADABLE and path in readable:
                yield f"{path} (not readable any more)"


def _running(baseline: Baseline, evidence: Evidence) -> Iterator[str]:
    """Programs and libraries that are known under their path and are others."""
    for path, found in {**evidence.libraries, **evidence.executables}.items():
        wanted = baseline.files.get(path)
        if wanted is not None and found not in {wanted, UNREADABLE} and not _is_driver(path):
            yield path


def _programs(baseline: Baseline, evidence: Evidence) -> list[str]:
    """Running programs that no file of the image is."""
    return sorted(
        f"{path} (not in the image)"
        for path in evidence.executables
        if path not in baseline.files and not _is_driver(path)
    )


def _unexplained(baseline: Baseline, evidence: Evidence) -> Iterator[str]:
    """What runs and is not known, programs first; and what was started from outside the container."""
    yield from sorted(
        {
            f"{each.executable or each.name or 'a process'} (uid {each.uid})"
            for each in evidence.processes
            if _is_strange(baseline, each.executable)
        }
    )
    yield from sorted(
        {
            f"{each.executable or each.name or 'a process'} (entered from outside)"
            for each in evidence.processes
            if each.parent == 0 and each.pid != 1
        }
    )
    yield from sorted(
        path
        for path in evidence.libraries
        if path not in baseline.files and not _is_driver(path) and not path.startswith("/dev/")
    )


def _is_strange(baseline: Baseline, path: str) -> bool:
    return path not in baseline.files and not _is_driver(path)


def _is_driver(path: str) -> bool:
    return _DRIVER.fullmatch(path) is not None


def _without_files(missing: Sequence[str]) -> str:
    return f"no file matches {', '.join(map(printable, missing[:5]))}" if missing else ""


def printable(text: str) -> str:
    """Return a path as it may stand in a status: bounded, and nothing that moves a cursor."""
    kept = "".join(each if each.isprintable() else "?" for each in text)
    return kept if len(kept) <= 253 else f"{kept[:250]}..."
