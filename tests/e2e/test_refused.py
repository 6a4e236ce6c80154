"""Mistakes that only the operator can see, made with kubectl while something else serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from devenv.oci import Layout, Settings
from devenv.push import push
from devenv.stage import NAMESPACE as OPERATOR_NAMESPACE
from devenv.stage import RELEASE
from tests.e2e.bodies import Body, condition
from tests.e2e.refusals import (
    REFUSALS,
    UNREADABLE_SECRET,
    Refusal,
    accounts,
    readable,
    secrets,
)
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually


@pytest_asyncio.fixture(loop_scope="session")
async def words(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Mapping[str, str]]:
    """What the refusals' placeholders stand for; their accounts and Secrets exist meanwhile."""
    registry = scene.stage.images["synthetic"].partition("/")[0]
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    layout = Layout(tmp_path)
    layout.finish([], Settings(entrypoint=("/bin/true",)))
    monkeypatch.undo()
    arm64 = await push(layout, f"http://{registry}", "demo/arm64")
    others = accounts(scene.stage.account)
    await scene.stage.apply(*others, *secrets(scene.namespace))
    yield {"namespace": scene.namespace, "registry": registry, "arm64": arm64}
    # An order whose fate is unknown holds its lease until the market can be asked.
    await scene.stage.apply(scene.stage.account("unreachable", default=False))
    await scene.kubectl("delete", "iw", "--all", "--wait=true", limit_seconds=90)
    names = [each["metadata"]["name"] for each in others]
    await scene.stage.kubectl("delete", "aa", *names, "--timeout=60s", limit_seconds=90)
    keys = ("garbled-key", "refused-key")
    await scene.stage.kubectl("delete", "secret", *keys, "-n", OPERATOR_NAMESPACE)


def filled(value: Any, words: Mapping[str, str]) -> Any:
    """Return a spec with its placeholders replaced."""
    match value:
        case str():
            return value.format(**words)
        case list():
            return [filled(each, words) for each in value]
        case dict():
            return {name: filled(each, words) for name, each in value.items()}
        case _:
            return value


async def _apply(scene: Scene, refusals: Iterable[Refusal], words: Mapping[str, str]) -> None:
    await scene.apply_workloads({each.name: filled(dict(each.spec), words) for each in refusals})


async def _told(scene: Scene, refusals: Sequence[Refusal], words: Mapping[str, str]) -> list[str]:
    """Wait until each has had its reason, and return what was not said with it."""
    seen: dict[str, Body] = {}

    async def untold() -> list[str]:
        found = await scene.workloads()
        for each in refusals:
            if condition(found[each.name], "Ready").get("reason") == each.reason:
                seen.setdefault(each.name, found[each.name])
        return [f"{each.reason} on {each.name}" for each in refusals if each.name not in seen]

    await eventually("all told why", untold, lambda left: not left)
    return [lack for each in refusals for lack in _lacks(each, seen[each.name], words)]


def _lacks(refusal: Refusal, body: Body, words: Mapping[str, str]) -> list[str]:
    """Return what ``Ready`` should say and does not, with what it says."""
    ready = condition(body, "Ready")
    told = "Stalled" if refusal.needs_a_person else "Reconciling"
    lacks = [each for each in filled(list(refusal.says), words) if each not in ready["message"]]
    lacks += ["Ready=False"] if ready["status"] != "False" else []
    lacks += [f"{told}=True"] if condition(body, told).get("reason") != refusal.reason else []
    return [f"{refusal.name}: {each!r} is missing in {ready['message']!r}" for each in lacks]


async def test_every_refusal_names_the_object_and_the_remedy_and_disturbs_nothing(
    scene: Scene, words: Mapping[str, str]
) -> None:
    await scene.serve("chat")
    before = [each["metadata"]["uid"] for each in await scene.leases()]
    await _apply(scene, [UNREADABLE_SECRET], words)
    lacks = await _told(scene, [UNREADABLE_SECRET], words)
    await scene.stage.apply(*readable(scene.namespace, RELEASE))
    await _apply(scene, REFUSALS, words)
    lacks += await _told(scene, REFUSALS, words)
    assert lacks == []
    chat = await scene.workload("chat")
    assert condition(chat, "Ready")["status"] == "True"
    mine = [each for each in await scene.leases() if each["spec"]["workload"] == "chat"]
    assert [each["metadata"]["uid"] for each in mine] == before


async def test_a_mended_spec_is_served_without_further_ado(scene: Scene) -> None:
    await scene.apply_workload("chat", accountRef={"name": "nobody"})
    await scene.until("chat", "Stalled")
    assert await scene.paid() == []
    await scene.apply_workload("chat")
    await scene.wait_ready("chat")


async def test_an_account_says_what_is_wrong_with_its_secret_and_recovers(
    scene: Scene, words: Mapping[str, str]
) -> None:
    async def ready() -> dict[str, Body]:
        found = (await scene.stage.get("aa", *expected))["items"]
        return {each["metadata"]["name"]: condition(each, "Ready") for each in found}

    async def all_of_them() -> dict[str, tuple[Any, Any]]:
        found = await ready()
        return {name: (each.get("status"), each.get("reason")) for name, each in found.items()}

    expected = {
        "without-secret": ("False", "Unauthorized"),
        "without-key": ("False", "Unauthorized"),
        "garbled": ("False", "InvalidSpec"),
        "refused": ("False", "Unauthorized"),
        "unreachable": ("False", "Unavailable"),
    }
    await eventually("a verdict on each", all_of_them, lambda found: found == expected)
    await scene.stage.kubectl(
        "create", "secret", "generic", "no-such-secret", "-n", OPERATOR_NAMESPACE,
        f"--from-literal=key={scene.stage.market.api_key}",
    )  # fmt: skip
    await eventually(
        "the account ready",
        ready,
        lambda found: found["without-secret"].get("status") == "True",
    )
    await scene.stage.kubectl("delete", "secret", "no-such-secret", "-n", OPERATOR_NAMESPACE)


async def test_a_policy_that_nobody_passes_says_which_clause(scene: Scene) -> None:
    policy = {
        "apiVersion": "garrison.dev/v1alpha1",
        "kind": "ProviderPolicy",
        "metadata": {"name": "mars", "namespace": scene.namespace},
        "spec": {"regions": ["mars"]},
    }
    await scene.stage.apply(policy)
    found = await eventually(
        "a verdict on the policy",
        lambda: scene.stage.get("pp", "mars", "-n", scene.namespace),
        lambda body: condition(body, "Ready").get("reason") == "NobodyMatches",
    )
    assert "status.excluded" in condition(found, "Ready")["message"]
    assert [each["clause"] for each in found["status"]["excluded"]] == ["regions"]
