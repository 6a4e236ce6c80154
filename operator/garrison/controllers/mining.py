"""The Events about mining pools: one for each that was asked for anew, with what is known and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from garrison.api.egress import DeniedStatus
from garrison.api.meta import Key, Meta
from garrison.core.mining import meaning
from garrison.ports.kube import Note


def mining_notes(
    kind: str,
    meta: Meta,
    *,
    before: Iterable[DeniedStatus],
    after: Iterable[DeniedStatus],
    audits: bool,
) -> tuple[Note, ...]:
    """Return the Events. With ``audits`` nothing was refused, and they say so."""
    known = {(each.destination, each.port) for each in before if each.mining}
    return tuple(
        Note(
            about=Key(kind=kind, namespace=meta.namespace, name=meta.name),
            uid=meta.uid,
            type="Warning",
            reason="MiningPoolReached" if audits else "MiningPoolDenied",
            message=_message(each, each.mining, audits=audits)[:1000],
        )
        for each in after
        if each.mining and (each.destination, each.port) not in known
    )


def _message(each: DeniedStatus, sign: str, *, audits: bool) -> str:
    asked = f"{each.process or 'a process'} asked for {_destination(each)} ({meaning(sign)})"
    became = (
        "and was let through: the policy only audits; set mode: Enforce"
        if audits
        else "and was refused"
    )
    return f"{asked} {became}; look at what the image runs: garrison logs, garrison shell"


def _destination(each: DeniedStatus) -> str:
    if each.protocol == "dns":
        return f"the name {each.destination}"
    return f"{each.destination}:{each.port}" if each.port else each.destination
