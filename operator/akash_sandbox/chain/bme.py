"""Burn-mint equilibrium: uakt to uact and back at the oracle's price, in epochs (AEP-76)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from akash_sandbox.market.bank import UACT, UAKT, Bank
from akash_sandbox.market.decimals import UNIT

VAULT = "akash1m6fp4g0dpnegzpaem4kqs0c2aapgvv4yd0cuhd"
EPOCH_BLOCKS = 10
LEAST_MINT = 10_000_000
SPREAD_BPS = 25
_BPS = 10_000


class RecordStatus(StrEnum):
    PENDING = "ledger_record_status_pending"
    EXECUTED = "ledger_record_status_executed"
    CANCELED = "ledger_record_status_canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRecord:
    """One exchange; amounts in whole coins, ``price`` in USD per AKT with 18 decimals."""

    denom: str
    to_denom: str
    source: str
    to: str
    height: int
    sequence: int
    burned: int
    status: RecordStatus = RecordStatus.PENDING
    reason: str = ""
    minted: int = 0
    spread: int = 0
    price: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the oracle said about AKT; ``at`` in Unix seconds."""

    value: int
    at: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BmeState:
    records: tuple[LedgerRecord, ...] = ()
    price: Price | None = None


class Bme:
    """The ledger of exchanges."""

    def __init__(self, bank: Bank, current: BmeState | None = None) -> None:
        self._bank = bank
        self.current = current or BmeState()

    def ask(self, *, source: str, to: str, denom: str, amount: int, height: int) -> LedgerRecord:
        """Take coins and queue their exchange; raises InsufficientError."""
        self._bank.send(source, VAULT, denom, amount)
        earlier = [r for r in self.current.records if r.height == height]
        record = LedgerRecord(
            denom=denom,
            to_denom=UACT if denom == UAKT else UAKT,
            source=source,
            to=to,
            height=height,
            sequence=len(earlier) + 1,
            burned=amount,
        )
        self.current = replace(self.current, records=(*self.current.records, record))
        return record

    def end_block(self, height: int) -> None:
        """Decide what was queued, at the end of each epoch."""
        if height % EPOCH_BLOCKS:
            return
        decided = tuple(
            self._decided(r) if r.status is RecordStatus.PENDING and r.height < height else r
            for r in self.current.records
        )
        self.current = replace(self.current, records=decided)

    def set_price(self, price: Price) -> None:
        self.current = replace(self.current, price=price)

    def _decided(self, record: LedgerRecord) -> LedgerRecord:
        price = self.current.price
        if price is None:
            return self._canceled(record, "zero_price")
        if record.denom == UAKT:
            worth = record.burned * price.value // UNIT
        else:
            worth = record.burned * UNIT // price.value
        if record.denom == UAKT and worth < LEAST_MINT:
            return self._canceled(record, "minimum_mint")
        spread = worth * SPREAD_BPS // _BPS
        self._bank.burn(VAULT, record.denom, record.burned)
        self._bank.mint(record.to, record.to_denom, worth - spread)
        return replace(
            record,
            status=RecordStatus.EXECUTED,
            minted=worth,
            spread=spread,
            price=price.value,
        )

    def _canceled(self, record: LedgerRecord, reason: str) -> LedgerRecord:
        self._bank.send(VAULT, record.source, record.denom, record.burned)
        return replace(record, status=RecordStatus.CANCELED, reason=reason)
