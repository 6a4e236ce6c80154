"""A file of the image is swapped in the running container: told, and left where that is asked for."""

from __future__ import annotations

import json

import pytest

from tests.e2e.bodies import Body, condition
from tests.e2e.guarded.replicas import serve, the_lease, told
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually

PROGRAM = "/opt/workload/serve.py"
PERIOD = 60
"""The shortest that the schema takes."""


def looks(*more: str, on_drift: str) -> Body:
    return {"paths": ["/opt/workload/**", *more], "everySeconds": PERIOD, "onDrift": on_drift}


async def serve_looked_at(scene: Scene, on_drift: str) -> Body:
    """Serve, compared with the image's own layers, read from a real registry; returns the lease."""
    lease = await serve(scene, integrity=looks(on_drift=on_drift))
    record = lease["status"]["integrity"]
    assert (record["reference"], record["state"], record["stage"]) == (
        "Image",
        "Verified",
        "Running",
    ), record
    assert (await scene.workload("chat"))["spec"]["image"].endswith(record["referenceDigest"])
    await scene.until("chat", "IntegrityVerified")
    verified = await scene.condition("chat", "IntegrityVerified")
    assert "not against a provider that owns the machine" in verified["message"]
    return lease


def looked_at(scene: Scene, lease: Body) -> int:
    """Return how often the operator has looked inside a lease, by its log of every action."""
    name, log = lease["metadata"]["name"], scene.stage.folder / "operator.log"
    return sum(name in each and "LookInside" in each for each in log.read_text().splitlines())


async def swap(scene: Scene) -> None:
    (paid,) = await scene.paid()
    await scene.admin.swap_file(
        paid.dseq, paid.gseq, paid.oseq, path=PROGRAM, content="print('swapped')"
    )


async def test_a_swapped_file_is_told_at_the_next_look_and_the_replica_left_alone(
    scene: Scene,
) -> None:
    """Other paths are looked at as soon as they are asked for: nobody waits for a period here."""
    before = await serve_looked_at(scene, "Alert")
    await swap(scene)
    patch = {"spec": {"integrity": looks("/etc/passwd", on_drift="Alert")}}
    await scene.kubectl("patch", "iw/chat", "--type=merge", "--patch", json.dumps(patch))
    drifted = await eventually(
        "the swapped file told",
        lambda: scene.workload("chat"),
        lambda body: condition(body, "IntegrityVerified").get("status") == "False",
    )
    found = condition(drifted, "IntegrityVerified")
    assert found["reason"] == "IntegrityDrift"
    assert PROGRAM in found["message"]
    messages = await eventually("an Event", lambda: told(scene, "IntegrityDrift"))
    assert any(PROGRAM in each for each in messages), messages
    after = await the_lease(scene)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["phase"] == "Ready"


@pytest.mark.long
async def test_a_swapped_file_is_noticed_by_the_next_look_and_the_provider_left(
    scene: Scene,
) -> None:
    """Looks are a period apart (the simulation holds that), and none passes over what has changed."""
    lease = await serve_looked_at(scene, "Replace")
    await swap(scene)
    before = looked_at(scene, lease)
    failed = await eventually(
        "the swapped file noticed",
        lambda: scene.workload("chat"),
        lambda body: bool(body["status"].get("failures")),
        limit_seconds=2 * PERIOD,
    )
    assert looked_at(scene, lease) == before + 1
    (failure,) = failed["status"]["failures"]
    assert (failure["reason"], failure["blame"]) == ("IntegrityDrift", "Provider")
    assert PROGRAM in failure["message"]
    assert await told(scene, "IntegrityDrift")
    await scene.wait_ready("chat")
