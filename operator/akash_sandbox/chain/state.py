"""Everything that a transaction can change, to be kept or taken back as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from akash_sandbox.chain.accounts import Account, Accounts
from akash_sandbox.chain.bme import Bme, BmeState
from akash_sandbox.market.bank import Balances
from akash_sandbox.market.book import Book
from akash_sandbox.market.deployment import Deployment
from akash_sandbox.market.grants import GrantSet
from akash_sandbox.market.provider_side import ProviderSide
from akash_sandbox.market.records import RecordSet
from akash_sandbox.market.tenant_side import TenantSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state at one moment; all values are immutable but the mappings, which are copies."""

    deployments: dict[str, Deployment]
    balances: Balances
    grants: GrantSet
    records: RecordSet
    accounts: dict[str, Account]
    bme: BmeState


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The chain's parts."""

    book: Book
    tenant: TenantSide
    providing: ProviderSide
    accounts: Accounts
    bme: Bme

    def snapshot(self) -> Snapshot:
        """Return the state as it is now."""
        return Snapshot(
            deployments=dict(self.book.deployments),
            balances=self.book.bank.snapshot(),
            grants=self.book.grants.current,
            records=self.book.records.current,
            accounts=dict(self.accounts.by_address),
            bme=self.bme.current,
        )

    def seen(self) -> Snapshot:
        """Return the state without copying it, to be looked at before anything else happens."""
        return Snapshot(
            deployments=self.book.deployments,
            balances=self.book.bank.balances,
            grants=self.book.grants.current,
            records=self.book.records.current,
            accounts=self.accounts.by_address,
            bme=self.bme.current,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Take everything back that happened since."""
        self.book.deployments = dict(snapshot.deployments)
        self.book.bank.restore(snapshot.balances)
        self.book.grants.current = snapshot.grants
        self.book.records.current = snapshot.records
        self.accounts.by_address = dict(snapshot.accounts)
        self.bme.current = snapshot.bme
