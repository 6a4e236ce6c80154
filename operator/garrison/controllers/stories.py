"""The Events that tell an object's story: one at each transition, with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from garrison.api.account import Account, AccountStatus
from garrison.api.lease import Lease, LeaseStatus
from garrison.api.meta import ACCOUNT, LEASE, WORKLOAD, Condition, Key, Meta, condition
from garrison.api.workload import Blame, Workload, WorkloadStatus
from garrison.controllers.mining import mining_notes
from garrison.core.benchmark import miss_reason, remedy
from garrison.core.egress import still_connected
from garrison.core.treasury import FUNDED
from garrison.core.winding import RELEASED
from garrison.ports.kube import Note

REFERENCES = {"Image": "the image", "FirstStart": "the first start"}
FOLLOWS: Mapping[Blame, str] = {
    "Provider": "this provider is left alone for a while, another one is tried",
    "Undecided": "another provider is tried; if it fails there too, the revision is to blame: fix "
    "image, command, args or thresholds",
    "Revision": "the revision is to blame: fix image, command, args or thresholds",
    "Nobody": "tried again, with growing pauses",
}
"""What is done about a failed replica, by who is blamed, and what a person may do."""
WARNED = ("Ready", "Funded", "Runway", "WithinLimits")
"""Conditions of an account that keep workloads from serving, or soon will."""
PASSING = frozenset({"Progressing", "CheckingImage"})
QUIET = frozenset({"Pending", "Ordering", "Leasing"})


def _note(
    kind: str, meta: Meta, type_: Literal["Normal", "Warning"], reason: str, message: str
) -> Note:
    key = Key(kind=kind, namespace=meta.namespace, name=meta.name)
    return Note(about=key, uid=meta.uid, type=type_, reason=reason, message=message[:1000])


def lease_notes(lease: Lease, after: LeaseStatus) -> tuple[Note, ...]:
    """Return the Events of one pass over a lease."""
    before = lease.status
    if after.failure is not None and before.failure is None:
        failure = after.failure
        return (_note(LEASE.kind, lease.meta, "Warning", failure.reason, failure.message),)
    noticed = (
        *_money(lease, after),
        *_busy(lease, after),
        *_mining(lease, after),
        *_entered(lease, after),
        *_connected(lease, after),
        *_inside(lease.meta, before, after),
        *_reclaimed(lease, after),
        *_remeasured(lease, after),
    )
    if after.phase == before.phase or after.phase in QUIET:
        return noticed
    return (_note(LEASE.kind, lease.meta, "Normal", after.phase, _tells(after)), *noticed)


def _busy(lease: Lease, after: LeaseStatus) -> tuple[Note, ...]:
    """The Event at each beginning of being busy while nobody asks."""
    before, now = lease.status.busy_while_idle, after.busy_while_idle
    if now is None or now.until is not None or (before is not None and before.times == now.times):
        return ()
    message = (
        f"busy since {now.since:%H:%M:%S} UTC ({now.message}) though no request came: what runs there? "
        f"garrison shell iw/{lease.spec.workload} and garrison logs show it, garrison connectivity and "
        "denied mining pools (status.egress.denied) where it wants to go; delete the lease to replace it"
    )
    return (_note(LEASE.kind, lease.meta, "Warning", "BusyWhileIdle", message),)


def _mining(lease: Lease, after: LeaseStatus) -> tuple[Note, ...]:
    """The Event for a mining pool where no EgressPolicy tells of it."""
    if after.egress is None or after.egress.policy is not None:
        return ()
    return mining_notes(
        LEASE.kind,
        lease.meta,
        before=lease.status.egress.denied if lease.status.egress is not None else (),
        after=after.egress.denied,
        audits=after.egress.mode == "Audit",
    )


def _entered(lease: Lease, after: LeaseStatus) -> tuple[Note, ...]:
    """The Event for each program that was started beside the guard."""
    before, now = lease.status.sentinel, after.sentinel
    known = before.entered if before is not None and now is not None else ()
    fresh = [each for each in (now.entered if now is not None else ()) if each not in known]
    if not fresh:
        return ()
    message = (
        f"{', '.join(fresh)} at {after.provider} was started from outside the container, as a shell "
        "through the provider's gateway is: no egress policy holds it. If that was not one of you, "
        f"replace the account's key, and delete lease {lease.meta.name} to get another replica; use "
        f"garrison shell iw/{lease.spec.workload}, which is under the guard"
    )
    return (_note(LEASE.kind, lease.meta, "Warning", "EnteredFromOutside", message),)


def _connected(lease: Lease, after: LeaseStatus) -> tuple[Note, ...]:
    """The Event when connections begin to live on that the policy denies, and when they are gone."""
    before, now = still_connected(lease.status.egress), still_connected(after.egress)
    if bool(before) == bool(now):
        return ()
    if not now:
        message = "every connection that the egress policy denies is closed"
        return (_note(LEASE.kind, lease.meta, "Normal", "ConnectionsClosed", message),)
    message = (
        f"{now}: the guard at {after.provider} cannot reach the sockets, as when a program sends one "
        "to another and it has not been received; it tries again every second. If that lasts, look at "
        f"what runs there by garrison shell iw/{lease.spec.workload}, and delete lease "
        f"{lease.meta.name} to get another replica"
    )
    return (_note(LEASE.kind, lease.meta, "Warning", "StillConnected", message),)


def _money(lease: Lease, after: LeaseStatus) -> tuple[Note, ...]:
    """One Event for each top-up, and one when the escrow can no longer be kept filled."""
    old, new = condition(lease.status.conditions, FUNDED), condition(after.conditions, FUNDED)
    notes = []
    if new is not None and new.status == "False" and (old is None or old.reason != new.reason):
        notes.append(_note(LEASE.kind, lease.meta, "Warning", new.reason, new.message))
    done = after.escrow.top_up if after.escrow is not None else None
    known = lease.status.escrow.top_up if lease.status.escrow is not None else None
    if done is not None and done.outcome == "Deposited" and done != known:
        message = f"{done.amount} $ added to the escrow"
        notes.append(_note(LEASE.kind, lease.meta, "Normal", "ToppedUp", message))
    return tuple(notes)


def _reclaimed(lease: Lease, after: LeaseStatus) -> tuple[Note, ...]:
    """The Event for a provider's notice that it takes its hardware back."""
    deadline = after.reclaim_deadline
    if deadline is None or deadline == lease.status.reclaim_deadline:
        return ()
    message = (
        f"{after.provider} takes its hardware back by {deadline:%Y-%m-%d %H:%M:%S} UTC; this replica "
        "serves until a successor is Ready, which is being ordered. If none comes, look at the "
        "account's ceilings and the policy"
    )
    return (_note(LEASE.kind, lease.meta, "Warning", "ReclaimNotice", message),)


