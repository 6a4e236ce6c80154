"""Looks inside replicas, in the background, one per lease, each compared as soon as it is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from garrison.api.meta import LEASE, Key
from garrison.api.workload import Integrity
from garrison.controllers.references import Reading, References, wanted_of
from garrison.controllers.sentinels import Sentinels
from garrison.core.integrity import (
    Baseline,
    Finding,
    Stage,
    Standing,
    extended,
    files_digest,
    judge,
    known_readable,
    learned,
    refused,
    unrecognised,
)
from garrison.core.lifecycle import Observation
from garrison.core.variant import variant
from garrison.errors import AuthError, UnavailableError
from garrison.ports.clock import Clock
from garrison.ports.sentinel import Evidence, SentinelState
from garrison.runtime.jobs import Jobs, Result

LOOK = "attestation"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the looks at one replica have shown."""

    finding: Finding | None = None
    error: str = ""
    tried_at: datetime | None = None
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _First:
    """What the first look found: kept in memory, its digest in the lease's status."""

    patterns: str
    baseline: Baseline
    ran: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the looks at one instance could see so far: who hides something later has changed it.

    ``whole``: in this stage one of them was within its bounds.
    """

    instance: str
    stage: Stage
    readable: frozenset[str] = frozenset()
    whole: bool = False


class Attestations:
    """One per operator; keyed by lease; holds only what the next look finds again."""

    def __init__(
        self, *, jobs: Jobs, references: References, sentinels: Sentinels, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._references = references
        self._sentinels = sentinels
        self._clock = clock
        self._known: dict[Key, _Known] = {}
        self._first: dict[Key, _First] = {}
        self._seen: dict[Key, _Seen] = {}

    def forget(self, key: Key) -> None:
        """Drop what is remembered about a lease."""
        self._known.pop(key, None)
        self._first.pop(key, None)
        self._seen.pop(key, None)

    def observe(self, o: Observation, asked: Integrity | None) -> Observation:
        """Return the observation with the newest finding, and how far the image has been read."""
        if asked is None or o.template is None:
            return o
        key = _key(o)
        known = self._folded(key)
        reading = self._reading(o, asked)
        return variant(
            o,
            integrity=Standing(
                asked=asked,
                image=reading.contents.digest if reading.contents is not None else "",
                image_error=reading.error,
                hopeless=reading.hopeless,
                finding=known.finding,
                looking=self._jobs.running(key, LOOK),
                error=known.error,
                tried_at=known.tried_at,
                failing_since=known.failing_since,
            ),
        )

    def _reading(self, o: Observation, asked: Integrity) -> Reading:
        assert o.template is not None  # noqa: S101 - observe() saw it
        wanted = wanted_of(o.lease.meta.namespace, o.template, asked.paths)
        return self._references.reading(_key(o), wanted)

    def _folded(self, key: Key) -> _Known:
        known = self._known.get(key, _Known())
        result = self._jobs.take(key, LOOK)
        if result is not None:
            known = self._known[key] = _advanced(known, result, self._clock.now())
        return known

    def look(self, o: Observation) -> None:
        """Start a look inside unless one is on its way."""
        key = _key(o)
        if not self._jobs.running(key, LOOK):
            self._jobs.start(key, LOOK, lambda: self._look(o))

    async def _look(self, o: Observation) -> Finding:
        asked, record = o.integrity.asked, o.status.integrity
        if asked is None or record is None or not o.views:
            raise UnavailableError("nothing to look at any more")
        stage: Stage = "Sealed" if o.views[0].state is SentinelState.ENROLLED else "Running"
        try:
            evidence = await self._sentinels.attest(o, asked.paths)
        except AuthError as error:
            if error.reason != "EvidenceRefused":
                raise
            instance = o.views[0].instance
            return refused(instance, asked.paths, stage, str(error), self._clock.now())
        baseline = self._baseline(o, asked, evidence, stage)
        now = self._clock.now()
        if baseline is None:
            return unrecognised(evidence, asked.paths, stage, now)
        seen = self._seen_of(_key(o), evidence.instance, stage)
        finding = judge(
            baseline,
            evidence,
            asked.paths,
            sentinel=_injected(o),
            stage=stage,
            now=now,
            readable=seen.readable,
        )
        if evidence.truncated and seen.whole and not finding.drifted:
            raise UnavailableError("it met its bounds, which no look before did")
        self._seen[_key(o)] = replace(
            seen,
            readable=seen.readable | known_readable(baseline, evidence),
            whole=seen.whole or not evidence.truncated,
        )
        return finding

    def _seen_of(self, key: Key, instance: str, stage: Stage) -> _Seen:
        known = self._seen.get(key)
        if known is None or known.instance != instance:
            return _Seen(instance=instance, stage=stage)
        return known if known.stage == stage else replace(known, stage=stage, whole=False)

    def _baseline(
        self, o: Observation, asked: Integrity, evidence: Evidence, stage: Stage
    ) -> Baseline | None:
        """What this look is compared with; None when only a digest is left, and it is another one."""
        record = o.status.integrity
        assert record is not None  # noqa: S101 - _look() saw it
        if record.reference == "Image":
            contents = self._reading(o, asked).contents
            if contents is None:
                raise UnavailableError("the image's layers are being read again")
            return Baseline(files=contents.files, named=contents.named, complete=True)
        first = self._first.get(_key(o))
        if first is None or first.patterns != record.patterns:
            if record.reference_digest not in {"", files_digest(evidence.files)}:
                return None
            first = _First(patterns=record.patterns, baseline=learned(evidence), ran=False)
        if stage == "Running" and not first.ran:
            first = replace(first, baseline=extended(first.baseline, evidence), ran=True)
        self._first[_key(o)] = first
        return first.baseline


def _injected(o: Observation) -> str:
    return o.lease.spec.sentinel.digest if o.lease.spec.sentinel is not None else ""


def _advanced(known: _Known, result: Result, now: datetime) -> _Known:
    if isinstance(result.value, Finding):
        return _Known(finding=result.value, tried_at=now)
    return _Known(
        finding=known.finding,
        error=str(result.error) or type(result.error).__name__,
        tried_at=now,
        failing_since=known.failing_since or now,
    )


def _key(o: Observation) -> Key:
    return Key(kind=LEASE.kind, namespace=o.lease.meta.namespace, name=o.lease.meta.name)
