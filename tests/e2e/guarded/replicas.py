"""Workloads with the agent, as the tests of this folder apply and watch them."""

from __future__ import annotations

from typing import Any

import aiohttp

from garrison.cli.place import Place
from tests.e2e.bodies import Body
from tests.e2e.scene import Scene

PATIENT = {
    "periodSeconds": 1,
    "timeoutSeconds": 5,
    "failureThreshold": 60,
    "startupGraceSeconds": 120,
}
"""Longer than an enrolled sentinel may be silent: on a busy machine a container that starts again is
judged by its sentinel, not by how many probes it missed meanwhile."""


async def serve(scene: Scene, **spec: Any) -> Body:
    """Serve with the agent; returns the lease."""
    await scene.serve("chat", **{"trust": "Verified", "health": PATIENT, **spec})
    return await the_lease(scene)


async def the_lease(scene: Scene) -> Body:
    """Return the only lease; a second one is there because the first failed."""
    found = await scene.leases()
    assert len(found) == 1, [(each.get("status") or {}).get("failure") for each in found]
    return found[0]


def place(scene: Scene) -> Place:
    """Return where commands find the cluster."""
    return Place(kubeconfig=str(scene.stage.kubeconfig), namespace=scene.namespace)


async def models(url: str) -> int:
    """Return the status that a small request is answered with."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/models") as answer:
        await answer.read()
        return answer.status


async def told(scene: Scene, reason: str) -> list[str]:
    """Return the messages of the namespace's Events with a reason."""
    found = await scene.stage.get("events", "--namespace", scene.namespace)
    return [each["message"] for each in found["items"] if each["reason"] == reason]