def _remeasured(lease: Lease, after: LeaseStatus) -> tuple[Note, ...]:
    """The Event when a repeated benchmark of a replica that serves fails, and when one passes again."""
    before, now = lease.status.benchmark, after.benchmark
    if now is None or lease.status.phase != "Ready":
        return ()
    if now.passed == (before is None or before.passed):
        return ()
    if now.passed:
        message = f"passes its benchmark again{_figures(after)}"
        return (_note(LEASE.kind, lease.meta, "Normal", "BenchmarkPassed", message),)
    message = f"{now.message[:500]} at {after.provider}: {remedy(now)}"
    return (_note(LEASE.kind, lease.meta, "Warning", miss_reason(now), message),)


def _inside(meta: Meta, before: LeaseStatus, after: LeaseStatus) -> tuple[Note, ...]:
    """What a look inside has found anew."""
    old, new = before.integrity, after.integrity
    if new is None or new == old:
        return ()
    notes = []
    if new.state == "Drifted" and (old is None or old.drifted != new.drifted):
        message = (
            f"not as it should be at {after.provider}: {', '.join(new.drifted)}; find out who changed "
            "it (garrison shell is under the guard), and delete the lease to get another replica, or "
            "set spec.integrity.onDrift: Replace"
        )
        notes.append(_note(LEASE.kind, meta, "Warning", "IntegrityDrift", message))
    if new.state == "Verified" and old is not None and old.state == "Drifted":
        message = "what is inside is as it should be again"
        notes.append(_note(LEASE.kind, meta, "Normal", "IntegrityVerified", message))
    strange = [each for each in new.unexplained if old is None or each not in old.unexplained]
    if strange:
        message = (
            f"at {after.provider} runs what {REFERENCES[new.reference]} does not explain: "
            f"{', '.join(strange)}; compilers and caches make libraries of their own, anything else "
            "is worth a look by garrison shell"
        )
        notes.append(_note(LEASE.kind, meta, "Warning", "Unexplained", message))
    return tuple(notes)


def _tells(status: LeaseStatus) -> str:
    match status.phase:
        case "Bidding":
            deployment = status.deployment.id if status.deployment else "?"
            return f"order {deployment} is posted; collecting bids"
        case "Deploying":
            return f"leased from {status.provider} ({status.region}) at {status.price_per_hour} $/h"
        case "Enrolling":
            return (
                "the container's ports are forwarded; checking who answers, then the sealed start"
            )
        case "Verifying":
            return "waiting for the model to answer"
        case "Benchmarking":
            return "the model answers; measuring it"
        case "Ready":
            return f"serves from {status.provider}{_figures(status)}"
        case "Draining":
            return "leaves the traffic; existing connections finish"
        case "Closing":
            return "closing the deployment on the market"
        case _:
            return _ended(status)


