"""Sealed start, mutual TLS, egress and secrets, in real containers, driven by kubectl."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from devenv.checkout import ROOT
from devenv.processes import Process
from garrison.api.lease import parse_lease
from garrison.cli.inside import looking
from tests.e2e.bodies import Body, condition
from tests.e2e.guarded.conftest import HARDENED_REGION
from tests.e2e.guarded.replicas import models, place, serve, the_lease, told
from tests.e2e.scene import Scene
from tests.e2e.test_serving import connected
from tests.e2e.waiting import eventually
from tests.unit.adapters.credentials.test_issuer import certificate

TOKEN = "planted-webhook-token"
AWAY = "203.0.113.9"
"""TEST-NET-3: nothing is there."""
POOL, OTHER_POOL = 3333, 4444
DIAL = """
import socket, sys
with socket.socket() as dialled:
    dialled.settimeout(0.5)
    try:
        dialled.connect((sys.argv[1], int(sys.argv[2])))
    except OSError as error:
        print(type(error).__name__)
"""


def endpoint(lease: Body) -> tuple[str, int]:
    found = lease["status"]["endpoint"]
    return found["host"], found["port"]


async def test_a_replica_starts_sealed_and_takes_its_own_clients_only(scene: Scene) -> None:
    lease = await serve(scene)
    phases = [each["phase"] for each in lease["status"]["timings"]]
    assert phases.index("Enrolling") < phases.index("Verifying") < phases.index("Ready")
    guarded = await scene.condition("chat", "EgressEnforced")
    assert (guarded["status"], guarded["reason"]) == ("True", "Enforced"), guarded
    assert "mutual TLS" in (await scene.condition("chat", "Ready"))["message"]
    async with connected(scene, "chat") as url:
        assert await models(url) == 200
    host, port = endpoint(lease)
    assert await heard(host, port, None) == b""
    stranger = ssl.create_default_context()
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    assert await heard(host, port, stranger) == b""


async def test_on_a_hardened_machine_another_rung_enforces(scene: Scene) -> None:
    """Where RuntimeDefault refuses copies of descriptors and user namespaces."""
    policy = {
        "apiVersion": "garrison.dev/v1alpha1",
        "kind": "ProviderPolicy",
        "metadata": {"name": "hardened", "namespace": scene.namespace},
        "spec": {"regions": [HARDENED_REGION]},
    }
    await scene.stage.apply(policy)
    lease = await serve(scene, providerPolicyRef={"name": "hardened"})
    egress = lease["status"]["egress"]
    assert (egress["level"], egress["rung"]) == ("Enforced", "addfd-tcp")
    guarded = await scene.condition("chat", "EgressEnforced")
    assert (guarded["status"], guarded["reason"]) == ("True", "Enforced"), guarded
    assert await dialled(scene, 443) == "PermissionError"
    async with connected(scene, "chat") as url:
        assert await models(url) == 200


async def heard(host: str, port: int, context: ssl.SSLContext | None) -> bytes:
    """What somebody without the client identity is answered."""
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
    except (OSError, ssl.SSLError, TimeoutError):
        return b""
    writer.close()
    return answer if answer.startswith(b"HTTP/") else b""


async def test_a_restarted_container_comes_back_sealed_and_serves_again(scene: Scene) -> None:
    before = await serve(scene)
    (paid,) = await scene.paid()
    await scene.admin.restart_workload(paid.dseq, paid.gseq, paid.oseq)
    after = await eventually(
        "another instance that serves",
        lambda: the_lease(scene),
        lambda lease: (
            lease["status"]["phase"] == "Ready"
            and lease["status"]["sentinel"]["instance"] != before["status"]["sentinel"]["instance"]
        ),
        limit_seconds=120,
    )
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["status"]["sentinel"]["restarts"] == 1
    async with connected(scene, "chat") as url:
        assert await models(url) == 200


async def test_the_workload_s_own_metrics_are_relayed(scene: Scene) -> None:
    """The operator asks at the path of the spec, from inside, and says whose they are."""
    lease = await serve(scene, metrics={"path": "/metrics"})
    url = scene.stage.operator_url

    async def relayed() -> list[Sample]:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
            families = list(text_string_to_metric_families(await answer.text()))
        return [
            sample
            for family in families
            for sample in family.samples
            if sample.name == "garrison_relayed_synthetic_requests_total"
            and sample.labels["namespace"] == scene.namespace
        ]

    (found,) = await eventually("the workload's own metrics", relayed)
    assert found.value == 0
    assert found.labels == {
        "namespace": scene.namespace,
        "workload": "chat",
        "lease": lease["metadata"]["name"],
        "provider": lease["status"]["provider"],
        "model": "synthetic",
    }


def egress_policy(scene: Scene, host: str, mode: str = "Enforce") -> Body:
    return {
        "apiVersion": "garrison.dev/v1alpha1",
        "kind": "EgressPolicy",
        "metadata": {"name": "hub", "namespace": scene.namespace},
        "spec": {"mode": mode, "allow": [{"host": host, "ports": [443]}]},
    }


async def in_force(scene: Scene, generation: int) -> Body:
    return await eventually(
        f"generation {generation} in force",
        lambda: the_lease(scene),
        lambda lease: (
            lease["status"]["phase"] == "Ready"
            and lease["status"]["egress"].get("inForceGeneration") == generation
        ),
    )


async def test_a_policy_reaches_a_running_replica_without_a_restart(scene: Scene) -> None:
    await scene.stage.apply(egress_policy(scene, "one.example"))
    await serve(scene, egressPolicyRef={"name": "hub"})
    before = await in_force(scene, 1)
    await scene.stage.apply(egress_policy(scene, "two.example"))
    after = await in_force(scene, 2)
    assert after["status"]["sentinel"] == before["status"]["sentinel"]
    table = await eventually(
        "the policy's row",
        lambda: scene.kubectl("get", "egp", "hub"),
        lambda text: "1/1" in text,
    )
    assert "chat" in table.splitlines()[1].split()
    policy = await scene.stage.get("egp", "hub", "--namespace", scene.namespace)
    (replica,) = policy["status"]["replicas"]
    assert (replica["level"], replica["generation"]) == ("Enforced", 2)


async def test_an_audit_is_taken_live_and_never_called_enforced(scene: Scene) -> None:
    """It teaches what enforcing would refuse. What looks like mining is told before and after."""
    await scene.stage.apply(egress_policy(scene, "one.example"))
    await serve(scene, egressPolicyRef={"name": "hub"})
    assert await dialled(scene, POOL) == "PermissionError"
    (refused,) = await eventually("an Event", lambda: told(scene, "MiningPoolDenied"))
    assert f"{AWAY}:{POOL} (a port that mining pools use) and was refused" in refused
    await eventually("the metric", lambda: mined(scene), lambda count: count >= 1)
    await scene.stage.apply(egress_policy(scene, "one.example", mode="Audit"))
    lease = await in_force(scene, 2)
    for port in (OTHER_POOL, 443):
        assert await dialled(scene, port) != "PermissionError"
    policy = await eventually(
        "what the audit learned",
        lambda: scene.stage.get("egp", "hub", "--namespace", scene.namespace),
        lambda body: bool(body["status"].get("suggestedAllow")),
        limit_seconds=90,
    )
    assert policy["status"]["suggestedAllow"] == [{"cidr": f"{AWAY}/32", "ports": [443]}]
    assert policy["status"]["denied"][0]["mining"] == "pool-port"
    (reached,) = await eventually("an Event", lambda: told(scene, "MiningPoolReached"))
    assert f"{AWAY}:{OTHER_POOL}" in reached
    assert "was let through" in reached
    assert lease["status"]["egress"]["mode"] == "Audit"
    assert lease["status"]["egress"]["level"] != "Enforced"
    audited = await eventually(
        "the workload says so",
        lambda: scene.workload("chat"),
        lambda body: condition(body, "EgressEnforced").get("reason") == "Audit",
    )
    assert condition(audited, "EgressEnforced")["status"] == "False"


async def dialled(scene: Scene, port: int) -> str:
    """What comes of dialling an address that nobody has, from a shell under the guard."""
    said = b""
    async with looking(place(scene), "chat") as inside:
        console = await inside.sentinel(parse_lease(await the_lease(scene)))
        session = await console.shell(("python3", "-c", DIAL, AWAY, str(port)), None, reads=False)
        async for _, data in session.output():
            said += data
        await session.close()
    return said.decode().strip()


async def mined(scene: Scene) -> float:
    """Denials of what looks like mining, at the operator's own metrics."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{scene.stage.operator_url}/metrics") as answer,
    ):
        families = list(text_string_to_metric_families(await answer.text()))
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "garrison_egress_mining_denied_total"
        and sample.labels["namespace"] == scene.namespace
    )


