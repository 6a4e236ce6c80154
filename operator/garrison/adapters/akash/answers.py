"""The Console API's answers, as far as they are read. Unknown fields are ignored.

Shapes: the service's OpenAPI document, and the market's REST types.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from garrison.errors import UnavailableError

T = TypeVar("T")

SHAPE = ConfigDict(extra="ignore", populate_by_name=True)
Text = Annotated[str, Field(max_length=512)]
Count = Annotated[int, Field(ge=0, le=1 << 31)]
Sequence = Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]
"""A deployment's number."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Coin:
    denom: Text
    amount: Annotated[Decimal, Field(max_digits=60)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class DeploymentId:
    owner: Text
    dseq: Sequence


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class DeploymentHead:
    """``hash`` is the manifest's, in base64."""

    id: DeploymentId
    state: Text
    hash: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class OfferId:
    """Names a bid and the lease made from it."""

    owner: Text = ""
    dseq: Sequence
    gseq: Count
    oseq: Count
    provider: Text


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Reclamation:
    deadline: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class LeaseEntry:
    id: OfferId
    state: Text
    price: Coin
    reason: Text = ""
    reclamation: Reclamation | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class EscrowState:
    funds: tuple[Coin, ...] = ()
    transferred: tuple[Coin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Escrow:
    state: EscrowState


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class DeploymentEntry:
    deployment: DeploymentHead
    leases: tuple[LeaseEntry, ...] = ()
    escrow_account: Escrow | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class DeploymentAnswer:
    data: DeploymentEntry


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Pagination:
    total: Count
    has_more: bool = Field(alias="hasMore")


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class DeploymentPage:
    deployments: tuple[DeploymentEntry, ...]
    pagination: Pagination


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class DeploymentPageAnswer:
    data: DeploymentPage


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class SignedTx:
    code: int = 0
    raw_log: str = Field(default="", alias="rawLog")


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Signed:
    code: int
    raw_log: str = Field(default="", alias="rawLog")


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class SignedAnswer:
    """``code`` must be there: without it nothing is known."""

    data: Signed


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class User:
    """Whom the key belongs to; ``id`` is the API's own, not the login service's."""

    id: Annotated[str, Field(min_length=1, max_length=128)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class UserAnswer:
    data: User


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Wallet:
    user_id: Annotated[str, Field(alias="userId", min_length=1, max_length=128)]
    address: Annotated[str, Field(min_length=1, max_length=128)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class WalletsAnswer:
    data: tuple[Wallet, ...]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Created:
    dseq: Sequence
    manifest: str = ""
    sign_tx: SignedTx | None = Field(default=None, alias="signTx")


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class CreatedAnswer:
    data: Created


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class GroupSpec:
    name: Text


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Group:
    group_spec: GroupSpec


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class IndexEntry:
    """A deployment in Console's database: the only place that tells its groups' names."""

    deployment: DeploymentHead
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class IndexPagination:
    next_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class IndexPage:
    deployments: tuple[IndexEntry, ...]
    pagination: IndexPagination = Field(default_factory=IndexPagination)


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Attribute:
    key: Text
    value: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class OfferedGpu:
    attributes: tuple[Attribute, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class OfferedResources:
    gpu: OfferedGpu | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Offer:
    resources: OfferedResources


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class BidBody:
    id: OfferId
    state: Text
    price: Coin
    resources_offer: tuple[Offer, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class BidEntry:
    bid: BidBody


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ListAnswer:
    """A list whose entries are read one by one: a bad one does not hide the others."""

    data: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class BalanceBody:
    """Dollars."""

    balance: Decimal
    deployments: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class BalanceAnswer:
    data: BalanceBody


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class TokenBody:
    token: Annotated[str, Field(min_length=1, max_length=16384, pattern=r"^[A-Za-z0-9_.=-]+$")]


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class TokenAnswer:
    data: TokenBody


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ListedAttribute:
    key: Text
    value: Text
    audited_by: tuple[Text, ...] = Field(default=(), alias="auditedBy")


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ListedGpu:
    vendor: Text
    model: Text
    ram: Text | None = None
    interface: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ListedProvider:
    owner: Annotated[str, Field(min_length=1, max_length=128)]
    host_uri: Annotated[str, Field(alias="hostUri", max_length=512)]
    is_online: bool = Field(default=False, alias="isOnline")
    location_region: Text | None = Field(default=None, alias="locationRegion")
    attributes: tuple[ListedAttribute, ...] = ()
    gpu_models: tuple[ListedGpu, ...] = Field(default=(), alias="gpuModels")
    uptime_1d: Decimal | None = Field(default=None, alias="uptime1d")
    uptime_7d: Decimal | None = Field(default=None, alias="uptime7d")
    uptime_30d: Decimal | None = Field(default=None, alias="uptime30d")


DEPLOYMENT: TypeAdapter[DeploymentAnswer] = TypeAdapter(DeploymentAnswer)
DEPLOYMENTS: TypeAdapter[DeploymentPageAnswer] = TypeAdapter(DeploymentPageAnswer)
CREATED: TypeAdapter[CreatedAnswer] = TypeAdapter(CreatedAnswer)
SIGNED: TypeAdapter[SignedAnswer] = TypeAdapter(SignedAnswer)
USER: TypeAdapter[UserAnswer] = TypeAdapter(UserAnswer)
WALLETS: TypeAdapter[WalletsAnswer] = TypeAdapter(WalletsAnswer)
INDEX: TypeAdapter[IndexPage] = TypeAdapter(IndexPage)
INDEX_ENTRY: TypeAdapter[IndexEntry] = TypeAdapter(IndexEntry)
LIST: TypeAdapter[ListAnswer] = TypeAdapter(ListAnswer)
BID: TypeAdapter[BidEntry] = TypeAdapter(BidEntry)
BALANCE: TypeAdapter[BalanceAnswer] = TypeAdapter(BalanceAnswer)
TOKEN: TypeAdapter[TokenAnswer] = TypeAdapter(TokenAnswer)
PROVIDER: TypeAdapter[ListedProvider] = TypeAdapter(ListedProvider)


def understood(adapter: TypeAdapter[T], value: Any, what: str) -> T:
    """Return an answer in its shape. Raises UnavailableError naming the first field that is wrong."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UnavailableError(
            f"the Console API's answer about {what} is not understood: {where}: {first['msg']}"
        ) from None
