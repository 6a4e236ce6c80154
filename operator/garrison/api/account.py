"""AkashAccount: who pays, for whom, within which limits. Cluster-scoped."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from garrison.api.form import Form, refusal
from garrison.api.meta import (
    SPEC,
    STATUS,
    Condition,
    Meta,
    Name,
    Price,
    Raw,
    SecretKeyRef,
    parse_meta,
)
from garrison.api.parsing import parse

Short = Annotated[str, Field(max_length=253)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ConsoleBackend:
    """The Console API: a managed wallet behind an API key."""

    api_key_secret_ref: SecretKeyRef = Field(description="Where the API key is.")
    endpoint: Annotated[
        str,
        Field(max_length=512),
        Form(
            r"^https://[!-.0-~]+(/[!-~]*)?$",
            "must be an https URL without spaces, such as https://console-api.akash.network",
        ),
    ] = Field(default="https://console-api.akash.network", description="URL of the API.")
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = Field(
        default=None,
        description="PEM certificates to trust beside the system's, for a local market.",
    )
    outcome_horizon_seconds: Annotated[int, Field(ge=5, le=3600)] = Field(
        default=120,
        description="How long a create whose answer was lost is looked up before it is repeated.",
    )


NodeUrl = Annotated[
    str,
    Field(max_length=512),
    Form(
        r"^https?://[!-.0-~]+(/[!-~]*)?$",
        "must be the URL of a node's REST interface without spaces, such as https://api.akashnet.net",
    ),
]
Address = Annotated[
    str,
    Field(max_length=90),
    Form(r"^akash1[02-9ac-hj-np-z]{38,58}$", "must be an address such as akash1..."),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ChainBackend:
    """The Akash chain, with a wallet that only its owner holds."""

    mnemonic_secret_ref: SecretKeyRef | None = Field(
        default=None, description="Where the wallet's words are (BIP 39, English)."
    )
    key_secret_ref: SecretKeyRef | None = Field(
        default=None, description="Where the private key is, 64 hex digits; instead of the words."
    )
    derivation_path: Annotated[
        str,
        Field(max_length=128),
        Form(
            r"^m(/[0-9]{1,10}['hH]?){1,16}$",
            "must be a path such as m/44'/118'/0'/0/0",
        ),
    ] = Field(default="m/44'/118'/0'/0/0", description="Which of the words' accounts.")
    network: Literal["Mainnet", "Sandbox"] = Field(
        default="Mainnet", description="Whose public nodes to use when endpoints is empty."
    )
    endpoints: Annotated[tuple[NodeUrl, ...], Field(max_length=8)] = Field(
        default=(),
        description="REST interfaces of nodes, in order of preference; empty: the network's.",
    )
    chain_id: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="Which chain the endpoints must be of; unset: the network's, or with endpoints "
        "what the first of them says.",
    )
    block_time: Literal["Measured", "Nominal"] = Field(
        default="Measured",
        description="How prices per block become prices per hour. Nominal takes six seconds for a "
        "block whatever the clock says: for a local market that makes its blocks faster.",
    )
    granter: Address | None = Field(
        default=None,
        description="Pays deposits and fees through grants, so that this wallet can be poor: "
        "its DepositAuthorization (authz) and fee allowance must name this wallet.",
    )
    gateway_auth: Literal["Token", "Certificate"] = Field(
        default="Token",
        description="How this account proves itself to providers' gateways. Token: signed for one lease, "
        "with few rights, for minutes. Certificate: a client certificate with all rights, which is "
        "published on the chain at the cost of one transaction a year; for gateways without tokens.",
    )
    auto_mint: bool = Field(
        default=False,
        description="Make uact of the wallet's uakt when what can be deposited lasts for less than "
        "treasury.warningHours or depositHours of all grants; once an hour at most, or five minutes "
        "after one that was refused.",
    )
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = Field(
        default=None,
        description="PEM certificates to trust beside the system's, for nodes and gateways.",
    )
    outcome_horizon_seconds: Annotated[int, Field(ge=5, le=3600)] = Field(
        default=150,
        description="How long a create whose outcome is not known is looked up before it is repeated.",
    )

    @model_validator(mode="after")
    def _has_one_key(self) -> ChainBackend:
        if (self.mnemonic_secret_ref is None) == (self.key_secret_ref is None):
            raise refusal(ONE_KEY)
        return self


ONE_KEY = "must have either mnemonicSecretRef or keySecretRef"
ONE_BACKEND = "must have the settings of its type: console for Console, chain for Chain"


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Backend:
    """How the market is reached, and who holds the wallet."""

    type: Literal["Console", "Chain"] = Field(default="Console", description="Which backend.")
    console: ConsoleBackend | None = Field(
        default=None, description="Settings of the Console API: a managed wallet."
    )
    chain: ChainBackend | None = Field(
        default=None, description="Settings of the chain: a wallet of one's own."
    )

    @model_validator(mode="after")
    def _has_its_settings(self) -> Backend:
        given = (self.console is not None, self.chain is not None)
        if given != (self.type == "Console", self.type == "Chain"):
            raise refusal(ONE_BACKEND)
        return self

    @property
    def settings(self) -> ConsoleBackend | ChainBackend:
        """Return the settings of the backend that is used."""
        found = self.console or self.chain
        if found is None:
            raise AssertionError(ONE_BACKEND)
        return found


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Limits:
    """Ceilings. Required: no default is guessed."""

    max_price_per_hour: Price = Field(
        description="Highest sum over all leases, open orders included, US dollars per hour."
    )
    max_leases: Annotated[int, Field(ge=0, le=500)] = Field(
        description="Highest number of leases at a time, open orders included."
    )
    max_new_leases_per10_minutes: Annotated[
        int, Field(ge=0, le=500, alias="maxNewLeasesPer10Minutes")
    ] = Field(description="Highest number of orders in any ten minutes.")


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Treasury:
    """How much is put into escrow per lease, and how long the money must last."""

    deposit_hours: Annotated[int, Field(ge=1, le=720)] = Field(
        default=24, description="Hours of the highest accepted price that are deposited at order."
    )
    min_runway_hours: Annotated[int, Field(ge=0, le=720)] = Field(
        default=6,
        description="A lease whose escrow lasts for fewer hours at its price is topped up, to "
        "depositHours or one hour more than this, whichever is longer; 0: never.",
    )
    warning_hours: Annotated[int, Field(ge=0, le=8760)] = Field(
        default=24,
        description="The condition Runway is False when what can be deposited lasts for fewer hours "
        "of everything that is leased or ordered; 0: never.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class AllowedNamespaces:
    """Namespaces whose workloads may spend from this account; empty: all."""

    names: Annotated[tuple[Name, ...], Field(max_length=64)] = Field(
        default=(), description="Names of namespaces; empty: all."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class AccountSpec:
    """Limits are required; the rest has safe defaults."""

    backend: Backend = Field(description="How the market is reached.")
    limits: Limits = Field(description="Ceilings of this account; no default is guessed.")
    default: bool = Field(default=False, description="Used by workloads that name no account.")
    treasury: Treasury = Field(default_factory=Treasury)
    orphans: Literal["Report", "Close"] = Field(
        default="Close",
        description="What to do with deployments that carry this installation's marker, or were adopted, "
        "and have no owner.",
    )
    allowed_namespaces: AllowedNamespaces = Field(default_factory=AllowedNamespaces)
    adoption: Literal["Deny", "Allow"] = Field(
        default="Deny",
        description="Whether workloads may take over what was started without Garrison, and so close it.",
    )
    allow_private_addresses: bool = Field(
        default=False, description="For sandboxes only: dial providers at private addresses."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Grant:
    """A slot under the ceilings, given to one order of one lease until its close is verified."""

    lease: Annotated[str, Field(max_length=64, description="uid of the AkashLease")]
    namespace: Short
    name: Short
    attempt: int = 0
    price_per_hour: Price
    at: AwareDatetime
    adopts: Annotated[str, Field(max_length=20)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Stranger:
    """An open deployment of the account that no AkashLease owns."""

    deployment: Short
    kind: Literal["Foreign", "Orphan", "Released"]
    marker: Annotated[str, Field(max_length=128)] = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class AdoptedStatus:
    """A deployment that an AkashLease has adopted: it carries no marker, so this is how it is known."""

    deployment: Short
    lease: Annotated[str, Field(max_length=320, description="namespace/name of the AkashLease")]
    at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class EndpointStatus:
    """A node of the chain. ``lag`` is in blocks behind the others."""

    url: Annotated[str, Field(max_length=512)]
    usable: bool
    height: int | None = None
    lag: int | None = None
    message: Annotated[str, Field(max_length=512)] = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class EscrowStatus:
    """What is left for the rent of an open deployment, in dollars."""

    deployment: Short
    lease: (
        Annotated[str, Field(max_length=320, description="namespace/name of the AkashLease")] | None
    ) = None
    provider: Short | None = None
    left: Price


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class MintStatus:
    """The newest mint, recorded before it was asked for; ``token`` may be used once.

    "Sent" is not "made": the chain decides later, and the balance shows it.
    """

    amount: Price
    token: Annotated[str, Field(max_length=64)]
    at: AwareDatetime
    outcome: Literal["Intended", "Sent", "Refused", "Unknown"] = "Intended"
    message: Annotated[str, Field(max_length=1024)] = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class AccountStatus:
    """``grants`` is the ledger of the ceilings: an order is placed only under a grant."""

    observed_generation: int = 0
    read_at: AwareDatetime | None = Field(
        default=None,
        description="When the look at the market began that what is shown of it is from.",
    )
    address: Short | None = None
    endpoints: Annotated[tuple[EndpointStatus, ...], Field(max_length=8)] = ()
    balance: Price | None = Field(default=None, description="What can be deposited, in dollars.")
    fee_balance: Price | None = Field(
        default=None,
        description="What fees can be paid from, in AKT; unset: this account pays none.",
    )
    escrowed: Price | None = Field(
        default=None, description="What is left in all open deployments, in dollars."
    )
    burn_per_hour: Price | None = None
    runway_hours: int | None = None
    mint: MintStatus | None = None
    open_leases: int = Field(
        default=0,
        description="Leases that count towards limits.maxLeases: ordered, or about to be.",
    )
    grants: Annotated[tuple[Grant, ...], Field(max_length=500)] = ()
    granted_at: Annotated[tuple[AwareDatetime, ...], Field(max_length=500)] = Field(
        default=(), description="Times of the grants of the last ten minutes."
    )
    strangers: Annotated[tuple[Stranger, ...], Field(max_length=50)] = ()
    released: Annotated[tuple[Short, ...], Field(max_length=100)] = ()
    adopted: Annotated[tuple[AdoptedStatus, ...], Field(max_length=500)] = Field(
        default=(), description="What leases have adopted, until its end was seen."
    )
    escrows: Annotated[tuple[EscrowStatus, ...], Field(max_length=100)] = ()
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Account:
    """An AkashAccount as decisions see it."""

    meta: Meta
    spec: AccountSpec
    status: AccountStatus


SPEC_ADAPTER: TypeAdapter[AccountSpec] = TypeAdapter(AccountSpec)
STATUS_ADAPTER: TypeAdapter[AccountStatus] = TypeAdapter(AccountStatus)


def parse_account(raw: Raw) -> Account:
    """Return the typed account. Raises InvalidSpecError."""
    return Account(
        meta=parse_meta(raw),
        spec=parse(SPEC_ADAPTER, raw.get("spec") or {}, "spec"),
        status=parse(STATUS_ADAPTER, raw.get("status") or {}, "status"),
    )
