"""What the chain's refusals mean: (codespace, code) to an error of the tree, with a remedy.

A simulation loses the code and keeps the text, so every row also has the words that its text ends
with or holds. Codes: the modules' ``errors.go`` at node 2.1; texts as recorded from a real chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from garrison.errors import (
    AlreadyExistsError,
    AuthError,
    ConflictError,
    FundsError,
    GarrisonError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)

Make: TypeAlias = Callable[[str], GarrisonError]
Code: TypeAlias = tuple[str, int]

OUT_OF_GAS: Code = ("sdk", 11)
LOW_FEE: Code = ("sdk", 13)
IN_MEMPOOL: Code = ("sdk", 19)
MEMPOOL_FULL: Code = ("sdk", 20)
TIMED_OUT: Code = ("sdk", 42)
CLOSED: Code = ("deployment", 5)
NOT_FOUND: Code = ("deployment", 4)
_MAX_TEXT = 400
_PLACE = re.compile(r" \[[^\[\]]*:[0-9]+\](?= with gas used|$)| with gas used: '[0-9]+'$")
_INDEX = re.compile(r"message index: ([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a code is raised as. ``words`` is "" where a simulation never says it."""

    make: Make
    remedy: str
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A transaction that the chain refused, before a block or in one."""

    code: Code
    text: str

    @property
    def index(self) -> int | None:
        """Return which message was at fault, None when the text does not say."""
        found = _INDEX.search(self.text)
        return int(found[1]) if found else None

    def error(self, what: str) -> GarrisonError:
        """Return the refusal in Garrison's terms."""
        meaning = meaning_of(self.code, self.text)
        space, number = self.code
        return meaning.make(
            f"{what}: the chain says {space}/{number} {self.text}; {meaning.remedy}"
        )


def refusal(codespace: str, code: int, text: str) -> Refusal:
    """Return a refusal with its text on one line, bounded, without places in the chain's source."""
    return Refusal(code=(codespace, code), text=_line(text))


def simulated_refusal(text: str) -> Refusal:
    """Return the refusal of a simulation, its code found by its words: ``simulate``/0 when unknown."""
    line = _line(text)
    found = next((code for code, meaning in _BY_WORDS if meaning.words in line), ("simulate", 0))
    return Refusal(code=found, text=line)


def meaning_of(code: Code, text: str) -> Meaning:
    """Return what a code means. A code that is not in the table is a RejectedError."""
    if code[0] == "undefined":
        return next((each for each in _UNDEFINED if each.words in text), _UNKNOWN)
    return MEANINGS.get(code, _UNKNOWN)


def _line(text: str) -> str:
    printable = "".join(each if each.isprintable() else " " for each in text)
    bare = _PLACE.sub("", _PLACE.sub("", " ".join(printable.split())))
    return bare[:_MAX_TEXT]


_REPORT = "this should not happen: report it with this message"
_AGAIN = "it is tried again"
_GONE = "it is looked up again"
_UNKNOWN = Meaning(make=RejectedError, remedy="the request must change before it is repeated")
_POOR = Meaning(
    make=FundsError,
    remedy="the wallet or the grant lacks uact: mint some, or lower treasury.depositHours",
    words="insufficient balance",
)
_UNDEFINED = (
    _POOR,
    Meaning(
        make=RejectedError, remedy="raise treasury.depositHours", words="deposit invalid: minimum"
    ),
)


def _reject(words: str, remedy: str = _REPORT) -> Meaning:
    return Meaning(make=RejectedError, remedy=remedy, words=words)


