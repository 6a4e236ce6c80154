"""A private image: the provider gets the login, and it is nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from garrison.api.meta import EVENT, OWN_KINDS, REVISION, WORKLOAD
from garrison.errors import AuthError, RejectedError
from garrison.ports.market import PullLogin
from garrison.ports.registry import Credentials
from tests.unit.controllers.cluster import Cluster, workload

PASSWORD = "canary-pull-9c41"
LOGIN = PullLogin(host="registry.example", username="robot", password=PASSWORD)


def private(**spec: Any) -> dict[str, Any]:
    """A workload whose image needs a login."""
    return workload(imagePullSecrets=[{"name": "hub"}], **spec)


async def everything(cluster: Cluster) -> str:
    """Every object that Garrison writes."""
    kinds = (*OWN_KINDS, REVISION, EVENT)
    return json.dumps([list(await cluster.kube.list(each)) for each in kinds])


@pytest.mark.parametrize("trust", ["Verified", "Unverified"])
async def test_the_provider_gets_it_and_no_object_holds_it(cluster: Cluster, trust: str) -> None:
    cluster.registry.logins["hub"] = Credentials(username="robot", password=PASSWORD)
    await cluster.create(private(trust=trust))
    await cluster.serves()
    (record,) = cluster.market.paid()
    assert record.order.login == LOGIN
    assert record.lease is not None
    assert record.lease.manifest is not None
    assert record.lease.manifest[1].login == LOGIN
    state, reason, message = await cluster.condition(WORKLOAD, "chat", "PullSecretsShared")
    assert (state, reason) == ("True", "ProviderSeesThem")
    assert "registry.example" in message
    found = await everything(cluster)
    assert PASSWORD not in found
    assert "ProviderSeesThem" in found


async def test_the_manifest_has_the_login_of_the_order_though_the_secret_changed(
    cluster: Cluster,
) -> None:
    """The hash of the manifest is on the market by then."""
    cluster.registry.logins["hub"] = Credentials(username="robot", password=PASSWORD)
    await cluster.create(private())

    async def is_ordered() -> bool:
        return bool(cluster.market.paid())

    await cluster.until(is_ordered, "ordered")
    cluster.registry.logins["hub"] = Credentials(username="robot", password="another-3d")
    await cluster.serves()
    (record,) = cluster.market.paid()
    assert record.lease is not None
    assert record.lease.manifest is not None
    assert record.lease.manifest[1].login == LOGIN


async def test_without_pull_secrets_nothing_is_said_or_sent(cluster: Cluster) -> None:
    cluster.registry.logins["hub"] = Credentials(username="robot", password=PASSWORD)
    await cluster.create(workload())
    await cluster.serves()
    (record,) = cluster.market.paid()
    assert record.order.login is None
    assert await cluster.condition(WORKLOAD, "chat", "PullSecretsShared") == ("", "", "")


async def test_an_answer_that_quotes_the_login_is_shown_without_it(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.registry.logins["hub"] = Credentials(username="robot", password=PASSWORD)
    cluster.broken["market.create"] = RejectedError(f"bad SDL: password: {PASSWORD}, line 7")
    await cluster.create(private())

    async def is_told() -> bool:
        return "bad SDL: password: ***, line 7" in await everything(cluster)

    await cluster.until(is_told, "the refusal is told")
    assert PASSWORD not in await everything(cluster)
    assert PASSWORD not in caplog.text


async def test_a_secret_that_is_gone_when_it_is_sent_orders_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_names: object) -> Credentials | None:
        raise AuthError("Secret prod/hub of imagePullSecrets does not exist; create it")

    monkeypatch.setattr(cluster.registry, "credentials", gone)
    body = private()
    await cluster.create(body)
    await cluster.says(WORKLOAD, "chat", "Stalled", "ImageUnavailable")
    assert "market.create" not in cluster.calls
    monkeypatch.undo()
    await cluster.serves()
