"""How Kubernetes objects and certificates name the same lease and workload."""

from __future__ import annotations

import hashlib

from garrison.api.lease import Lease
from garrison.ports.identity import LeaseIdentity, Peer


def identity_of(lease: Lease) -> LeaseIdentity:
    """Return how certificates name a lease."""
    return LeaseIdentity(
        uid=lease.meta.uid, namespace=lease.meta.namespace, workload=lease.spec.workload
    )


def peer_of(lease: Lease) -> Peer | None:
    """Return whom to expect at a lease's data port, None when it has no enrolled sentinel."""
    known = lease.status.sentinel
    return Peer(lease=identity_of(lease), key=known.key) if known is not None else None


def bootstrap_secret(workload_uid: str, lease_name: str) -> str:
    """Return the name of the Secret for a lease's bootstrap; lease names are never used twice."""
    return f"bootstrap-{hashlib.sha256(f'{workload_uid}/{lease_name}'.encode()).hexdigest()[:24]}"


def client_secret(workload: str, turn: int) -> str:
    """Return the name of the Secret with a workload's client identity of one turn."""
    return f"{workload}-client-{turn:x}"


def console_secret(workload: str, turn: int) -> str:
    """Return the name of the Secret for looking inside a workload, of one turn."""
    return f"{workload}-console-{turn:x}"
