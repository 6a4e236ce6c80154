"""The sandbox's provider gateways against a recorded one: the same calls, one by one."""

from __future__ import annotations

import ast
import asyncio
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from akash_proto.rest import parse
from akash_proto.schema.akash_cert_v1_pb2 import MsgCreateCertificate
from tests.conformance.akash.chain_client import Node, Wish, named
from tests.conformance.akash.gateway_replay import SERVICE, VECTOR, GatewayReplay, Heard
from tests.conformance.akash.likeness import differences
from tests.sandbox.sandbox_process import SandboxProcess

RECORDED = Path(__file__).parent / "gateway" / "recorded"
CALLS = {each["name"]: each for each in json.loads((RECORDED / "GATEWAY.json").read_text())}
NOT_ASKED = {
    "bid": "is a chain's answer, as gw-real-bid.json is: test_sandbox_chain compares bids",
    "manifest-get-hash": "says something about manifest-get, which is compared itself",
    "logs-follow-long": "listens for 26 s to see two pings; the library sends ours",
}
ON_CHAIN = (
    "create-certificate.broadcast",
    "create-certificate.simulate",
    "create-certificate.tx",
    "q-certificate",
    "q-deployment-manifest-timeout",
    "q-deployment-unstable",
    "q-lease-manifest-timeout",
    "q-lease-unstable",
)
RICH = 10**12
_DEPLOYMENTS = "/akash/deployment/v1beta4/deployments"
CONFIG = {
    "workloads": {"runtime": "synthetic"},
    "block_seconds": 0.1,
    "providers": [
        {
            "name": "gate",
            "region": "us-east",
            "gpus": [{"model": "rtx4090", "ram": "24Gi", "price_low": 0.001, "price_high": 0.001}],
        }
    ],
    "chain": {
        "tls": False,
        "accounts": [
            {"address": named(name).address, "uakt": RICH, "uact": RICH}
            for name in ("tenant", "stranger", "provider")
        ],
    },
}


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Heard]]:
    """What a sandbox's gateway answered to every recorded call."""
    process = SandboxProcess(tmp_path_factory.mktemp("gateway") / "data", yaml.safe_dump(CONFIG))
    process.start()
    try:
        yield asyncio.run(_replayed(process))
    finally:
        assert process.stop() == 0


async def _replayed(process: SandboxProcess) -> dict[str, Heard]:
    context = ssl.create_default_context(cafile=process.ca_file)
    async with process.admin() as admin:
        (provider,) = await admin.providers()
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        replay = GatewayReplay(
            node=Node(process.chain_url),
            provider=provider.address,
            url=provider.host_uri,
            session=session,
        )
        heard = await replay.run()
        heard |= await _chain_side(replay, process)
    # TLS says goodbye after the session is closed.
    await asyncio.sleep(0.2)
    return heard


async def _chain_side(replay: GatewayReplay, process: SandboxProcess) -> dict[str, Heard]:
    """Ask what the chain said of leases without a manifest, and of a certificate."""
    late, ill = await replay.rent(), await replay.rent()
    async with process.admin() as admin:
        await admin.close_lease(str(ill), 1, 1, reason="unstable")
    lease, deployment = "/akash/market/v1beta5/leases/info", f"{_DEPLOYMENTS}/info"
    found = {
        "q-lease-manifest-timeout": await replay.asked(lease, late),
        "q-deployment-manifest-timeout": await replay.asked(deployment, late),
        "q-lease-unstable": await replay.asked(lease, ill),
        "q-deployment-unstable": await replay.asked(deployment, ill),
        **await asyncio.to_thread(_certified, replay.node),
    }
    return {name: Heard(status=200, body=json.dumps(body)) for name, body in found.items()}


def _certified(node: Node) -> dict[str, Any]:
    """Publish the recorded certificate once more."""
    message = MsgCreateCertificate()
    (shown,) = _body("create-certificate.tx")["tx"]["body"]["messages"]
    message.CopyFrom(parse(MsgCreateCertificate, {k: v for k, v in shown.items() if k != "@type"}))
    key = named("provider")
    simulated = node.simulate(node.build(key, [message], Wish(), 0, 0))[1]
    sent = node.broadcast(node.build(key, [message], Wish(), 200_000, 5_000))[1]
    serial = _body("q-certificate")["certificates"][0]["serial"]
    asked = f"filter.owner={key.address}&filter.serial={serial}&filter.state=valid"
    return {
        "create-certificate.simulate": simulated,
        "create-certificate.broadcast": sent,
        "create-certificate.tx": node.wait(sent["tx_response"]["txhash"])[1],
        "q-certificate": node.get(f"/akash/cert/v1/certificates/list?{asked}")[1],
    }


