"""How one certificate authority follows another in a Secret's data: trusted first, signing later.

``tls.crt`` and ``tls.key`` sign, ``next.crt`` and ``next.key`` wait, and ``ca.crt`` is trusted: all PEM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TypeAlias

from cryptography import x509

from garrison.adapters.sentinel.certificates import Signer, key_pem, pem
from garrison.adapters.sentinel.tenure import Tenure, Turn, turn

Data: TypeAlias = dict[str, str]
SINCE = "next.since"
"""When a given successor was found: its certificate may be older. RFC 3339."""


def first(signer: Signer) -> Data:
    """Return the data of an authority that follows nobody."""
    return _entry("tls", signer) | {"ca.crt": pem(signer.certificate)}


def renewed(data: Data, successor: Callable[[], Signer], now: datetime) -> Data:
    """Return the data of an authority that Garrison renews itself: a successor is made in time."""
    match turn(_tenure(data), now):
        case Turn.KEEP:
            return data
        case Turn.PREPARE:
            waits = _entry("next", successor())
            return data | waits | {"ca.crt": data["ca.crt"] + waits["next.crt"]}
        case Turn.PROMOTE:
            return _promoted(data, now)


def taken(given: Mapping[str, str]) -> Data:
    """Return what counts of a Secret that somebody else writes."""
    return {key: given[key] for key in ("tls.crt", "tls.key", "ca.crt") if key in given}


def followed(kept: Data, given: Mapping[str, str] | None, now: datetime) -> Data:
    """Return the data of an authority that somebody else renews.

    ``kept`` is what is in force, and ``given`` what their Secret holds, None while it is missing.
    """
    data = _offered(kept, given, now) if given is not None else kept
    return _promoted(data, now) if turn(_tenure(data), now) is Turn.PROMOTE else data


def _offered(kept: Data, given: Mapping[str, str], now: datetime) -> Data:
    data = kept
    if given["tls.crt"] != kept.get("next.crt", kept["tls.crt"]):
        data = _without_successor(kept)
        if given["tls.crt"] != kept["tls.crt"]:
            data |= {"next.crt": given["tls.crt"], "next.key": given["tls.key"]}
            data[SINCE] = now.isoformat()
    texts = (given["tls.crt"], given.get("ca.crt", ""), kept["tls.crt"], kept.get("ca.crt", ""))
    return data | {"ca.crt": _trusted(texts, now)}


def _promoted(data: Data, now: datetime) -> Data:
    return _without_successor(data) | {
        "tls.crt": data["next.crt"],
        "tls.key": data["next.key"],
        "ca.crt": _trusted([data["ca.crt"]], now),
    }


def _without_successor(data: Data) -> Data:
    return {key: text for key, text in data.items() if not key.startswith("next.")}


def _tenure(data: Data) -> Tenure:
    since = None
    if SINCE in data:
        since = datetime.fromisoformat(data[SINCE])
    elif "next.crt" in data:
        since = _certificates(data["next.crt"])[0].not_valid_before_utc
    return Tenure(
        until=_certificates(data["tls.crt"])[0].not_valid_after_utc, successor_since=since
    )


def _trusted(texts: Iterable[str], now: datetime) -> str:
    """Every certificate of the texts once, PEM, without those that have ended."""
    found = [each for text in texts if text for each in _certificates(text)]
    return "".join(dict.fromkeys(pem(each) for each in found if each.not_valid_after_utc > now))


def _entry(name: str, signer: Signer) -> Data:
    return {f"{name}.crt": pem(signer.certificate), f"{name}.key": key_pem(signer.key)}


def _certificates(text: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(text.encode())
