"""A Console API that keeps deployments in memory: the happy path, and hooks to leave it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message

from akash_proto.schema.akash_deployment_v1beta4_pb2 import MsgCreateDeployment
from akash_proto.wire import unpack
from garrison.adapters.akash.client import ConsoleClient
from garrison.adapters.akash.console import ConsoleMarket
from garrison.adapters.akash.tls import client_context
from garrison.adapters.system import SystemClock
from tests.unit.adapters.serving import Handler, answering, serve

OWNER = "akash1owner"
USER = "4cd2b3ad-94d8-4a14-8e4c-6b2b1d2e7f00"
KEY = "key-1"
PATIENCE = aiohttp.ClientTimeout(total=0.5, connect=0.4)
NO_ROUTE = answering(404, '{"message": "Not Found"}')
PROVIDER = {
    "owner": "akash1frost",
    "hostUri": "https://frost.example:8443",
    "isOnline": True,
    "uptime1d": 1,
    "uptime7d": 0.99919,
    "uptime30d": None,
    "locationRegion": "elsewhere",
    "gpuModels": [{"vendor": "nvidia", "model": "h100", "ram": "80Gi", "interface": ""}],
    "attributes": [{"key": "location-region", "value": "eu-west", "auditedBy": ["akash1a"]}],
}


def lease_body(dseq: str, provider: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": {
            "owner": OWNER,
            "dseq": dseq,
            "gseq": 1,
            "oseq": 1,
            "provider": provider,
            "bseq": 0,
        },
        "state": "active",
        "price": {"denom": "uact", "amount": "1250.500000000000000000"},
        "created_at": "1",
        "closed_on": "0",
        **fields,
    }


def bid_body(dseq: str, provider: str, **fields: Any) -> dict[str, Any]:
    lease = lease_body(dseq, provider)
    bid = {key: lease[key] for key in ("id", "price", "created_at")}
    gpu = {"attributes": [{"key": "vendor/nvidia/model/h100/ram/80Gi", "value": "true"}]}
    offer = [{"resources": {"gpu": gpu}, "count": 1}]
    return {
        "bid": {**bid, "state": "open", "resources_offer": offer, **fields},
        "escrow_account": {},
    }


@dataclass(slots=True, kw_only=True)
class ConsoleApi:
    """``override`` replaces the answer to a path (its first match); ``seen`` are all requests."""

    page: int = 100
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)
    bids: dict[str, list[Any]] = field(default_factory=dict)
    providers: list[Any] = field(default_factory=list)
    override: dict[str, Handler] = field(default_factory=dict)
    seen: list[tuple[str, str, Any]] = field(default_factory=list)
    signed: list[Message] = field(default_factory=list)

    def add(self, dseq: str, marker: str, *leases: dict[str, Any], state: str = "active") -> None:
        """Keep a deployment with 4.5 dollars in escrow."""
        funds = [{"denom": "uact", "amount": "4500000.900000000000000000"}]
        self.markers[dseq] = marker
        self.entries[dseq] = {
            "deployment": {
                "id": {"owner": OWNER, "dseq": dseq},
                "state": state,
                "hash": "",
                "created_at": "1",
            },
            "leases": list(leases),
            "escrow_account": {"state": {"owner": OWNER, "state": "open", "funds": funds}},
        }

    def asked(self, method: str, path: str) -> list[Any]:
        """The bodies of the requests to a path."""
        return [body for verb, where, body in self.seen if (verb, where) == (method, path)]

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._watch()])
        app.add_routes(
            [
                web.post("/v1/deployments", self._create),
                web.get("/v1/deployments", self._list),
                web.get("/v1/deployments/{dseq}", self._get),
                web.delete("/v1/deployments/{dseq}", self._close),
                web.get("/v1/bids", self._bids),
                web.post("/v1/leases", self._lease),
                web.post("/v1/deposit-deployment", self._deposit),
                web.get("/v1/balances", self._balances),
                web.get("/v1/providers", self._providers),
                web.post("/v1/create-jwt-token", self._token),
                web.get("/v1/user/me", self._user),
                web.get("/v1/wallets", self._wallets),
                web.post("/v1/tx", self._tx),
                web.get("/akash/deployment/v1beta4/deployments/list", self._index),
                web.get("/akash/deployment/v1beta4/deployments/info", self._info),
            ]
        )
        return app

    def _watch(self) -> Any:
        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            body = await request.json() if request.can_read_body else None
            self.seen.append((request.method, request.path, body))
            if request.headers.get("x-api-key") != KEY:
                return web.json_response({"message": "bad key"}, status=401)
            override = self.override.get(f"{request.method} {request.path}")
            return await (override or handler)(request)

        return watch

    async def _create(self, request: web.Request) -> web.Response:
        data = (await request.json())["data"]
        dseq = str(1000 + len(self.entries))
        self.add(dseq, next(iter(yaml.safe_load(data["sdl"])["profiles"]["placement"])))
        body = {
            "dseq": dseq,
            "manifest": "[from console]",
            "signTx": {"code": 0, "transactionHash": "A", "rawLog": ""},
        }
        return web.json_response({"data": body}, status=201)

    async def _user(self, _request: web.Request) -> web.Response:
        body = {
            "id": USER,
            "userId": "auth0|1",
            "username": "u",
            "email": "",
            "emailVerified": True,
            "subscribedToNewsletter": False,
        }
        return web.json_response({"data": body})

    async def _wallets(self, request: web.Request) -> web.Response:
        wallet = {
            "id": 1,
            "userId": USER,
            "creditAmount": 5,
            "address": OWNER,
            "denom": "uact",
            "isTrialing": False,
            "topUpMinAmountUsd": 0,
            "createdAt": "2025-01-01T00:00:00.000Z",
        }
        found = [wallet] if request.query["userId"] == USER else []
        return web.json_response({"data": found})

    async def _tx(self, request: web.Request) -> web.Response:
        data = (await request.json())["data"]
        assert data["userId"] == USER
        for each in data["messages"]:
            packed = Packed(type_url=each["typeUrl"], value=base64.b64decode(each["value"]))
            message = unpack(packed)
            self.signed.append(message)
            if isinstance(message, MsgCreateDeployment):
                if str(message.id.dseq) in self.entries:
                    text = "Deployment with provided dseq and owner already exists"
                    return web.json_response({"message": text}, status=400)
                self.add(str(message.id.dseq), message.groups[0].name)
        body = {"code": 0, "transactionHash": "A", "rawLog": ""}
        return web.json_response({"data": body})

    async def _list(self, request: web.Request) -> web.Response:
        skip = int(request.query["skip"])
        entries = list(self.entries.values())
        page = entries[skip : skip + min(self.page, int(request.query["limit"]))]
        total = len(entries)
        pagination = {
            "total": total,
            "skip": skip,
            "limit": self.page,
            "hasMore": skip + len(page) < total,
        }
        return web.json_response({"data": {"deployments": page, "pagination": pagination}})

    async def _get(self, request: web.Request) -> web.Response:
        entry = self.entries.get(request.match_info["dseq"])
        if entry is None:
            return web.json_response({"message": "Deployment not found"}, status=404)
        return web.json_response({"data": entry})

    async def _close(self, request: web.Request) -> web.Response:
        entry = self.entries.get(request.match_info["dseq"])
        if entry is None:
            return web.json_response({"message": "Deployment not found"}, status=404)
        entry["deployment"]["state"] = "closed"
        return web.json_response({"data": {"success": True}})

    async def _bids(self, request: web.Request) -> web.Response:
        return web.json_response({"data": self.bids.get(request.query["dseq"], [])})

    async def _lease(self, request: web.Request) -> web.Response:
        lease = (await request.json())["leases"][0]
        entry = self.entries[lease["dseq"]]
        entry["leases"].append(lease_body(lease["dseq"], lease["provider"]))
        return web.json_response({"data": entry})

    async def _deposit(self, request: web.Request) -> web.Response:
        entry = self.entries.get((await request.json())["data"]["dseq"])
        return web.json_response({"data": entry}, status=404 if entry is None else 200)

    async def _balances(self, _request: web.Request) -> web.Response:
        body = {"balance": 12.345678, "deployments": 4.5, "total": 16.85}
        return web.json_response({"data": body})

    async def _providers(self, _request: web.Request) -> web.Response:
        return web.json_response(self.providers)

    async def _token(self, _request: web.Request) -> web.Response:
        count = len(self.asked("POST", "/v1/create-jwt-token"))
        return web.json_response({"data": {"token": f"token-{count}"}}, status=201)

    async def _index(self, request: web.Request) -> web.Response:
        start = int(request.query.get("pagination.key", "0"))
        names = [
            name
            for name, entry in self.entries.items()
            if entry["deployment"]["state"] == "active" and name in self.markers
        ]
        after = start + self.page
        body = {
            "deployments": [self._indexed(name) for name in names[start:after]],
            "pagination": {
                "next_key": str(after) if after < len(names) else None,
                "total": str(len(names)),
            },
        }
        return web.json_response(body)

    async def _info(self, request: web.Request) -> web.Response:
        name = request.query["id.dseq"]
        if name not in self.markers:
            missing = {"code": 5, "message": "deployment not found", "details": []}
            return web.json_response(missing, status=404)
        return web.json_response(self._indexed(name))

    def _indexed(self, name: str) -> dict[str, Any]:
        group = {"state": "open", "group_spec": {"name": self.markers[name]}}
        return {"deployment": self.entries[name]["deployment"], "groups": [group]}


@asynccontextmanager
async def console(
    api: ConsoleApi,
    *,
    key: str = KEY,
    max_body: int = 1 << 20,
    patience: aiohttp.ClientTimeout = PATIENCE,
) -> AsyncIterator[ConsoleClient]:
    """Serve the API; yields a client with little patience."""
    async with serve(api.app()) as port:
        client = ConsoleClient(
            endpoint=f"http://127.0.0.1:{port}/",
            key=key,
            context=client_context(None),
            timeout=patience,
            max_body=max_body,
        )
        try:
            yield client
        finally:
            await client.close()
            await asyncio.sleep(0)


@asynccontextmanager
async def market(api: ConsoleApi) -> AsyncIterator[ConsoleMarket]:
    """Serve the API; yields the market."""
    async with console(api) as client:
        yield ConsoleMarket(
            client=client, clock=SystemClock(), outcome_horizon=timedelta(seconds=30)
        )