MEANINGS: Mapping[Code, Meaning] = MappingProxyType(
    {
        ("sdk", 2): _reject("tx parse error", "this version of Garrison is too old for the chain"),
        ("sdk", 3): _reject("invalid sequence"),
        ("sdk", 4): Meaning(
            make=AuthError,
            remedy="check backend.chain.chainId and the key in the account's Secret",
            words="signature verification failed",
        ),
        ("sdk", 5): Meaning(
            make=FundsError, remedy="send uakt to the account's address", words="insufficient funds"
        ),
        ("sdk", 7): _reject("invalid address", "check the addresses in the AkashAccount"),
        ("sdk", 8): Meaning(
            make=AuthError,
            remedy="check the key in the account's Secret",
            words="pubKey does not match",
        ),
        ("sdk", 9): Meaning(
            make=FundsError,
            remedy="the account is not on the chain yet: send uakt to its address",
            words="unknown address",
        ),
        OUT_OF_GAS: Meaning(make=UnavailableError, remedy=_AGAIN, words="out of gas"),
        LOW_FEE: Meaning(make=UnavailableError, remedy=_AGAIN, words="insufficient fee"),
        ("sdk", 18): _reject("invalid request"),
        IN_MEMPOOL: Meaning(make=UnavailableError, remedy=_GONE),
        MEMPOOL_FULL: Meaning(
            make=UnavailableError,
            remedy="the node is busy; it is tried again",
            words="mempool is full",
        ),
        ("sdk", 21): Meaning(make=RejectedError, remedy=_REPORT, words="tx too large"),
        ("sdk", 30): Meaning(make=UnavailableError, remedy=_AGAIN, words="tx timeout height"),
        ("sdk", 32): Meaning(make=ConflictError, remedy=_AGAIN, words="incorrect account sequence"),
        ("sdk", 38): Meaning(
            make=FundsError,
            remedy="grant it with `akash tx feegrant grant`, or remove backend.chain.granter",
            words="fee-grant not found",
        ),
        TIMED_OUT: Meaning(make=UnavailableError, remedy=_AGAIN, words="tx timeout:"),
        ("bank", 5): _reject("send transactions are disabled", "uact moves only through escrow"),
        ("authz", 2): Meaning(
            make=AuthError, remedy="grant it again", words="authorization not found"
        ),
        ("akash", 4): _reject("invalid deposit source"),
        ("provider", 4): Meaning(
            make=AlreadyExistsError, remedy=_GONE, words="invalid provider: already exists"
        ),
        ("deployment", 2): _reject("Invalid request"),
        ("deployment", 3): Meaning(
            make=AlreadyExistsError, remedy=_GONE, words="Deployment exists"
        ),
        NOT_FOUND: Meaning(make=NotFoundError, remedy=_GONE, words="Deployment not found"),
        CLOSED: _reject("Deployment closed", "a new deployment is needed"),
        ("deployment", 7): _reject("Invalid groups"),
        ("deployment", 9): _reject("Invalid: empty hash"),
        ("deployment", 10): _reject("Invalid: deployment hash"),
        ("deployment", 14): Meaning(make=NotFoundError, remedy=_GONE, words="Group not found"),
        ("deployment", 15): _reject("Group closed", "a new deployment is needed"),
        ("deployment", 16): _reject("Group open", _GONE),
        ("deployment", 17): _reject("Group paused", _GONE),
        ("deployment", 18): _reject("Group not open", "a new deployment is needed"),
        ("deployment", 20): _reject(
            "Deposit invalid", "raise treasury.depositHours; deposits and prices are in uact"
        ),
        ("deployment", 24): _reject("invalid price", "raise the workload's maxPricePerHour"),
        ("deployment", 26): _reject("invalid reclamation configuration"),
        ("market", 2): _reject("tenant and provider are the same account", "take another bid"),
        ("market", 4): _reject("bid price above max order price", "take another bid"),
        ("market", 5): _reject("attribute mismatch", "take another bid"),
        ("market", 6): Meaning(make=NotFoundError, remedy=_GONE, words="unknown bid"),
        ("market", 10): _reject("lease not active", _GONE),
        ("market", 11): _reject("bid not active", _GONE),
        ("market", 12): _reject("bid not open", "the bid is gone or taken: choose another"),
        ("market", 13): _reject("order not open", "the order is gone or taken: look it up"),
        ("market", 15): Meaning(make=NotFoundError, remedy=_GONE, words="order not found"),
        ("market", 18): _reject("bid not found", "the bid is gone: choose another"),
        ("market", 20): Meaning(make=NotFoundError, remedy=_GONE, words="lease not found"),
        ("market", 21): Meaning(make=AlreadyExistsError, remedy=_GONE, words="bid exists"),
        ("market", 22): _reject("bid price is invalid"),
        ("market", 30): Meaning(make=NotFoundError, remedy=_GONE, words="unknown provider"),
        ("market", 32): _reject("capabilities mismatch"),
        ("market", 33): _reject("invalid lease closed reason"),
        ("market", 37): _reject("reclamation not started"),
        ("market", 38): _reject("reclamation window has not elapsed"),
        ("market", 40): _reject("order requires reclamation"),
        ("market", 41): _reject("reclamation window shorter"),
        ("escrow", 2): _reject("account closed", "a closed deployment takes no deposits"),
        ("escrow", 3): Meaning(
            make=NotFoundError, remedy="the deployment does not exist", words="account not found"
        ),
    }
)

_BY_WORDS: tuple[tuple[Code, Meaning], ...] = tuple(
    sorted(
        (
            *((code, meaning) for code, meaning in MEANINGS.items() if meaning.words),
            *((("undefined", 1), meaning) for meaning in _UNDEFINED),
        ),
        key=lambda row: -len(row[1].words),
    )
)
