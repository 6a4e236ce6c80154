"""When to look inside a replica, against what, and what the finding leads to.

Sealed: the named files, what runs so far, and the agent, before any secret is handed over. Running: all
of it again once the model answers, and then every period. A look that fails is no finding.
"""

from __future__ import annotations

from dataclasses import replace

from garrison.api.lease import IntegrityStatus
from garrison.api.workload import Integrity
from garrison.core.integrity import Finding, Stage, is_due, jitter_of, patterns_digest
from garrison.core.lifecycle import LookInside, Observation, Step, age, entered
from garrison.core.phase import failed
from garrison.ports.sentinel import SentinelState, View

PATIENCE = 3
"""Periods without a look after which nothing is claimed any more."""


def before_start(o: Observation, view: View) -> Step | None:
    """Return what is left to do before secrets may be handed over; None when all is as it should be."""
    asked = o.integrity.asked
    if asked is None or view.state is not SentinelState.ENROLLED:
        return _unasked(o)
    return _referenced(o, asked) or _looked(o, asked, view, "Sealed")


def before_ready(o: Observation) -> Step | None:
    """Return what is left to do before a healthy replica may serve."""
    asked = o.integrity.asked
    if asked is None or not o.views:
        return None
    return _referenced(o, asked) or _looked(o, asked, o.views[0], "Running")


def while_running(o: Observation, view: View) -> Step | None:
    """Return what a serving replica's integrity needs now; None when that is nothing."""
    asked = o.integrity.asked
    if asked is None:
        return _unasked(o)
    if not _has_reference(o, asked):
        return _anew(o, asked)
    told = _told(o, asked, view, "Running") or _silent(o, asked)
    if told is not None or o.integrity.looking or not _may_try(o):
        return told
    if _fits(o, asked, view, "Running") is None or next_look(o) <= 0:
        return Step(status=o.status, action=LookInside(), requeue=o.timing.lookup)
    return None


def next_look(o: Observation) -> float:
    """Return the seconds until the next look is due, at most a period.

    One that is on its way wakes the lease up by itself; after one that failed there is a pause.
    """
    asked, finding = o.integrity.asked, o.integrity.finding
    if asked is None or o.integrity.looking:
        return o.timing.watch
    if not _may_try(o):
        return o.timing.look_retry - age(o.integrity.tried_at, o.now)
    if finding is None:
        return float(asked.every_seconds)
    jitter = jitter_of(o.lease.meta.uid)
    if is_due(finding.at, asked.every_seconds, jitter, o.now):
        return 0.0
    return asked.every_seconds * (0.9 + 0.1 * jitter) - age(finding.at, o.now)


def _unasked(o: Observation) -> Step | None:
    """What nobody asks for any more is not claimed any more."""
    if o.integrity.asked is not None or o.status.integrity is None:
        return None
    return Step(status=replace(o.status, integrity=None), requeue=0.0)


def _has_reference(o: Observation, asked: Integrity) -> bool:
    record = o.status.integrity
    return record is not None and record.patterns == patterns_digest(asked.paths)


def _referenced(o: Observation, asked: Integrity) -> Step | None:
    """Decide once what is compared with: the image, or the first look where that cannot be had."""
    if _has_reference(o, asked):
        return None
    waited = age(entered(o.status, "Verifying"), o.now)
    late = waited > o.timing.reference_timeout
    record = _reference(o, asked, late=late)
    if record is None:
        return Step(status=o.status, requeue=o.timing.lookup)
    return Step(status=replace(o.status, integrity=record), requeue=0.0)


def _reference(o: Observation, asked: Integrity, *, late: bool) -> IntegrityStatus | None:
    known = o.integrity
    patterns = patterns_digest(asked.paths)
    if known.image:
        return IntegrityStatus(reference="Image", reference_digest=known.image, patterns=patterns)
    if late or known.hopeless:
        why = (
            known.image_error or f"its layers were not read within {o.timing.reference_timeout:g} s"
        )
        return IntegrityStatus(
            reference="FirstStart", reference_message=why[:512], patterns=patterns
        )
    return None


