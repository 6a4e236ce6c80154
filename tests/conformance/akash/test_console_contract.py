"""What we ask of the Console API, and what we read, against the service's own OpenAPI document.

The document is not part of this project. It is read beside it where it is there, else these tests are
skipped.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from pydantic import TypeAdapter

from akash_sandbox.client import CONSOLE
from garrison.adapters.akash import answers
from garrison.adapters.akash.client import ConsoleClient, Method
from garrison.adapters.akash.console import ConsoleMarket
from garrison.adapters.akash.reading import providers_of
from garrison.adapters.akash.tls import client_context
from garrison.adapters.akash.tokens import ConsoleIssuer, LeaseTokens
from garrison.adapters.system import SystemClock
from garrison.ports.market import Bid, LeaseTarget
from tests.sandbox.sandbox_process import SandboxProcess
from tests.unit.adapters.orders import order

DOCUMENT = Path(__file__).parents[4] / "shared/conformance/akash/console-openapi.json"
DATABASE = "/akash/deployment/{version}/deployments"

ANSWERS: list[tuple[str, str, str, TypeAdapter[Any]]] = [
    ("post", "/v1/deployments", "201", answers.CREATED),
    ("get", "/v1/deployments", "200", answers.DEPLOYMENTS),
    ("get", "/v1/deployments/{dseq}", "200", answers.DEPLOYMENT),
    ("get", "/v1/bids", "200", answers.LIST),
    ("get", "/v1/balances", "200", answers.BALANCE),
    ("post", "/v1/create-jwt-token", "201", answers.TOKEN),
    ("get", f"{DATABASE}/list", "200", answers.INDEX),
    ("get", "/v1/user/me", "200", answers.USER),
    ("get", "/v1/wallets", "200", answers.WALLETS),
    ("post", "/v1/tx", "200", answers.SIGNED),
]


CALLS = {
    ("POST", "/v1/tx"),
    ("POST", "/v1/deployments"),
    ("GET", "/v1/deployments"),
    ("GET", "/v1/deployments/{dseq}"),
    ("DELETE", "/v1/deployments/{dseq}"),
    ("POST", "/v1/deposit-deployment"),
    ("GET", "/v1/bids"),
    ("POST", "/v1/leases"),
    ("GET", "/v1/balances"),
    ("GET", "/v1/providers"),
    ("GET", "/v1/user/me"),
    ("GET", "/v1/wallets"),
    ("POST", "/v1/create-jwt-token"),
    ("GET", f"{DATABASE}/list"),
    ("GET", f"{DATABASE}/info"),
}
"""All that the adapter asks; ``docs/console-api.md`` lists the same."""
LOST_BACKSLASH = "^d+$"
FORMATS = jsonschema.FormatChecker(["uuid"])
CONFIG = """
workloads: {runtime: synthetic}
settle_seconds: 0.1
balance: 100
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """A call and its answer; ``answer`` is None when it was refused."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    answer: Any


class RecordingClient(ConsoleClient):
    """Keeps what was said."""

    said: list[Exchanged]

    async def _call(
        self,
        method: Method,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        write: bool,
    ) -> Any:
        answer = None
        try:
            answer = await super()._call(method, path, params=params, body=body, write=write)
        finally:
            self.said.append(
                Exchanged(method=method, path=path, query=params or {}, body=body, answer=answer)
            )
        return answer


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Exchanged]:
    """Two lives of a lease at the local market: with a number of our own, and with one of its own."""
    process = SandboxProcess(tmp_path_factory.mktemp("console") / "data", CONFIG)
    process.start()
    try:
        authorities = Path(process.ca_file).read_text()
        return asyncio.run(_trade(process, authorities))
    finally:
        process.stop()


async def _trade(process: SandboxProcess, authorities: str) -> Sequence[Exchanged]:
    client = RecordingClient(
        endpoint=process.console,
        key=process.api_key,
        context=client_context(authorities),
    )
    client.said = []
    try:
        async with process.admin() as admin:
            await _live(client)
            await admin.errors(CONSOLE, status=403, path="/v1/tx")
            await _live(client)
    finally:
        await client.close()
    return client.said


async def _live(client: ConsoleClient) -> None:
    desk = _desk(client)
    await desk.providers()
    await desk.balance()
    created = await desk.create(order(), desk.propose_id())
    bid = await _bid(desk, created.id)
    await desk.accept(bid, order())
    await desk.deposit(created.id, order().deposit)
    await desk.open_deployments()
    target = LeaseTarget(deployment=created.id, gseq=1, oseq=1, provider=bid.provider, host_uri="")
    await LeaseTokens(issuer=ConsoleIssuer(client), clock=SystemClock()).of(target)
    restarted = _desk(client)
    assert await restarted.deployment(created.id) is not None
    assert {each.id for each in await _desk(client).open_deployments()} == {created.id}
    await restarted.close(created.id)


async def _bid(desk: ConsoleMarket, deployment: str) -> Bid:
    async with asyncio.timeout(30):
        while True:
            for bid in await desk.bids(deployment):
                return bid
            await asyncio.sleep(0.1)


def _desk(client: ConsoleClient) -> ConsoleMarket:
    return ConsoleMarket(client=client, clock=SystemClock(), outcome_horizon=timedelta(seconds=30))


@pytest.fixture(scope="module")
def document() -> Any:
    if not DOCUMENT.exists():
        pytest.skip(f"no {DOCUMENT.name}: the Console API's OpenAPI document is not here")
    return json.loads(DOCUMENT.read_text())


def answer_schema(document: Any, method: str, path: str, status: str) -> Any:
    content = document["paths"][path][method]["responses"][status]["content"]
    return content["application/json"]["schema"]


def example(schema: Any) -> Any:
    """An instance with every property that the schema names."""
    match schema.get("type"):
        case "object":
            return {key: example(each) for key, each in schema.get("properties", {}).items()}
        case "array":
            return [example(schema["items"])]
        case "boolean":
            return True
        case "number" | "integer":
            return 1
        case _:
            return schema.get("enum", ["1"])[0]


@pytest.mark.parametrize(("method", "path", "status", "adapter"), ANSWERS)
def test_answers_of_the_documented_shape_are_read(
    document: Any, method: str, path: str, status: str, adapter: TypeAdapter[Any]
) -> None:
    shape = example(answer_schema(document, method, path, status))
    assert answers.understood(adapter, shape, path) is not None


def test_bids_and_providers_of_the_documented_shape_are_read(document: Any) -> None:
    bids = example(answer_schema(document, "get", "/v1/bids", "200"))["data"]
    assert answers.BID.validate_python(bids[0]).bid.id.provider == "1"
    providers = example(answer_schema(document, "get", "/v1/providers", "200"))
    assert [each.host_uri for each in providers_of(providers)] == ["1"]


async def test_every_call_of_a_lease_s_life_is_documented(
    document: Any, traded: Sequence[Exchanged]
) -> None:
    assert {(each.method, template(each.path)) for each in traded} == CALLS
    for each in traded:
        operation = document["paths"][template(each.path)][each.method.lower()]
        check_query(operation, each)
        if each.body is not None:
            content = operation["requestBody"]["content"]["application/json"]
            jsonschema.validate(each.body, plain(content["schema"]))
        if each.answer is not None:
            (status,) = operation["responses"].keys() & {"200", "201"}
            answer = answer_schema(document, each.method.lower(), template(each.path), status)
            jsonschema.validate(each.answer, plain(answer), format_checker=FORMATS)


def check_query(operation: Any, asked: Exchanged) -> None:
    """Every parameter is documented and of its type, and none that is required is missing."""
    known = {
        each["name"]: each for each in operation.get("parameters", ()) if each["in"] == "query"
    }
    for name, text in asked.query.items():
        schema = known[name]["schema"]
        value = int(text) if schema.get("type") in {"number", "integer"} else text
        jsonschema.validate(value, plain(schema), format_checker=FORMATS)
    required = {name for name, each in known.items() if each["required"]}
    assert required <= asked.query.keys(), f"{asked.method} {asked.path}"


def plain(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema: its own words for null and for bounds."""
    match schema:
        case {"nullable": True}:
            rest = {key: value for key, value in schema.items() if key != "nullable"}
            return {"anyOf": [plain(rest), {"type": "null"}]} if "type" in rest else {}
        case dict():
            bounds = {"exclusiveMinimum": schema.get("minimum")}
            return {
                key: bounds[key] if value is True and key in bounds else plain(value)
                for key, value in schema.items()
                if key != "pattern"
            } | ({"pattern": "^[0-9]+$"} if schema.get("pattern") == LOST_BACKSLASH else {})
        case list():
            return [plain(each) for each in schema]
        case _:
            return schema


def template(path: str) -> str:
    """Return a path as the document writes it."""
    versioned = path.replace("/v1beta4/", "/{version}/")
    return re.sub(r"^/v1/deployments/[0-9]+$", "/v1/deployments/{dseq}", versioned)
