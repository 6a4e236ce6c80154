"""Queries of accounts, balances, grants, the BME and the oracle."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from akash_sandbox.chain.bme import EPOCH_BLOCKS, LEAST_MINT, SPREAD_BPS, LedgerRecord, RecordStatus
from akash_sandbox.chain.chain import View
from akash_sandbox.chain.rest.answers import INTERNAL, NOT_FOUND, UNKNOWN, QueryError, answer
from akash_sandbox.chain.rest.pages import page, single
from akash_sandbox.market.bank import UACT, UAKT
from akash_sandbox.market.decimals import UNIT, text
from akash_sandbox.market.grants import FeeAllowance, Grant

Json = dict[str, Any]

_STALLED = (
    "codespace oracle.v2 code 4: price stalled: collections: not found: key 'akt/usd' of type "
    "github.com/cosmos/gogoproto/akash.oracle.v2.PriceHealth"
)
_DEPOSIT = "/akash.escrow.v1.DepositAuthorization"
_GENERIC = "/cosmos.authz.v1beta1.GenericAuthorization"
# A vault that is full to the brim: what backs all uact, and sixteen times more.
_RATIO = 17 * UNIT


class MoneyQueries:
    """The handlers; ``feeder`` is the account that tells the oracle's price."""

    def __init__(self, view: Callable[[], View], feeder: str) -> None:
        self._view = view
        self._feeder = feeder

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/cosmos/auth/v1beta1/params", self._auth_params),
            web.get("/cosmos/auth/v1beta1/accounts/{address}", self._account),
            web.get("/cosmos/bank/v1beta1/balances/{address}", self._balances),
            web.get("/cosmos/bank/v1beta1/balances/{address}/by_denom", self._balance),
            web.get("/cosmos/authz/v1beta1/grants", self._grants),
            web.get("/cosmos/authz/v1beta1/grants/grantee/{address}", self._grants_to),
            web.get("/cosmos/authz/v1beta1/grants/granter/{address}", self._grants_by),
            web.get("/cosmos/feegrant/v1beta1/allowance/{granter}/{grantee}", self._allowance),
            web.get("/cosmos/feegrant/v1beta1/allowances/{address}", self._allowances),
            web.get("/akash/bme/v1/params", self._bme_params),
            web.get("/akash/bme/v1/status", self._bme_status),
            web.get("/akash/bme/v1/ledger", self._ledger),
            web.get("/akash/oracle/v2/params", self._oracle_params),
            web.get("/akash/oracle/v2/aggregated_price/{denom}", self._price),
        ]

    async def _auth_params(self, _request: web.Request) -> web.Response:
        params = {
            "max_memo_characters": "256",
            "tx_sig_limit": "7",
            "tx_size_cost_per_byte": "10",
            "sig_verify_cost_ed25519": "590",
            "sig_verify_cost_secp256k1": "1000",
        }
        return answer({"params": params})

    async def _account(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        found = self._view().state.accounts.get(address)
        if found is None:
            raise QueryError(NOT_FOUND, f"account {address} not found")
        key = {"@type": "/cosmos.crypto.secp256k1.PubKey", "key": found.public_key}
        account = {
            "@type": "/cosmos.auth.v1beta1.BaseAccount",
            "address": address,
            "pub_key": key if found.public_key else None,
            "account_number": str(found.number),
            "sequence": str(found.sequence),
        }
        return answer({"account": account})

    async def _balances(self, request: web.Request) -> web.Response:
        coins = self._view().state.balances.get(request.match_info["address"], {})
        found = [(d, n) for d, n in sorted(coins.items()) if n]
        return answer(page(request.query, found, lambda coin: _coin(*coin), "balances"))

    async def _balance(self, request: web.Request) -> web.Response:
        coins = self._view().state.balances.get(request.match_info["address"], {})
        denom = request.query.get("denom", "")
        return answer({"balance": _coin(denom, coins.get(denom, 0))})

    async def _grants(self, request: web.Request) -> web.Response:
        pair = (request.query.get("granter", ""), request.query.get("grantee", ""))
        url = request.query.get("msg_type_url", "")
        found = [
            g
            for g in self._view().state.grants.grants
            if (g.granter, g.grantee) == pair and url in ("", g.message)
        ]
        return answer(single({"grants": [_grant(g) for g in found]}))

    async def _grants_to(self, request: web.Request) -> web.Response:
        return self._named(lambda g: g.grantee == request.match_info["address"])

    async def _grants_by(self, request: web.Request) -> web.Response:
        return self._named(lambda g: g.granter == request.match_info["address"])

    def _named(self, chosen: Callable[[Grant], bool]) -> web.Response:
        found = [g for g in self._view().state.grants.grants if chosen(g)]
        named = [{"granter": g.granter, "grantee": g.grantee, **_grant(g)} for g in found]
        return answer(single({"grants": named}))

    async def _allowance(self, request: web.Request) -> web.Response:
        pair = (request.match_info["granter"], request.match_info["grantee"])
        fees = self._view().state.grants.fees
        found = next((f for f in fees if (f.granter, f.grantee) == pair), None)
        if found is None:
            raise QueryError(INTERNAL, "fee-grant not found: not found")
        return answer({"allowance": _fee(found)})

    async def _allowances(self, request: web.Request) -> web.Response:
        grantee = request.match_info["address"]
        found = [f for f in self._view().state.grants.fees if f.grantee == grantee]
        return answer(single({"allowances": [_fee(f) for f in found]}))

    async def _bme_params(self, _request: web.Request) -> web.Response:
        params = {
            "circuit_breaker_warn_threshold": 9500,
            "circuit_breaker_halt_threshold": 9000,
            "min_epoch_blocks": str(EPOCH_BLOCKS),
            "epoch_blocks_backoff_percent": 10,
            "mint_spread_bps": SPREAD_BPS,
            "settle_spread_bps": 0,
            "max_endblocker_records": 50,
            "min_mint": [_coin(UACT, LEAST_MINT)],
            "max_pending_attempts": 3,
        }
        return answer({"params": params})

    async def _bme_status(self, _request: web.Request) -> web.Response:
        if self._view().state.bme.price is None:
            raise QueryError(UNKNOWN, _STALLED)
        status = {
            "status": "mint_status_healthy",
            "collateral_ratio": text(_RATIO),
            "warn_threshold": text(UNIT * 95 // 100),
            "halt_threshold": text(UNIT * 90 // 100),
            "mints_allowed": True,
            "refunds_allowed": True,
        }
        return answer(status)

    async def _ledger(self, request: web.Request) -> web.Response:
        source, status = (request.query.get(f"filters.{n}", "") for n in ("source", "status"))
        found = [
            r
            for r in self._view().state.bme.records
            if source in ("", r.source) and status in ("", r.status.value)
        ]
        return answer(page(request.query, found, _record, "records"))

    async def _oracle_params(self, _request: web.Request) -> web.Response:
        params = {
            "sources": [self._feeder],
            "min_price_sources": 1,
            "max_price_staleness_period": "86400s",
            "twap_window": "5s",
            "max_price_deviation_bps": "150",
            "feed_contracts_params": [],
            "price_retention": "172800s",
            "prune_epoch": "hour",
            "max_prune_per_epoch": "1000",
            "max_future_time_drift": "10s",
        }
        return answer({"params": params})

    async def _price(self, request: web.Request) -> web.Response:
        price, denom = self._view().state.bme.price, request.match_info["denom"]
        if price is None or denom != "akt":
            raise QueryError(NOT_FOUND, f"codespace oracle.v2 code 4: price not found: {denom}")
        value = text(price.value)
        stamp = datetime.fromtimestamp(price.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        aggregated = {
            "denom": denom,
            "twap": value,
            "median_price": value,
            "min_price": value,
            "max_price": value,
            "timestamp": stamp,
            "num_sources": 1,
            "deviation_bps": "0",
        }
        health = {
            "denom": denom,
            "is_healthy": True,
            "has_min_sources": True,
            "deviation_ok": True,
            "total_sources": 1,
            "total_healthy_sources": 1,
            "failure_reason": [],
        }
        return answer({"aggregated_price": aggregated, "price_health": health})


def _coin(denom: str, amount: int) -> Json:
    return {"denom": denom, "amount": str(amount)}


def _time(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _grant(grant: Grant) -> Json:
    authorization: Json = {"@type": _GENERIC, "msg": grant.message}
    if grant.limits is not None:
        authorization = {
            "@type": _DEPOSIT,
            "spend_limit": _coin(grant.spend_limit, 0),
            "scopes": list(grant.scopes),
            "spend_limits": [_coin(d, n) for d, n in grant.limits],
        }
    return {"authorization": authorization, "expiration": _time(grant.expires)}


def _fee(found: FeeAllowance) -> Json:
    allowance: Json = {
        "@type": "/cosmos.feegrant.v1beta1.BasicAllowance",
        "spend_limit": [_coin(d, n) for d, n in found.limits or ()],
        "expiration": _time(found.expires),
    }
    if found.messages:
        allowance = {
            "@type": "/cosmos.feegrant.v1beta1.AllowedMsgAllowance",
            "allowance": allowance,
            "allowed_messages": list(found.messages),
        }
    return {"granter": found.granter, "grantee": found.grantee, "allowance": allowance}


def _record(record: LedgerRecord) -> Json:
    body: Json = {
        "id": {
            "denom": record.denom,
            "to_denom": record.to_denom,
            "source": record.source,
            "height": str(record.height),
            "sequence": str(record.sequence),
        },
        "status": record.status.value,
    }
    asked = {
        "owner": record.source,
        "to": record.to,
        "coins_to_burn": _coin(record.denom, record.burned),
        "denom_to_mint": record.to_denom,
    }
    match record.status:
        case RecordStatus.PENDING:
            body["pending_record"] = {**asked, "attempts": 0}
        case RecordStatus.CANCELED:
            body["canceled_record"] = {**asked, "cancel_reason": record.reason}
        case RecordStatus.EXECUTED:
            body["executed_record"] = _executed(record)
    return body


def _executed(record: LedgerRecord) -> Json:
    own, other = (record.price, UNIT) if record.denom == UAKT else (UNIT, record.price)
    return {
        "burned_from": record.source,
        "minted_to": record.to,
        "burner": "bme",
        "minter": "bme",
        "burned": None,
        "minted": {"coin": _coin(record.to_denom, record.minted), "price": text(other)},
        "spread": _coin(record.to_denom, record.spread),
        "remint_credit_issued": None,
        "remint_credit_accrued": {
            "coin": _coin(record.denom, record.burned),
            "price": text(own),
        },
    }
