"""The chain itself: a mempool, blocks at the market's pace, and what became of transactions."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from akash_sandbox.chain.accounts import Account, Accounts
from akash_sandbox.chain.ante import Moment
from akash_sandbox.chain.bme import Bme, BmeState
from akash_sandbox.chain.executor import Executor
from akash_sandbox.chain.refused import duplicate, mempool_full
from akash_sandbox.chain.result import Json, Result
from akash_sandbox.chain.state import Snapshot, State
from akash_sandbox.chain.tx import Tx, read
from akash_sandbox.market.book import Book
from akash_sandbox.market.provider_side import ProviderSide
from akash_sandbox.market.tenant_side import TenantSide

_ACCOUNTS = TypeAdapter(dict[str, Account])
_BME = TypeAdapter(BmeState)
_RESULT = TypeAdapter(Result)
_GREATEST_MEMPOOL = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The state as some node sees it; to be looked at only."""

    moment: Moment
    state: Snapshot


class Chain:
    """One chain. Times are Unix seconds and come in as arguments."""

    def __init__(
        self,
        chain_id: str,
        book: Book,
        *,
        tenant: TenantSide,
        providing: ProviderSide,
        act: Callable[[float], None],
        facts: Mapping[str, Any],
        results: Mapping[str, Any],
        now: float,
    ) -> None:
        accounts = Accounts(_ACCOUNTS.validate_python(facts.get("accounts") or {}))
        bme = Bme(book.bank, _BME.validate_python(facts.get("bme") or {}))
        self.id = chain_id
        self.state = State(
            book=book, tenant=tenant, providing=providing, accounts=accounts, bme=bme
        )
        self.results = {h: _RESULT.validate_python(body) for h, body in results.items()}
        self.gas_percent = 100
        self._executor = Executor(chain_id, self.state)
        self._act = act
        self._height = int(facts.get("height") or book.blocks.height(now))
        self._waiting: dict[str, Tx] = {
            tx.hash: tx for tx in (read(base64.b64decode(t)) for t in facts.get("mempool") or ())
        }
        self._fresh: list[Result] = []
        self._remembered = 0
        self._past: list[View] = []

    @property
    def height(self) -> int:
        """The last block that was made."""
        return self._height

    @property
    def waiting(self) -> int:
        """How many transactions wait for the next block."""
        return len(self._waiting)

    def moment(self) -> Moment:
        """Return the last block's height and time."""
        return Moment(height=self._height, time=self.state.book.blocks.time(self._height))

    def advance(self, now: float) -> bool:
        """Make the blocks that are due by ``now``; return whether there was one."""
        due = self.state.book.blocks.height(now)
        if due <= self._height:
            return False
        first = self._height + 1
        for height in range(first, due + 1):
            self._height = height
            if height == first:
                self._deliver()
            self.state.bme.end_block(height)
        self._act(self.moment().time)
        if self._remembered:
            self._past.append(self._now())
            del self._past[: -self._remembered - 1]
        return True

    def remember(self, blocks: int) -> None:
        """Keep the state of so many past blocks from now on, for nodes that lag."""
        if not self._remembered or not blocks:
            self._past = [self._now()] if blocks else []
        self._remembered = blocks

    def view(self, lag: int) -> View:
        """Return the state ``lag`` blocks ago, or the oldest that is remembered."""
        if not lag or not self._past:
            return View(moment=self.moment(), state=self.state.seen())
        old = [view for view in self._past if view.moment.height <= self._height - lag]
        return old[-1] if old else self._past[0]

    def broadcast(self, raw: bytes) -> Tx:
        """Let a transaction wait for the next block; raises RefusalError."""
        tx = read(raw)
        if tx.hash in self._waiting or tx.hash in self.results:
            raise duplicate()
        if len(self._waiting) >= _GREATEST_MEMPOOL:
            raise mempool_full()
        self._executor.check(tx, self.moment(), self._pending(tx.signer))
        self._waiting[tx.hash] = tx
        return tx

    def include(self, raw: bytes) -> Result:
        """Take a transaction into the newest block, which needs no waiting; raises RefusalError."""
        tx = read(raw)
        self._executor.check(tx, self.moment(), self._pending(tx.signer))
        return self._execute(tx)

    def simulate(self, raw: bytes) -> Json:
        """Return what a transaction would do and use; raises RefusalError or SimulationError."""
        tx = read(raw)
        return self._executor.simulate(tx, self.moment(), self._pending(tx.signer))

    def facts(self) -> Json:
        """Return what has to be kept, but for the results."""
        return {
            "accounts": _ACCOUNTS.dump_python(self.state.accounts.by_address, mode="json"),
            "bme": _BME.dump_python(self.state.bme.current, mode="json"),
            "height": self._height,
            "mempool": [base64.b64encode(tx.raw).decode() for tx in self._waiting.values()],
        }

    def fresh_results(self) -> dict[str, Any]:
        """Return the results since the last time, as JSON by hash."""
        fresh, self._fresh = self._fresh, []
        return {each.hash: _RESULT.dump_python(each, mode="json") for each in fresh}

    def halt(self, now: float) -> None:
        """Make no more blocks until ``resume``."""
        self.advance(now)
        self.state.book.blocks = self.state.book.blocks.halt(now)

    def resume(self, now: float) -> None:
        """Make blocks again; the time without is left out of the reckoning."""
        self.state.book.blocks = self.state.book.blocks.resume(now)

    def _now(self) -> View:
        return View(moment=self.moment(), state=self.state.snapshot())

    def _deliver(self) -> None:
        """Execute what waits, in the order it came."""
        waiting, self._waiting = list(self._waiting.values()), {}
        for tx in waiting:
            self._execute(tx)

    def _execute(self, tx: Tx) -> Result:
        found = self._executor.deliver(tx, self.moment(), self.gas_percent)
        self.results[found.hash] = found
        self._fresh.append(found)
        return found

    def _pending(self, signer: str) -> int:
        return sum(
            1 for tx in self._waiting.values() if tx.signer == signer and not tx.is_unordered
        )


def open_account(
    chain: Chain, address: str, *, key: bytes = b"", coins: Mapping[str, int] | None = None
) -> None:
    """Open an account with what it starts with, unless there is one."""
    if chain.state.accounts.get(address) is None:
        chain.state.accounts.opened(address, key)
        for denom, amount in (coins or {}).items():
            chain.state.book.bank.mint(address, denom, amount)