@pytest.mark.parametrize("name", ON_CHAIN)
def test_the_chain_says_the_same_of_certificates_and_leases(
    heard: Mapping[str, Heard], name: str
) -> None:
    was, found = _body(name), json.loads(heard[name].body)
    if "certificate" in name:
        # The recorded provider had sent other transactions before.
        assert not [d for d in differences(was, found) if "[0].sequence: " not in d]
    else:
        assert states(found) == states(was)


def states(value: Any) -> list[Any]:
    """Return every state and reason in a value, from outside to inside."""
    if isinstance(value, list):
        return [state for part in value for state in states(part)]
    if not isinstance(value, dict):
        return []
    own = [value[name] for name in ("state", "reason") if isinstance(value.get(name), str)]
    return [*own, *(state for name in sorted(value) for state in states(value[name]))]


def test_every_recorded_call_was_made_or_says_why_not(heard: Mapping[str, Heard]) -> None:
    assert set(heard) | set(NOT_ASKED) == set(CALLS) | set(ON_CHAIN)
    files = {path.stem for path in RECORDED.glob("*.json")} - {"GATEWAY"}
    assert files == {*ON_CHAIN, "gw-real-bid"}, "a recording that nobody compares"
    assert not set(heard) & set(NOT_ASKED)
    texts = {path.stem.removeprefix("gw-") for path in RECORDED.glob("gw-*.txt")}
    assert texts <= set(CALLS)


@pytest.mark.parametrize("name", [n for n, c in CALLS.items() if "status" in c])
def test_an_answer_is_the_real_gateways(heard: Mapping[str, Heard], name: str) -> None:
    was, found = CALLS[name], heard[name]
    assert (found.status, found.type) == (was["status"], was["type"])
    if was["status"] >= 400 or not was["body"]:
        assert found.body == was["body"]
    elif name != "manifest-get":  # is another manifest: the next test compares it
        assert shape(json.loads(found.body)) == shape(_recorded(name))


def test_a_stored_manifest_has_lost_its_endpoints_as_in_the_real_gateway(
    heard: Mapping[str, Heard],
) -> None:
    (was,), (found,) = _recorded("manifest-get"), json.loads(heard["manifest-get"].body)
    for group in (was, found):
        assert [s["resources"]["endpoints"] for s in group["services"]] == [None]
    (sent,) = json.loads((VECTOR / "manifest.json").read_text())
    sent["services"][0]["resources"]["endpoints"] = None
    assert found == sent


@pytest.mark.parametrize(
    "name", [n for n, c in CALLS.items() if "closed" in c and n not in NOT_ASKED]
)
def test_a_stream_is_the_real_gateways(heard: Mapping[str, Heard], name: str) -> None:
    was, found = CALLS[name], heard[name]
    assert found.closed == was["closed"]
    assert bool(found.frames) == bool(was["frames"])
    if name.startswith("shell"):
        assert list(found.frames) == [ast.literal_eval(frame) for frame in was["frames"]]
        return
    assert all(isinstance(frame, str) and frame.endswith("\n") for frame in found.frames)
    kinds = {str(shape(json.loads(frame))) for frame in found.frames}
    assert kinds == {str(shape(json.loads(frame))) for frame in was["frames"]}


@pytest.mark.parametrize("name", [n for n, c in CALLS.items() if "http" in c])
def test_a_stream_is_refused_as_by_the_real_gateway(heard: Mapping[str, Heard], name: str) -> None:
    assert heard[name].status == CALLS[name]["http"]


def test_events_tell_the_same_story(heard: Mapping[str, Heard]) -> None:
    told = [json.loads(frame)["reason"] for frame in heard["events"].frames]
    assert told == [json.loads(frame)["reason"] for frame in CALLS["events"]["frames"]]


def shape(value: Any) -> Any:
    """Return a value's names and types; our service is called like the recorded one."""
    match value:
        case dict():
            names = {"trainer" if name == SERVICE else name: part for name, part in value.items()}
            return {name: shape(part) for name, part in sorted(names.items())}
        case list():
            return sorted({str(shape(part)) for part in value})
        case _:
            return type(value).__name__


def _body(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


def _recorded(name: str) -> Any:
    """Return the whole body: the list of calls has only its beginning."""
    return json.loads((RECORDED / f"gw-{name}.txt").read_text().partition("\n")[2])
