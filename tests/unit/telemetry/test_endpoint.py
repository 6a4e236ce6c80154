"""What the kubelet and Prometheus get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from garrison.api.meta import Key
from garrison.errors import UnavailableError
from garrison.telemetry.endpoint import Endpoint, serve
from garrison.telemetry.metrics import EngineMeter, StateCollector

asyncio.set_event_loop(None)
"""Else the first synchronous test makes a loop, through looptime's plugin, that nobody closes."""

KEY = Key(kind="AkashLease", namespace="prod", name="chat-1")
OBJECTS: dict[str, list[dict[str, Any]]] = {
    "AkashLease": [
        {
            "metadata": {"name": "chat-1", "namespace": "prod"},
            "spec": {"workload": "chat"},
            "status": {
                "phase": "Ready",
                "provider": "p1",
                "integrity": {"reference": "Image", "state": "Drifted", "unexplained": ["/tmp/x"]},
            },
        },
        {"status": {"phase": "Ready"}},
        {},
    ],
    "AkashAccount": [
        {
            "metadata": {"name": "treasury"},
            "status": {"burnPerHour": "1.50", "balance": "30.00", "runwayHours": 20},
        },
        {"metadata": {"name": "new"}},
    ],
    "InferenceWorkload": [
        {
            "metadata": {"name": "chat", "namespace": "prod"},
            "spec": {"replicas": 3},
            "status": {"readyReplicas": 2},
        }
    ],
}


class Complaints:
    """What the checks say now; nothing at first."""

    healthy = ""
    ready = ""


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
async def url(complaints: Complaints) -> AsyncIterator[str]:
    registry = CollectorRegistry()
    meter = EngineMeter(registry)
    meter.passed(KEY, 0.02, "Done")
    meter.acted(KEY, "CreateDeployment", None)
    meter.acted(KEY, "CreateDeployment", UnavailableError("down"))
    meter.acted(KEY, "CreateDeployment", RuntimeError("bug"))
    meter.wrote(KEY, "status")
    meter.resynced(7, 2)
    registry.register(StateCollector(lambda kind: OBJECTS[kind], lambda: (5, 2)))
    endpoint = Endpoint(
        registry=registry, healthy=lambda: complaints.healthy, ready=lambda: complaints.ready
    )
    async with serve(endpoint, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


async def got(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_checks_say_what_is_wrong(url: str, complaints: Complaints) -> None:
    assert await got(f"{url}/healthz") == (200, "ok")
    assert await got(f"{url}/readyz") == (200, "ok")
    complaints.healthy = "the watch of AkashLease is late"
    complaints.ready = "not listed yet"
    assert await got(f"{url}/healthz") == (500, "the watch of AkashLease is late")
    assert await got(f"{url}/readyz") == (500, "not listed yet")


@pytest.mark.parametrize(
    "line",
    [
        'garrison_pass_seconds_count{kind="AkashLease",outcome="Done"} 1.0',
        'garrison_actions_total{action="CreateDeployment",kind="AkashLease",reason=""} 1.0',
        'garrison_actions_total{action="CreateDeployment",kind="AkashLease",reason="Unavailable"} 1.0',
        'garrison_actions_total{action="CreateDeployment",kind="AkashLease",reason="Crashed"} 1.0',
        'garrison_api_writes_total{kind="AkashLease",write="status"} 1.0',
        "garrison_resync_ghosts_total 2.0",
        'garrison_leases{phase="Ready"} 2.0',
        'garrison_leases{phase="Pending"} 1.0',
        'garrison_burn_dollars_per_hour{account="treasury"} 1.5',
        'garrison_balance_dollars{account="treasury"} 30.0',
        'garrison_runway_hours{account="treasury"} 20.0',
        'garrison_workload_replicas{namespace="prod",state="wanted",workload="chat"} 3.0',
        'garrison_workload_replicas{namespace="prod",state="ready",workload="chat"} 2.0',
        'garrison_integrity_drifted{lease="chat-1",namespace="prod",provider="p1",reference="Image",'
        'workload="chat"} 1.0',
        'garrison_integrity_unexplained{lease="chat-1",namespace="prod",provider="p1",'
        'reference="Image",workload="chat"} 1.0',
        'garrison_queue_keys{state="waiting"} 3.0',
        'garrison_queue_keys{state="due"} 2.0',
    ],
)
async def test_metrics(url: str, line: str) -> None:
    status, text = await got(f"{url}/metrics")
    assert status == 200
    assert line in text.splitlines()
    assert 'account="new"' not in text


async def test_nothing_else_is_served(url: str) -> None:
    assert (await got(f"{url}/"))[0] == 404
