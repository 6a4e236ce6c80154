"""Whose deployments these are: an orphan is closed, so nothing else may ever be called one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.lease import DeploymentStatus, Lease
from garrison.core.marker import Marker
from garrison.core.sweep import MAX_STRANGERS, strangers
from garrison.ports.market import Deployment, DeploymentState
from tests.builders import INSTALLATION, LEASE_UID, NOW, deployment, lease
from tests.unit.core.observations import World, marker, worlds


def recorded(id_: str = "100", **status: Any) -> Lease:
    record = DeploymentStatus(id=id_, marker=marker(0), ordered_at=NOW)
    return lease("Bidding", deployment=record, **status)


@pytest.mark.parametrize(
    ("case", "found", "owner", "released", "kind"),
    [
        ("owned by its record", deployment(), recorded(), (), None),
        ("will be adopted", deployment(), lease("Ordering"), (), None),
        ("nobody's", deployment(), None, (), "Orphan"),
        ("an earlier attempt", deployment(), lease("Ordering", attempt=1), (), "Orphan"),
        ("a double", deployment(), recorded("99"), (), "Orphan"),
        ("its lease is over", deployment(), recorded(closed_at=NOW), (), "Orphan"),
        ("released on purpose", deployment(), None, ("100",), "Released"),
        (
            "another installation's",
            deployment(marker="garrison-ffffffff-" + "0" * 32 + "-0"),
            None,
            (),
            "Foreign",
        ),
        ("a person's", deployment(marker="dcloud"), None, (), "Foreign"),
        ("without a name", deployment(marker=""), None, (), "Foreign"),
        ("closed already", deployment(state=DeploymentState.CLOSED), None, (), None),
    ],
)
def test_kinds(
    case: str, found: Deployment, owner: Lease | None, released: tuple[str, ...], kind: str | None
) -> None:
    leases = {} if owner is None else {owner.meta.uid: owner}
    named = strangers(
        [found],
        leases,
        installation=INSTALLATION,
        released=frozenset(released),
        adopted=frozenset(),
    )
    assert [each.kind for each in named] == ([] if kind is None else [kind]), case


@given(world=worlds(), others=st.lists(st.text(max_size=200), max_size=60))
def test_nothing_that_a_lease_pays_for_or_may_adopt_is_called_an_orphan(
    world: World, others: list[str]
) -> None:
    of = world.lease()
    status = of.status
    mine = deployment(marker=marker(status.attempt))
    foreign = [
        deployment(id=str(number), marker=text) for number, text in enumerate(others, start=1000)
    ]
    named = strangers(
        [*foreign, mine],
        {LEASE_UID: of},
        installation=INSTALLATION,
        released=frozenset(),
        adopted=frozenset(),
    )
    orphans = {each.deployment for each in named if each.kind == "Orphan"}
    assert orphans <= {"100"}
    if status.closed_at is None:
        assert orphans == set()
    assert len(named) <= MAX_STRANGERS


@given(st.integers(0, 120))
def test_orphans_are_never_crowded_out_by_strangers(count: int) -> None:
    foreign = [deployment(id=f"{number:04}", marker="") for number in range(count)]
    lost = deployment(
        id="9999", marker=str(Marker(installation=INSTALLATION, lease=LEASE_UID, attempt=0))
    )
    named = strangers(
        [*foreign, lost], {}, installation=INSTALLATION, released=frozenset(), adopted=frozenset()
    )
    assert named[0].deployment == "9999"
