"""The chain's answers, as far as they are read. Unknown fields are ignored."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from garrison.adapters.akash.answers import SHAPE, Coin, DeploymentHead, Group, LeaseEntry, Text
from garrison.errors import UnavailableError

T = TypeVar("T")
Number = Annotated[int, Field(ge=0, lt=1 << 64)]
"""64-bit numbers are text in the chain's JSON."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Header:
    chain_id: Text
    height: Number
    time: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Block:
    header: Header


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class BlockAnswer:
    block: Block


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class AccountBody:
    address: Text
    account_number: Number
    sequence: Number = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class AccountAnswer:
    account: AccountBody


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class NodeConfig:
    minimum_gas_price: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ModuleVersion:
    module: Text
    version: Text


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class SupportedVersion:
    modules: tuple[ModuleVersion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ChainInfo:
    supported_versions: tuple[SupportedVersion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ChainInfoAnswer:
    info: ChainInfo


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class DeploymentParams:
    min_deposits: tuple[Coin, ...]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class DeploymentParamsAnswer:
    params: DeploymentParams


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class EscrowState:
    state: Text
    settled_at: Number = 0
    funds: tuple[Coin, ...] = ()
    transferred: tuple[Coin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class EscrowAccount:
    state: EscrowState


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ChainDeployment:
    deployment: DeploymentHead
    groups: tuple[Group, ...] = ()
    escrow_account: EscrowAccount


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class LeaseItem:
    lease: LeaseEntry


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Pagination:
    next_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Page:
    """Any list, with what is needed to read on; ``pagination`` is null where there is one page."""

    pagination: Pagination | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class TxResponse:
    txhash: Text
    code: int = 0
    codespace: Text = ""
    raw_log: str = ""
    height: Number = 0
    gas_wanted: Number = 0
    gas_used: Number = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class TxAnswer:
    tx_response: TxResponse


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class GasInfo:
    gas_used: Number


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Simulated:
    gas_info: GasInfo


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Attribute:
    key: Text
    value: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ChainProvider:
    owner: Annotated[str, Field(min_length=1, max_length=128)]
    host_uri: Text
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Audit:
    owner: Text
    auditor: Text
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Audits:
    providers: tuple[Audit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Certificate:
    """``cert`` is PEM in base64."""

    state: Text
    cert: Annotated[str, Field(max_length=65536)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class CertificateItem:
    certificate: Certificate


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class DepositGrant:
    type: Text = Field(default="", alias="@type")
    scopes: tuple[Text, ...] = ()
    spend_limits: tuple[Coin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Grant:
    authorization: DepositGrant
    expiration: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Grants:
    grants: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class BmeParams:
    """``mint_spread_bps``: the ten-thousandths of a mint that the chain keeps."""

    min_mint: tuple[Coin, ...] = ()
    mint_spread_bps: Annotated[int, Field(ge=0, lt=10_000)] = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class BmeParamsAnswer:
    params: BmeParams


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class BmeStatus:
    status: Text = ""
    mints_allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class AggregatedPrice:
    median_price: Annotated[Decimal, Field(max_digits=60)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class PriceHealth:
    is_healthy: bool


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class PriceAnswer:
    aggregated_price: AggregatedPrice
    price_health: PriceHealth


BME_PARAMS: TypeAdapter[BmeParamsAnswer] = TypeAdapter(BmeParamsAnswer)
BME_STATUS: TypeAdapter[BmeStatus] = TypeAdapter(BmeStatus)
PRICE: TypeAdapter[PriceAnswer] = TypeAdapter(PriceAnswer)
BLOCK: TypeAdapter[BlockAnswer] = TypeAdapter(BlockAnswer)
ACCOUNT: TypeAdapter[AccountAnswer] = TypeAdapter(AccountAnswer)
NODE_CONFIG: TypeAdapter[NodeConfig] = TypeAdapter(NodeConfig)
VERSIONS: TypeAdapter[ChainInfoAnswer] = TypeAdapter(ChainInfoAnswer)
DEPLOYMENT_PARAMS: TypeAdapter[DeploymentParamsAnswer] = TypeAdapter(DeploymentParamsAnswer)
DEPLOYMENT: TypeAdapter[ChainDeployment] = TypeAdapter(ChainDeployment)
LEASE: TypeAdapter[LeaseItem] = TypeAdapter(LeaseItem)
PAGE: TypeAdapter[Page] = TypeAdapter(Page)
LIST: TypeAdapter[tuple[Any, ...]] = TypeAdapter(tuple[Any, ...])
COIN: TypeAdapter[Coin] = TypeAdapter(Coin)
TX: TypeAdapter[TxAnswer] = TypeAdapter(TxAnswer)
SIMULATED: TypeAdapter[Simulated] = TypeAdapter(Simulated)
PROVIDER: TypeAdapter[ChainProvider] = TypeAdapter(ChainProvider)
CERTIFICATE: TypeAdapter[CertificateItem] = TypeAdapter(CertificateItem)
AUDITS: TypeAdapter[Audits] = TypeAdapter(Audits)
GRANTS: TypeAdapter[Grants] = TypeAdapter(Grants)
GRANT: TypeAdapter[Grant] = TypeAdapter(Grant)


def understood(adapter: TypeAdapter[T], value: Any, what: str) -> T:
    """Return an answer in its shape. Raises UnavailableError naming the first field that is wrong."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:100]
        raise UnavailableError(
            f"a node's answer about {what} is not understood: {where}: {first['msg']}"
        ) from None
