"""What we ask of the Console API, and what we read, against the service's own OpenAPI document.

The document is not part of this project. It is read beside it where it is there, else these tests are
skipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from pydantic import TypeAdapter

from garrison.adapters.akash import answers
from garrison.adapters.akash.reading import providers_of
from garrison.adapters.akash.tokens import ConsoleIssuer, LeaseTokens
from garrison.adapters.system import SystemClock
from garrison.ports.market import LeaseTarget
from tests.unit.adapters.akash.console_api import ConsoleApi, bid_body, console, market
from tests.unit.adapters.orders import MARKER, order

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
]


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


async def test_requests_are_of_the_documented_shape(document: Any) -> None:
    api = ConsoleApi()
    async with market(api) as desk:
        created = await desk.create(order(), None)
        api.bids[created.id] = [bid_body(created.id, "akash1frost")]
        (bid,) = await desk.bids(created.id)
        await desk.accept(bid, order())
        await desk.deposit(created.id, order().deposit)
    for path in ("/v1/deployments", "/v1/leases", "/v1/deposit-deployment"):
        (body,) = api.asked("POST", path)
        jsonschema.validate(body, request_schema(document, path))


async def test_token_requests_are_of_the_documented_shape(document: Any) -> None:
    api = ConsoleApi()
    target = LeaseTarget(deployment="7", gseq=1, oseq=1, provider="akash1frost", host_uri="")
    async with console(api) as client:
        await LeaseTokens(issuer=ConsoleIssuer(client), clock=SystemClock()).of(target)
    (body,) = api.asked("POST", "/v1/create-jwt-token")
    schema = request_schema(document, "/v1/create-jwt-token")
    schema["properties"]["data"]["properties"]["ttl"] = {"type": "integer", "exclusiveMinimum": 0}
    jsonschema.validate(body, schema)


async def test_every_path_and_query_is_documented(document: Any) -> None:
    api = ConsoleApi()
    api.add("7", MARKER)
    async with market(api) as desk:
        await desk.deployment("7")
        await desk.open_deployments()
        await desk.bids("7")
        await desk.providers()
        await desk.balance()
        await desk.close("7")
    asked = {(method.lower(), _template(path)) for method, path, _ in api.seen}
    assert len(asked) >= 6
    for method, path in asked:
        assert method in document["paths"][path], f"{method} {path}"


def request_schema(document: Any, path: str) -> Any:
    content = document["paths"][path]["post"]["requestBody"]["content"]
    # The document's pattern for numbers has lost its backslash.
    text = json.dumps(content["application/json"]["schema"]).replace('"^d+$"', '"^[0-9]+$"')
    return json.loads(text)


def _template(path: str) -> str:
    versioned = path.replace("/v1beta4/", "/{version}/")
    return "/v1/deployments/{dseq}" if versioned == "/v1/deployments/7" else versioned