def _anew(o: Observation, asked: Integrity) -> Step | None:
    """Other paths were asked for while it serves: the old verdict is not theirs."""
    began = age(entered(o.status, "Ready"), o.now)
    record = _reference(o, asked, late=began > o.timing.reference_timeout)
    if record == o.status.integrity:
        return None
    return Step(status=replace(o.status, integrity=record), requeue=0.0)


def _fits(o: Observation, asked: Integrity, view: View, stage: Stage) -> Finding | None:
    """The newest finding, if it is of this instance, these paths and this stage."""
    found = o.integrity.finding
    wanted = (view.instance, patterns_digest(asked.paths), stage)
    if found is None or (found.instance, found.patterns, found.stage) != wanted:
        return None
    return None if _is_silent(o, asked) else found


def _is_silent(o: Observation, asked: Integrity) -> bool:
    return age(o.integrity.failing_since, o.now) > PATIENCE * asked.every_seconds


def _looked(o: Observation, asked: Integrity, view: View, stage: Stage) -> Step | None:
    told = _told(o, asked, view, stage)
    if told is not None:
        return told
    record = o.status.integrity
    known = record is not None and (record.instance, record.stage) == (view.instance, stage)
    if record is not None and known and record.state != "Unknown":
        return _drifted(o, asked, record)
    waited = age(entered(o.status, "Verifying"), o.now)
    if waited > o.timing.look_timeout and o.integrity.error:
        return _unknown(o)
    if o.integrity.looking or not _may_try(o):
        return Step(status=o.status, requeue=o.timing.lookup)
    return Step(status=o.status, action=LookInside(), requeue=o.timing.lookup)


def _may_try(o: Observation) -> bool:
    known = o.integrity
    return not known.error or age(known.tried_at, o.now) >= o.timing.look_retry


def _told(o: Observation, asked: Integrity, view: View, stage: Stage) -> Step | None:
    """Write a finding down where it says something new."""
    found, record = _fits(o, asked, view, stage), o.status.integrity
    if found is None or record is None:
        return None
    said = _said(record, found)
    if said == record:
        return _drifted(o, asked, record)
    said = replace(said, checked_at=found.at.replace(microsecond=0))
    status = replace(o.status, integrity=said)
    ended = _drifted(replace(o, lease=replace(o.lease, status=status)), asked, said)
    return ended or Step(status=status, requeue=0.0)


def _said(record: IntegrityStatus, found: Finding) -> IntegrityStatus:
    first = record.reference == "FirstStart" and not record.reference_digest
    return replace(
        record,
        reference_digest=found.digest if first else record.reference_digest,
        state=found.state,
        stage=found.stage,
        instance=found.instance,
        drifted=found.drifted,
        unexplained=found.unexplained,
        truncated=found.truncated,
        message=found.message[:1024],
    )


def _drifted(o: Observation, asked: Integrity, record: IntegrityStatus) -> Step | None:
    """Before the start nothing was handed over yet: there is nothing to weigh."""
    replaces = asked.on_drift == "Replace" or record.stage == "Sealed"
    if record.state != "Drifted" or not replaces:
        return None
    message = (
        f"what is inside at {o.status.provider} is not what {_reference_name(record)} says: "
        f"{', '.join(record.drifted)}"
    )
    status = failed(o.status, "IntegrityDrift", message, "Provider", o.now)
    return Step(status=status, requeue=0.0)


def _reference_name(record: IntegrityStatus) -> str:
    return "the image" if record.reference == "Image" else "the first start"


def _unknown(o: Observation) -> Step:
    message = (
        f"no look inside succeeded at {o.status.provider} within {o.timing.look_timeout:.0f} s "
        f"(last: {o.integrity.error}); if spec.integrity.paths name very many or very large files, "
        "name fewer"
    )
    status = failed(o.status, "IntegrityUnknown", message, "Undecided", o.now)
    return Step(status=status, requeue=0.0)


def _silent(o: Observation, asked: Integrity) -> Step | None:
    """After a while without a look nothing is claimed; the sentinel's silence is judged elsewhere."""
    record = o.status.integrity
    if record is None or record.state != "Verified" or not _is_silent(o, asked):
        return None
    unknown = replace(
        record,
        state="Unknown",
        checked_at=o.now.replace(microsecond=0),
        message=f"no look inside succeeds: {o.integrity.error}"[:1024],
    )
    return Step(status=replace(o.status, integrity=unknown), requeue=0.0)
