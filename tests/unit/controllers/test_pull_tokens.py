"""A service account's key: each provider gets a token of an hour, and nobody gets the key."""

from __future__ import annotations

from typing import Any

import pytest

from garrison.api.meta import LEASE, WORKLOAD
from garrison.controllers.pulls import PROMPT
from garrison.errors import PullLoginError, UnavailableError
from garrison.ports.market import PullLogin
from garrison.ports.registry import Credentials
from tests.unit.controllers.cluster import NAMESPACE, Cluster, workload
from tests.unit.controllers.test_pulls import everything

KEY = '{"type": "service_account", "private_key": "canary-key-20f7"}'
HOST = "registry.example"


def token(number: int) -> PullLogin:
    """What the provider of the replica is to get for which the ``number``-th token was made."""
    return PullLogin(host=HOST, username="oauth2accesstoken", password=f"token-{number}")


def private(**spec: Any) -> dict[str, Any]:
    """A workload whose image needs a login."""
    return workload(imagePullSecrets=[{"name": "hub"}], **spec)


@pytest.fixture
def keyed(cluster: Cluster) -> Cluster:
    """A cluster whose Secret has a key."""
    cluster.registry.logins["hub"] = Credentials(username="_json_key", password=KEY)
    return cluster


async def is_ordered(cluster: Cluster) -> bool:
    return bool(cluster.market.paid())


def manifest_login(cluster: Cluster) -> PullLogin | None:
    """The login in the only manifest."""
    (record,) = cluster.market.paid()
    assert record.lease is not None
    assert record.lease.manifest is not None
    return record.lease.manifest[1].login


async def test_the_order_and_the_manifest_have_the_token_and_nothing_has_the_key(
    keyed: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    await keyed.create(private())
    await keyed.serves()
    (record,) = keyed.market.paid()
    assert record.order.login == token(1) == manifest_login(keyed)
    found = await everything(keyed)
    for secret in ("canary-key-20f7", "token-1"):
        assert secret not in found
        assert secret not in caplog.text
    (lease,) = await keyed.leases()
    events = await keyed.events(lease["metadata"]["name"])
    (note,) = [each["note"] for each in events if each["reason"] == "PullLoginExchanged"]
    assert "ends at 01:00:0" in note
    assert list(keyed.logins.held) == [lease["metadata"]["uid"]]
    await keyed.delete(WORKLOAD, "chat")

    async def is_gone() -> bool:
        return not await keyed.leases()

    await keyed.until(is_gone, "closed")
    assert keyed.logins.held == {}


async def test_each_replica_has_its_own(keyed: Cluster) -> None:
    await keyed.create(private(replicas=2))
    await keyed.serves()
    given = {each.order.login for each in keyed.market.paid()}
    assert given == {token(1), token(2)}


async def test_a_restart_between_order_and_manifest_does_not_change_the_token(
    keyed: Cluster,
) -> None:
    await keyed.create(private())
    await keyed.until(lambda: is_ordered(keyed), "ordered")
    await keyed.stop()
    await keyed.start()
    await keyed.serves()
    assert manifest_login(keyed) == token(1)
    assert keyed.logins.made == ["token-1"]


async def test_a_token_server_that_is_down_delays_the_order(keyed: Cluster) -> None:
    keyed.broken["logins.exchange"] = UnavailableError("tokens.example answered 503")
    await keyed.create(private())

    async def is_asked_again() -> bool:
        return keyed.calls.count("logins.exchange") > 2

    await keyed.until(is_asked_again, "asked again")
    assert "market.create" not in keyed.calls
    assert keyed.market.deployments == {}
    del keyed.broken["logins.exchange"]
    await keyed.serves()
    assert manifest_login(keyed) == token(1)


async def test_a_key_that_is_refused_orders_nothing_and_says_why(keyed: Cluster) -> None:
    keyed.broken["logins.exchange"] = PullLoginError("tokens.example answered 400 (invalid_grant)")
    await keyed.create(private())
    message = await keyed.says(WORKLOAD, "chat", "Ready", "PullLoginRefused")
    assert "answered 400 (invalid_grant)" in message
    assert "market.create" not in keyed.calls
    del keyed.broken["logins.exchange"]
    await keyed.serves()
    assert manifest_login(keyed) == token(1)


async def test_a_login_that_cannot_be_kept_is_not_ordered_with(keyed: Cluster) -> None:
    keyed.broken["logins.keep"] = UnavailableError("the API server is away")
    await keyed.create(private())

    async def is_tried() -> bool:
        return "logins.keep" in keyed.calls

    await keyed.until(is_tried, "tried")
    assert "market.create" not in keyed.calls
    del keyed.broken["logins.keep"]
    await keyed.serves()


async def test_an_order_that_waited_long_for_its_token_goes_in_another_pass(
    keyed: Cluster,
) -> None:
    """Others may have concluded meanwhile that nothing was ordered."""
    keyed.slow[HOST] = 2 * PROMPT.total_seconds()
    await keyed.create(private())
    await keyed.serves()
    assert keyed.logins.made == ["token-1"]
    assert manifest_login(keyed) == token(1)


async def test_a_login_whose_lease_was_taken_away_goes(keyed: Cluster) -> None:
    await keyed.create(private())
    await keyed.serves()
    (lease,) = await keyed.leases()
    name, uid = lease["metadata"]["name"], lease["metadata"]["uid"]
    await keyed.stop()
    kind = keyed.kube._resource(LEASE)
    keyed.store.merge(kind, {"metadata": {"finalizers": []}}, NAMESPACE, name)
    await keyed.delete(LEASE, name)
    await keyed.start()

    async def is_swept() -> bool:
        return uid not in keyed.logins.held

    await keyed.until(is_swept, "swept")
    await keyed.serves()
