"""Somebody opens a shell through the provider's gateway: no guard holds it, and that is told."""

from __future__ import annotations

from garrison.api.lease import parse_lease
from garrison.cli.inside import looking
from tests.e2e.bodies import condition
from tests.e2e.guarded.replicas import place, serve, the_lease, told
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually

STAYS = ("python3", "-c", "import sys; print('in', flush=True); sys.stdin.read()")


async def test_a_shell_through_the_gateway_is_told_and_lowers_the_level(scene: Scene) -> None:
    before = await serve(scene)
    assert (await scene.condition("chat", "EgressEnforced"))["status"] == "True"
    async with looking(place(scene), "chat") as inside:
        console = await inside.gateway(parse_lease(before))
        session = await console.shell(STAYS, None, reads=True)
        try:
            async for _, data in session.output():
                assert data.strip() == b"in"
                break
            lowered = await eventually(
                "the level falls",
                lambda: scene.workload("chat"),
                lambda body: condition(body, "EgressEnforced").get("reason") == "BestEffort",
            )
        finally:
            await session.close()
    found = condition(lowered, "EgressEnforced")
    assert found["status"] == "False"
    assert "was started from outside the container" in found["message"]
    (message,) = await eventually("an Event", lambda: told(scene, "EnteredFromOutside"))
    assert "python3" in message
    after = await the_lease(scene)
    assert (after["metadata"]["uid"], after["status"]["phase"]) == (
        before["metadata"]["uid"],
        "Ready",
    )
    assert after["status"]["egress"]["level"] == "BestEffort"