def _ended(status: LeaseStatus) -> str:
    """What is true of the money at the end: only a verified close ends the rent."""
    if status.closed_at is None:
        return f"now {status.phase}"
    if status.close_reason == RELEASED:
        number = status.deployment.id if status.deployment else "?"
        return (
            f"let go, not closed: deployment {number} runs on and is paid (deletionPolicy: Orphan); "
            "the account lists it in status.released, and whoever wants it to end closes it on the market"
        )
    if status.deployment is None:
        return "nothing is open on the market; nothing is paid"
    return "closed on the market, verified; nothing is paid any more"


def _figures(status: LeaseStatus) -> str:
    if status.benchmark is None:
        return ""
    return (
        f": {status.benchmark.tokens_per_second} tokens/s, first token after "
        f"{status.benchmark.time_to_first_token_milliseconds} ms"
    )


def workload_notes(workload: Workload, after: WorkloadStatus) -> tuple[Note, ...]:
    """Return the Events of one pass over a workload."""
    before = workload.status
    notes = [
        *_revision(workload, after),
        *_failures(workload, after),
        *_stalled(workload, after),
        *_waits(workload, after),
        *_drifted(workload, after),
        *_shared(workload, after),
    ]
    old, new = condition(before.conditions, "Ready"), condition(after.conditions, "Ready")
    if new is not None and new.status == "True" and (old is None or old.status != "True"):
        notes.append(_note(WORKLOAD.kind, workload.meta, "Normal", "Ready", new.message))
    return tuple(notes)


def _shared(workload: Workload, after: WorkloadStatus) -> list[Note]:
    """One warning when providers begin to receive a registry login."""
    old = condition(workload.status.conditions, "PullSecretsShared")
    new = condition(after.conditions, "PullSecretsShared")
    if new is None or (old is not None and old.message == new.message):
        return []
    return [_note(WORKLOAD.kind, workload.meta, "Warning", new.reason, new.message)]


def _drifted(workload: Workload, after: WorkloadStatus) -> list[Note]:
    old = condition(workload.status.conditions, "IntegrityVerified")
    new = condition(after.conditions, "IntegrityVerified")
    if new is None or new.status != "False" or (old is not None and old.message == new.message):
        return []
    return [_note(WORKLOAD.kind, workload.meta, "Warning", "IntegrityDrift", new.message)]


def _revision(workload: Workload, after: WorkloadStatus) -> list[Note]:
    if after.accepted_revision in {None, workload.status.accepted_revision}:
        return []
    message = f"revision {after.accepted_revision} is accepted; image {after.image}"
    return [_note(WORKLOAD.kind, workload.meta, "Normal", "RevisionAccepted", message)]


def _failures(workload: Workload, after: WorkloadStatus) -> list[Note]:
    known = {each.lease for each in workload.status.failures}
    return [
        _note(
            WORKLOAD.kind,
            workload.meta,
            "Warning",
            "ReplicaFailed",
            f"replica at {each.provider or 'no provider'}: {each.reason}: {each.message}; "
            f"{FOLLOWS[each.blame]}",
        )
        for each in after.failures
        if each.lease not in known
    ]


def _waits(workload: Workload, after: WorkloadStatus) -> list[Note]:
    """One warning when something keeps replicas away that a person can do something about.

    A failed replica has an Event of its own.
    """
    old = condition(workload.status.conditions, "Reconciling")
    new = condition(after.conditions, "Reconciling")
    known = PASSING | {each.reason for each in after.failures}
    if new is None or new.reason in known or (old is not None and old.reason == new.reason):
        return []
    return [_note(WORKLOAD.kind, workload.meta, "Warning", new.reason, new.message)]


def _stalled(workload: Workload, after: WorkloadStatus) -> list[Note]:
    old = condition(workload.status.conditions, "Stalled")
    new = condition(after.conditions, "Stalled")
    if new is None or (old is not None and (old.reason, old.message) == (new.reason, new.message)):
        return []
    return [_note(WORKLOAD.kind, workload.meta, "Warning", new.reason, new.message)]


def account_warnings(account: Account, after: AccountStatus) -> tuple[Note, ...]:
    """Return an Event for each condition that turns false: what is short, and what to do about it."""

    def turned(type_: str) -> Condition | None:
        old = condition(account.status.conditions, type_)
        new = condition(after.conditions, type_)
        was = old is not None and old.status == "False"
        return None if new is None or new.status != "False" or was else new

    found = (turned(each) for each in WARNED)
    return tuple(
        _note(ACCOUNT.kind, account.meta, "Warning", each.reason, each.message)
        for each in found
        if each is not None
    )