@asynccontextmanager
async def mint(scene: Scene, folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """Run the example webhook; yields its URL and the file that says what is valid."""
    text, key = certificate()
    (folder / "tls.crt").write_text(text)
    (folder / "tls.key").write_text(key)
    store = folder / "keys.json"
    argv = [sys.executable, str(ROOT / "docs" / "examples" / "mint.py"), "--port", "0"]
    argv += ["--certificate", str(folder / "tls.crt"), "--key", str(folder / "tls.key")]
    argv += ["--store", str(store)]
    process = await Process.start(
        "mint", argv, log=folder / "mint.log", env={**os.environ, "MINT_TOKEN": TOKEN}
    )
    (url,) = await process.ready(limit_seconds=20)
    data = {"token": TOKEN, "ca.crt": text}
    await scene.stage.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "webhook-localhost", "namespace": "garrison-system"},
            "data": {name: base64.b64encode(each.encode()).decode() for name, each in data.items()},
        }
    )
    try:
        yield f"https://localhost:{url.rpartition(':')[2]}/", store
    finally:
        await process.stop()


def valid(store: Path) -> set[str]:
    return set(json.loads(store.read_text())["valid"]) if store.exists() else set()


def rotating(scene: Scene, url: str) -> Body:
    return {
        "apiVersion": "garrison.dev/v1alpha1",
        "kind": "RotatingSecret",
        "metadata": {"name": "hub", "namespace": scene.namespace},
        "spec": {
            "source": {"type": "Webhook", "webhook": {"url": url}},
            "scope": "Lease",
            "rotation": {"everySeconds": 3600, "graceSeconds": 0},
        },
    }


