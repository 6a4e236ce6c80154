"""What the chain says about providers: their records, audits and certificates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

Json = dict[str, Any]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A provider's record."""

    owner: str
    host_uri: str
    attributes: Pairs
    email: str = ""
    website: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an auditor signed about a provider."""

    owner: str
    auditor: str
    attributes: Pairs


class CertificateState(StrEnum):
    VALID = "valid"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A published certificate, base64 of PEM as the chain shows it."""

    owner: str
    serial: str
    cert: str
    pubkey: str
    state: CertificateState = CertificateState.VALID


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSet:
    providers: tuple[Record, ...] = ()
    audits: tuple[Audit, ...] = ()
    certificates: tuple[Certificate, ...] = ()


class Records:
    """All records at the moment."""

    def __init__(self, current: RecordSet | None = None) -> None:
        self.current = current or RecordSet()

    def provider(self, owner: str) -> Record | None:
        return next((p for p in self.current.providers if p.owner == owner), None)

    def put_provider(self, record: Record) -> None:
        """Keep a record in the place of an earlier one."""
        others = tuple(p for p in self.current.providers if p.owner != record.owner)
        self.current = replace(self.current, providers=(*others, record))

    def audits(self, *, owner: str = "", auditor: str = "") -> list[Audit]:
        return [
            audit
            for audit in self.current.audits
            if owner in ("", audit.owner) and auditor in ("", audit.auditor)
        ]

    def put_audit(self, audit: Audit) -> None:
        """Add to what an auditor signed."""
        kept = self.without_audit(audit.owner, audit.auditor)
        attributes = tuple(sorted({**dict(kept), **dict(audit.attributes)}.items()))
        changed = replace(audit, attributes=attributes)
        self.current = replace(self.current, audits=(*self.current.audits, changed))

    def without_audit(self, owner: str, auditor: str) -> Pairs:
        """Remove an audit; return what it said."""
        found = self.audits(owner=owner, auditor=auditor)
        left = tuple(a for a in self.current.audits if a not in found)
        self.current = replace(self.current, audits=left)
        return found[0].attributes if found else ()

    def certificates(
        self, *, owner: str = "", serial: str = "", state: str = ""
    ) -> list[Certificate]:
        return [
            c
            for c in self.current.certificates
            if owner in ("", c.owner) and serial in ("", c.serial) and state in ("", c.state)
        ]

    def put_certificate(self, certificate: Certificate) -> None:
        """Keep a certificate in the place of one with the same serial."""
        key = (certificate.owner, certificate.serial)
        others = tuple(c for c in self.current.certificates if (c.owner, c.serial) != key)
        self.current = replace(self.current, certificates=(*others, certificate))

    def meets(self, owner: str, requirements: Json) -> bool:
        """Return whether a provider's attributes, and who signed them, are what is required."""
        wanted = [(a["key"], a["value"]) for a in requirements["attributes"]]
        signed = requirements["signed_by"]
        all_of, any_of = list(signed["all_of"] or ()), list(signed["any_of"] or ())
        if not all_of and not any_of:
            record = self.provider(owner)
            return record is not None and matches(record.attributes, wanted)
        vouched = {a.auditor: matches(a.attributes, wanted) for a in self.audits(owner=owner)}
        return all(vouched.get(a, False) for a in all_of) and (
            not any_of or any(vouched.get(a, False) for a in any_of)
        )


def matches(own: Pairs, wanted: Iterable[tuple[str, str]]) -> bool:
    """Return whether every wanted attribute is there; a key may be a pattern."""
    return all(any(fnmatchcase(k, key) and v == value for k, v in own) for key, value in wanted)
