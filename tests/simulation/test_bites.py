"""The simulation bites: take one safeguard away, and some seed notices."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from garrison.api.lease import Lease
from garrison.api.secret import CredentialStatus, RotatingSecret
from garrison.controllers import account as account_controller
from garrison.controllers import lease as lease_controller
from garrison.controllers import secrets as secrets_controller
from garrison.controllers import workload as workload_controller
from garrison.controllers.mints import Mints
from garrison.controllers.secrets import SecretController
from garrison.controllers.writes import Create
from garrison.core import (
    budget,
    fleet,
    minting,
    proving,
    rotation,
    serving,
    sweep,
    traffic,
    treasury,
    winding,
)
from garrison.core.lifecycle import CreateDeployment, DepositEscrow, Observation, Step
from garrison.core.phase import failed
from garrison.errors import UnknownOutcomeError
from garrison.ports.credentials import CredentialAsk
from tests.safeguards import without_intent
from tests.simulation.run import LONG_EVERY, LONG_SEED, run_seed

SEEDS = range(300)
Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _doubled_create(patch: pytest.MonkeyPatch) -> None:
    trade = lease_controller.LeaseController._trade

    async def twice(self: Any, action: Any, o: Observation) -> object:
        if isinstance(action, CreateDeployment):
            await trade(self, action, o)
        return await trade(self, action, o)

    patch.setattr(lease_controller.LeaseController, "_trade", twice)


def _unverified_close(patch: pytest.MonkeyPatch) -> None:
    def hasty(o: Observation) -> Step:
        return Step(status=winding.closed(o))

    patch.setattr(winding, "_close", hasty)


def _no_ceilings(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(budget, "refusal", lambda *_args, **_more: None)


def _eager_routing(patch: pytest.MonkeyPatch) -> None:
    def eager(leases: Any) -> tuple[traffic.Backend, ...]:
        found: list[Lease] = [each for each in leases if each.status.endpoint is not None]
        return tuple(
            traffic.Backend(
                lease=each.meta.name,
                host=each.status.endpoint.host,
                port=each.status.endpoint.port,
                draining=False,
            )
            for each in found
            if each.status.endpoint is not None
        )

    patch.setattr(workload_controller, "backends", eager)


def _forgetful_ledger(patch: pytest.MonkeyPatch) -> None:
    """Replicas are created before their names are persisted."""
    create = workload_controller.WorkloadController.plan

    def plan(self: Any, observed: Any, now: Any) -> Any:
        found = create(self, observed, now)
        known = (
            {entry.name for entry in observed.workload.status.leases}
            if observed.workload
            else set()
        )
        early = tuple(
            Create(entry=each) for each in observed.moves.ledger if each.name not in known
        )
        return type(found)(actions=(*found.actions, *early), requeue_after=found.requeue_after)

    patch.setattr(workload_controller.WorkloadController, "plan", plan)


def _doubled_deposit(patch: pytest.MonkeyPatch) -> None:
    trade = lease_controller.LeaseController._trade

    async def twice(self: Any, action: Any, o: Observation) -> object:
        if isinstance(action, DepositEscrow):
            await trade(self, action, o)
        return await trade(self, action, o)

    patch.setattr(lease_controller.LeaseController, "_trade", twice)


def _hasty_deposit(patch: pytest.MonkeyPatch) -> None:
    """A reading is believed at once, and a deposit without an answer forgotten."""
    patch.setattr(treasury, "is_believed", lambda *_args: True)


def _no_deposits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(treasury, "is_due", lambda _o: False)


def _doubled_mint(patch: pytest.MonkeyPatch) -> None:
    mint = Mints._mint

    async def twice(self: Any, *details: Any) -> Any:
        await mint(self, *details)
        return await mint(self, *details)

    patch.setattr(Mints, "_mint", twice)


def _unknown_mint_refused(patch: pytest.MonkeyPatch) -> None:
    """A mint that may have been sent passes for one that was refused."""
    mint = Mints._mint

    async def sure(self: Any, account: Any, *details: Any) -> Any:
        try:
            return await mint(self, account, *details)
        except UnknownOutcomeError:
            return replace(account.status.mint, outcome="Refused")

    patch.setattr(Mints, "_mint", sure)


def _pause_after_refusal(pause: timedelta) -> Patch:
    """How long a mint that was refused is not asked for again."""
    return lambda patch: patch.setattr(minting, "REFUSED_PAUSE", pause)


def _forgotten_adoption(patch: pytest.MonkeyPatch) -> None:
    """What is adopted is on record, and nobody looks there."""

    def unread(*args: Any, **known: Any) -> Any:
        return sweep.strangers(*args, **{**known, "adopted": frozenset()})

    patch.setattr(account_controller, "strangers", unread)


def _no_look(patch: pytest.MonkeyPatch) -> None:
    """A replica serves before anybody has looked at what runs in it."""
    patch.setattr(proving, "before_ready", lambda _o: None)


def _failed_repeat_ends(patch: pytest.MonkeyPatch) -> None:
    """A replica that serves fails for its repeated benchmark."""
    watched = serving.ready

    def ready(o: Observation) -> Step:
        step = watched(o)
        found = step.status.benchmark
        if found is None or found.passed:
            return step
        status = failed(step.status, "BenchmarkFailed", found.message, "Undecided", o.now)
        return replace(step, status=status)

    patch.setattr(serving, "ready", ready)


def _hasty_retirement(patch: pytest.MonkeyPatch) -> None:
    """What failed a repeat is counted as leaving: nothing waits for its successor."""
    count = fleet.views

    def hasty(*args: Any) -> tuple[Any, ...]:
        return tuple(replace(each, ready=each.ready and not each.outgoing) for each in count(*args))

    patch.setattr(fleet, "views", hasty)


def _believed_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    """Every replica passes for one that has the newest version."""
    for module in (rotation, secrets_controller):
        patch.setattr(module, "acknowledged", lambda *_args: True)


def _unawaited_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    """A version is revoked as soon as there is a newer one, whoever has that."""

    def is_ripe(view: rotation.RotationView, credential: CredentialStatus) -> bool:
        newer = rotation.newest(view.secret.status, credential.holder)
        return newer is not None and newer.version > credential.version

    async def unasked(*_args: object) -> None:
        return None

    patch.setattr(rotation, "_is_ripe", is_ripe)
    patch.setattr(SecretController, "_must_be_replaced", unasked)


def _unawaited_revocation(patch: pytest.MonkeyPatch) -> None:
    """A lease's object goes when its deployment is closed, whatever is still valid for it."""

    async def nothing(*_args: object) -> tuple[str, ...]:
        return ()

    patch.setattr(secrets_controller.Deliveries, "unrevoked", nothing)


