"""One pass over one key: observe, plan, act, conclude, one status write."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from garrison.api.meta import Key, Raw
from garrison.errors import ConflictError, GarrisonError, NotFoundError, TransientError
from garrison.ports.clock import Clock
from garrison.ports.kube import Kube
from garrison.runtime.cache import Cache
from garrison.runtime.canary import Canary
from garrison.runtime.controller import Controller, Outcome, Verdict
from garrison.runtime.meter import Meter
from garrison.runtime.notes import Notes

log = logging.getLogger("garrison.engine")

Ending: TypeAlias = Literal["Done", "Failed", "Conflict", "Gone", "Crashed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """How a pass ended and when to look again (seconds; None: when something changes)."""

    ending: Ending
    requeue_after: float | None = None
    retry_after: float | None = None


class Executor:
    """Runs the passes of all kinds. It is here, and in jobs, that exceptions are caught broadly."""

    def __init__(
        self,
        *,
        controllers: Mapping[str, Controller[Any, Any]],
        cache: Cache,
        kube: Kube,
        clock: Clock,
        meter: Meter,
        canary: Canary,
        notes: Notes,
    ) -> None:
        self._controllers = controllers
        self._cache = cache
        self._kube = kube
        self._clock = clock
        self._meter = meter
        self._canary = canary
        self._notes = notes

    async def run(self, key: Key) -> Passed:
        """Run one pass. Raises nothing but cancellation."""
        controller = self._controllers[key.kind]
        raw = self._cache.get(key)
        if raw is None:
            forget = getattr(controller, "forget", None)
            if forget is not None:
                forget(key)
            return Passed(ending="Gone")
        try:
            return await self._pass(controller, key, raw)
        except ConflictError:
            return await self._refreshed(controller, key)
        except NotFoundError as error:
            log.info("%s: %s", key, error)
            return await self._refreshed(controller, key)
        except GarrisonError as error:
            log.warning("%s: %s: %s", key, error.reason, error)
            return Passed(ending="Failed", retry_after=_retry_after(error))
        except Exception:
            log.exception("%s: the pass crashed; this is a bug in Garrison, please report it", key)
            return Passed(ending="Crashed")

    async def _refreshed(self, controller: Controller[Any, Any], key: Key) -> Passed:
        """Somebody else wrote first, or the object is gone: read it again, then look again."""
        try:
            raw = await self._kube.get(controller.kind, key.namespace, key.name)
        except GarrisonError as error:
            return Passed(ending="Failed", retry_after=_retry_after(error))
        if raw is None:
            self._cache.remove(key)
            return Passed(ending="Gone", requeue_after=0.0)
        self._cache.put(raw)
        return Passed(ending="Conflict")

    async def _pass(self, controller: Controller[Any, Any], key: Key, raw: Raw) -> Passed:
        observed = await controller.observe(raw)
        plan = controller.plan(observed, self._clock.now())
        outcomes = await self._act(controller, key, plan.actions, observed)
        verdict = controller.conclude(observed, outcomes, self._clock.now())
        await self._write(controller, key, raw, verdict)
        error = next((each.error for each in outcomes if each.error is not None), None)
        if error is None:
            return Passed(ending="Done", requeue_after=_earliest(plan.requeue_after, verdict))
        if isinstance(error, ConflictError | NotFoundError):
            await self._refreshed(controller, key)
        return Passed(
            ending="Failed",
            requeue_after=verdict.requeue_after,
            retry_after=_retry_after(error),
        )

    async def _act(
        self,
        controller: Controller[Any, Any],
        key: Key,
        actions: tuple[object, ...],
        observed: object,
    ) -> tuple[Outcome[Any], ...]:
        outcomes: list[Outcome[Any]] = []
        for action in actions:
            name = type(action).__name__
            try:
                value = await controller.act(action, observed)
            except GarrisonError as error:
                log.info("%s: %s failed: %s: %s", key, name, error.reason, error)
                outcomes.append(Outcome(action=action, error=error))
            except Exception as error:
                log.exception("%s: %s crashed; this is a bug in Garrison", key, name)
                outcomes.append(Outcome(action=action, error=error))
            else:
                log.debug("%s: %s", key, name)
                outcomes.append(Outcome(action=action, value=value))
            self._meter.acted(key, name, outcomes[-1].error)
            if outcomes[-1].error is not None:
                break
        return tuple(outcomes)

    async def _write(
        self, controller: Controller[Any, Any], key: Key, raw: Raw, verdict: Verdict
    ) -> None:
        if verdict.status is not None and verdict.status != (raw.get("status") or {}):
            written = await self._kube.replace_status(
                controller.kind,
                key.namespace,
                key.name,
                status=verdict.status,
                resource_version=raw["metadata"]["resourceVersion"],
            )
            self._meter.wrote(key, "status")
            self._cache.put(written)
            self._canary.expect(written)
        self._notes.add(key, verdict.notes)


def _earliest(planned: float | None, verdict: Verdict) -> float | None:
    if planned is None or verdict.requeue_after is None:
        return planned if verdict.requeue_after is None else verdict.requeue_after
    return min(planned, verdict.requeue_after)


def _retry_after(error: Exception) -> float | None:
    return error.retry_after if isinstance(error, TransientError) else None