@pytest.mark.timeout(300)
async def test_a_secret_is_rotated_under_load_and_revoked_with_its_lease(
    scene: Scene, tmp_path: Path
) -> None:
    async with mint(scene, tmp_path) as (url, store):
        await scene.stage.apply(rotating(scene, url))
        use = {"rotatingSecretRef": {"name": "hub"}, "file": "hub", "onRotate": "None"}
        await serve(scene, secrets=[use])
        (first,) = valid(store)
        answers: list[int] = []
        async with connected(scene, "chat") as way:
            asking = asyncio.create_task(keep_asking(way, answers))
            await scene.kubectl(
                "annotate", "rsec/hub", "garrison.dev/rotate-requested-at=now", "--overwrite"
            )
            (second,) = await eventually(
                "the first version revoked",
                lambda: asyncio.to_thread(valid, store),
                lambda found: len(found) == 1 and first not in found,
            )
            asking.cancel()
        assert second.endswith("/2")
        assert answers
        assert set(answers) == {200}
        lease = await the_lease(scene)
        assert [each["version"] for each in lease["status"]["secrets"]] == [2]
        await scene.kubectl("delete", "iw", "chat", limit_seconds=60)
        assert valid(store) == set()
        secret = await eventually(
            "the record of the revocation",
            lambda: scene.stage.get("rsec", "hub", "--namespace", scene.namespace),
            lambda body: body["status"].get("revoked") == 2,
        )
        assert secret["status"].get("credentials", []) == []


async def test_a_namespace_goes_with_all_that_was_minted_for_it(
    scene: Scene, tmp_path: Path
) -> None:
    async with mint(scene, tmp_path) as (url, store):
        await scene.stage.apply(rotating(scene, url), egress_policy(scene, "one.example"))
        use = {"rotatingSecretRef": {"name": "hub"}, "file": "hub", "onRotate": "None"}
        await serve(scene, secrets=[use], egressPolicyRef={"name": "hub"})
        assert len(valid(store)) == 1
        await scene.stage.kubectl("delete", "ns", scene.namespace, "--wait=false")
        await scene.namespace_gone()
        assert valid(store) == set()
        assert await scene.paid() == []


async def keep_asking(url: str, answers: list[int]) -> None:
    while True:
        answers.append(await models(url))
        await asyncio.sleep(0.05)