def _revoked_at_the_newest_source(patch: pytest.MonkeyPatch) -> None:
    """A credential is revoked at what the spec names now, not where it was minted."""
    ask = secrets_controller.ask_for

    def moved(secret: RotatingSecret, credential: CredentialStatus) -> CredentialAsk:
        return replace(ask(secret, credential), source=secret.spec.source)

    patch.setattr(secrets_controller, "ask_for", moved)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("patch", "complaint", "lucky"),
    [
        pytest.param(without_intent, "open deployments for one lease", 9, id="intent removed"),
        pytest.param(_doubled_create, "open deployments for one lease", 1, id="create doubled"),
        pytest.param(_unverified_close, "still paid", 9, id="close not verified"),
        pytest.param(_no_ceilings, "the ceiling is", 9, id="ceilings ignored"),
        pytest.param(_eager_routing, "was never Ready", 6, id="routed before Ready"),
        pytest.param(_no_look, "nobody has looked inside", 11, id="no look at what runs"),
        pytest.param(_forgetful_ledger, "is in no ledger", 9, id="ledger after the fact"),
        pytest.param(_forgotten_adoption, "adopted deployments", 1, id="adoption forgotten"),
        pytest.param(_doubled_deposit, "went into deployment", 6, id="deposit doubled"),
        pytest.param(_doubled_mint, "after the last mint", 9, id="mint doubled"),
        pytest.param(_unknown_mint_refused, "after the last mint", 42, id="mint taken for refused"),
        pytest.param(
            _pause_after_refusal(timedelta()), "was tried", 0, id="refused mint repeated at once"
        ),
        pytest.param(
            _pause_after_refusal(minting.MINT_EVERY), "was refused", 57, id="refused mint given up"
        ),
        pytest.param(_failed_repeat_ends, "served, and failed", 0, id="failed repeat ends"),
        pytest.param(
            _hasty_retirement, "before a successor was Ready", 0, id="successor not awaited"
        ),
        pytest.param(
            _believed_acknowledgement, "with the revoked credential", 8, id="no acknowledgement"
        ),
        pytest.param(
            _unawaited_acknowledgement, "with the revoked credential", 8, id="revoked too early"
        ),
        pytest.param(_unawaited_revocation, "are still valid", 25, id="revocation not awaited"),
        pytest.param(
            _revoked_at_the_newest_source, "counts as revoked", 99, id="revoked elsewhere"
        ),
        pytest.param(_hasty_deposit, "went into deployment", 3, id="outcome not awaited"),
    ],
)
def test_a_missing_safeguard_is_noticed(
    monkeypatch: pytest.MonkeyPatch, patch: Patch, complaint: str, lucky: int
) -> None:
    """``lucky`` is a seed that has noticed it: looked at first, to be quick."""
    patch(monkeypatch)
    for seed in (lucky, *SEEDS):
        if any(complaint in each for each in run_seed(seed).broken):
            return
    pytest.fail(f"no seed of {SEEDS} noticed; the simulation does not check this")


@pytest.mark.timeout(300)
def test_an_escrow_that_nobody_fills_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the seeds with a long quiet see it."""
    _no_deposits(monkeypatch)
    for seed in range(LONG_SEED, 150, LONG_EVERY):
        if any("ran out" in each for each in run_seed(seed).broken):
            return
    pytest.fail("no seed noticed; the simulation does not check this")
