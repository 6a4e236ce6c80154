"""Several nodes as one, honest and not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from garrison.adapters.akash.chain.health import MAX_LAG
from garrison.adapters.akash.chain.nodes import LATEST, Nodes
from garrison.adapters.system import SystemClock
from garrison.errors import NotFoundError, UnavailableError, UnsafeDestinationError
from tests.conformance.akash.recordings import body
from tests.unit.adapters.akash.chain.node_double import (
    IMPATIENCE,
    PATIENCE,
    NodeDouble,
    node_at,
    nodes_of,
)
from tests.unit.adapters.serving import (
    Handler,
    answering,
    closed_port,
    flooding,
    hanging,
    resetting,
    serve_handler,
)

PATH = "/akash/deployment/v1beta4/params"
PARAMS = body("q-params-deployment")


def sound(height: int = 1000) -> NodeDouble:
    double = NodeDouble(height=height)
    double.answers[PATH] = (200, PARAMS)
    return double


@pytest.mark.parametrize(
    "fault",
    [
        answering(200, "<html>Bad gateway</html>"),
        answering(200, '{"params":{"min_dep'),
        answering(200, ""),
        answering(200, "[]"),
        answering(200, '{"a":NaN}'),
        answering(502, "nginx"),
        answering(429, '{"message":"slow down"}'),
        answering(301, "", {"Location": "http://127.0.0.1:1/"}),
        hanging,
        resetting,
        flooding,
    ],
)
async def test_another_node_is_asked_when_one_answers_nonsense(fault: Handler) -> None:
    bad, good = sound(), sound()
    bad.answers[PATH] = fault
    bad.patience = IMPATIENCE if fault is hanging else PATIENCE
    async with nodes_of(bad, good) as nodes:
        assert await nodes.get(PATH) == PARAMS
        asked = len(bad.asked)
        assert await nodes.get(PATH) == PARAMS
        assert len(bad.asked) == asked, "a node that failed is left alone for a while"


async def test_a_node_that_cannot_be_reached_is_passed_over() -> None:
    good = sound()
    async with serve_handler(good.handle) as port:
        dead = node_at(f"http://127.0.0.1:{closed_port()}")
        alive = node_at(f"http://127.0.0.1:{port}")
        nodes = Nodes(nodes=[dead, alive], chain_id="local", clock=SystemClock())
        try:
            assert await nodes.get(PATH) == PARAMS
            assert [each.usable for each in nodes.endpoints()] == [False, True]
        finally:
            await nodes.close()


async def test_nothing_that_answers_is_an_error_naming_every_node() -> None:
    bad = NodeDouble()
    bad.everything = answering(503, "closed for repairs")
    async with nodes_of(bad, bad) as nodes:
        with pytest.raises(UnavailableError, match=r"no node of the chain.*closed for repairs"):
            await nodes.get(PATH)


async def test_a_node_that_lags_is_not_asked() -> None:
    behind, good, other = sound(900), sound(1000), sound(1000 - MAX_LAG)
    async with nodes_of(behind, good, other) as nodes:
        await nodes.get(PATH)
        assert behind.count(PATH) == 0
        lagging, *others = nodes.endpoints()
    assert lagging.lag == 1000 - MAX_LAG - 900
    assert "behind the others" in lagging.message
    assert all(each.usable for each in others)


async def test_a_node_that_claims_a_great_height_does_not_shut_out_the_others() -> None:
    liar, good, other = sound(9_000_000), sound(1000), sound(1001)
    async with nodes_of(good, liar, other) as nodes:
        await nodes.get(PATH)
        assert good.count(PATH) == 1


async def test_a_halted_chain_is_no_chain() -> None:
    halted = sound()
    halted.age = timedelta(minutes=5)
    async with nodes_of(halted) as nodes:
        with pytest.raises(UnavailableError, match=r"300 s old: it halted"):
            await nodes.get(PATH)


async def test_a_node_of_another_chain_is_not_asked() -> None:
    other, good = sound(), sound()
    other.chain_id = "testnet-1"
    async with nodes_of(other, good) as nodes:
        await nodes.get(PATH)
        assert other.count(PATH) == 0
        assert "chain 'testnet-1', not of 'local'" in nodes.endpoints()[0].message


async def test_without_a_chain_id_the_first_answer_decides() -> None:
    async with nodes_of(sound(), chain_id=None) as nodes:
        assert await nodes.chain_id() == "local"


async def test_absence_takes_two_nodes() -> None:
    absent, present = NodeDouble(), sound()
    async with nodes_of(absent, present) as nodes:
        assert await nodes.get(PATH) == PARAMS
    async with nodes_of(absent, NodeDouble()) as nodes:
        with pytest.raises(NotFoundError):
            await nodes.get(PATH)


async def test_a_recorded_absence_is_one_and_another_404_is_none() -> None:
    double = NodeDouble()
    double.answers[PATH] = (404, body("q-deployment-unknown"))
    async with nodes_of(double) as nodes:
        with pytest.raises(NotFoundError, match="Deployment not found"):
            await nodes.get(PATH)
    double.answers[PATH] = answering(404, "404 page not found")
    async with nodes_of(double) as nodes:
        with pytest.raises(UnavailableError):
            await nodes.get(PATH)


async def test_a_block_that_was_seen_is_not_read_behind() -> None:
    behind, ahead = sound(1000), sound(1002)
    async with nodes_of(behind, ahead) as nodes:
        await nodes.get(PATH)
        assert behind.count(PATH) == 1
        nodes.saw(1002)
        await nodes.get(PATH)
        assert (behind.count(PATH), ahead.count(PATH)) == (1, 1)


async def test_an_answer_from_before_a_block_that_was_seen_is_not_believed() -> None:
    stale, fresh = sound(1002), sound(1002)
    stale.told_height, fresh.told_height = 1001, 1002
    async with nodes_of(stale, fresh) as nodes:
        await nodes.head()
        nodes.saw(1002)
        await nodes.get(PATH)
        assert (stale.count(PATH), fresh.count(PATH)) == (1, 1)


async def test_pages_are_read_to_the_end() -> None:
    double = NodeDouble()
    path = "/akash/deployment/v1beta4/deployments/list"
    first, second = body("q-deployments-page-1"), body("q-deployments-page-2")
    key = first["pagination"]["next_key"]
    second["pagination"]["next_key"] = None

    double.answers[path] = (200, first)
    async with nodes_of(double) as nodes:
        double.answers[
            f"{path}?a=b&pagination.limit=500&pagination.key={key.replace('=', '%3D')}"
        ] = (
            200,
            second,
        )
        found = await nodes.pages(path, {"a": "b"}, "deployments")
    assert found == [*first["deployments"], *second["deployments"]]


async def test_pages_without_an_end_are_an_error() -> None:
    double = NodeDouble()
    double.answers[PATH] = (200, {"things": [1], "pagination": {"next_key": "AA=="}})
    async with nodes_of(double) as nodes:
        with pytest.raises(UnavailableError, match="more than 200 pages"):
            await nodes.pages(PATH, {}, "things")


@pytest.mark.parametrize("wrong", [{}, {"things": None}, {"things": 5}, {"things": {"a": 1}}])
async def test_a_list_that_is_none_is_an_error(wrong: dict[str, object]) -> None:
    double = NodeDouble()
    double.answers[PATH] = (200, wrong)
    async with nodes_of(double) as nodes:
        with pytest.raises(UnavailableError, match="not understood"):
            await nodes.pages(PATH, {}, "things")


async def test_a_public_node_without_tls_is_not_dialled() -> None:
    node = node_at("http://1.1.1.1")
    try:
        with pytest.raises(UnsafeDestinationError, match="write https"):
            await node.get(LATEST)
    finally:
        await node.close()


async def test_the_address_that_was_looked_at_is_the_one_that_is_called() -> None:
    """A name that is looked up again may lead elsewhere by then: this one leads nowhere."""

    async def loopback(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with serve_handler(sound().handle) as port:
        node = node_at(f"http://node.invalid:{port}", lookup=loopback)
        try:
            assert (await node.get(PATH)).status == 200
        finally:
            await node.close()


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_a_node_sends_nobody_elsewhere(status: int) -> None:
    double = sound()
    double.answers["/moved"] = answering(status, "{}", {"Location": PATH})
    async with serve_handler(double.handle) as port:
        node = node_at(f"http://127.0.0.1:{port}")
        try:
            with pytest.raises(UnavailableError, match=str(status)):
                await node.get("/moved")
        finally:
            await node.close()
    assert double.count(PATH) == 0
