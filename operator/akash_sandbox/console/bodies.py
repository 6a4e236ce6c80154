"""What the Console's clients send, checked against the contract."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from akash_sandbox.console.problem import ProblemError, validation_problem

Dseq = Annotated[str, Field(pattern=r"^\d+$", max_length=20)]
_Model = TypeVar("_Model", bound=BaseModel)


class Create(BaseModel):
    sdl: str
    deposit: Annotated[float, Field(ge=0, le=1_000_000)]


class CreateBody(BaseModel):
    data: Create


class LeaseId(BaseModel):
    dseq: Dseq
    gseq: Annotated[int, Field(ge=1)]
    oseq: Annotated[int, Field(ge=1)]
    provider: str


class LeasesBody(BaseModel):
    manifest: str
    leases: Annotated[list[LeaseId], Field(min_length=1)]


class Deposit(BaseModel):
    dseq: Dseq
    deposit: Annotated[float, Field(gt=0, le=1_000_000)]


class DepositBody(BaseModel):
    data: Deposit


class Token(BaseModel):
    ttl: Annotated[int, Field(gt=0, le=2_592_000)]
    leases: dict[str, Any]


class TokenBody(BaseModel):
    data: Token


class Message(BaseModel):
    type_url: str = Field(alias="typeUrl")
    value: str


class Tx(BaseModel):
    user_id: str = Field(alias="userId")
    messages: Annotated[list[Message], Field(min_length=1)]


class TxBody(BaseModel):
    data: Tx


class Page(BaseModel):
    skip: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1)] = 1000


class DseqQuery(BaseModel):
    dseq: Dseq


class UserQuery(BaseModel):
    user_id: UUID = Field(alias="userId")


class InfoQuery(BaseModel):
    owner: str = Field(alias="id.owner", min_length=1)
    dseq: Dseq = Field(alias="id.dseq")


class ListQuery(BaseModel):
    """The database listing's query; ``pagination.key`` is not served."""

    owner: str = Field("", alias="filters.owner")
    state: str = Field("", alias="filters.state")
    dseq: str = Field("", alias="filters.dseq")
    provider: str = Field("", alias="filters.provider")
    offset: Annotated[int, Field(ge=0, alias="pagination.offset")] = 0
    limit: Annotated[int, Field(ge=1, le=1000, alias="pagination.limit")] = 100
    reverse: bool = Field(default=False, alias="pagination.reverse")


async def body(request: web.Request, model: type[_Model]) -> _Model:
    """Return the checked JSON body; raises ProblemError (400)."""
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        raise validation_problem(error) from error


def query(request: web.Request, model: type[_Model]) -> _Model:
    """Return the checked query string; raises ProblemError (400)."""
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise validation_problem(error) from error


def path_dseq(request: web.Request) -> str:
    """Return the deployment id of the path; raises ProblemError (400)."""
    dseq = request.match_info["dseq"]
    if not dseq.isascii() or not dseq.isdigit():
        raise ProblemError(400, f"dseq {dseq!r} is not a number")
    return dseq
