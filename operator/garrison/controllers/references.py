"""What images hold, read layer by layer in the background and remembered by digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from garrison.api.container import Template
from garrison.api.meta import Key
from garrison.api.workload import WorkloadSpec
from garrison.errors import AuthError, GarrisonError, TransientError
from garrison.ports.clock import Clock
from garrison.ports.registry import Contents, Credentials, Registry
from garrison.runtime.jobs import Jobs, Result

RETRY = timedelta(seconds=30)
LOGIN_RETRY = timedelta(minutes=10)
"""After a login that was refused: a person may correct it."""
MEMORY = 64
FILES = 300_000
"""Of all images that are remembered together: what that takes in memory."""
TURNS = 2
"""Images of one namespace that are read at the same time: fewer than are read at all, so others get on."""


class PullSecrets(Protocol):
    """Finds registry logins in the Secrets that a workload names."""

    async def credentials(
        self, namespace: str, names: Sequence[str], reference: str
    ) -> Credentials | None:
        """Return the login for the reference's registry, None when no Secret has one.

        Raises AuthError when a Secret is missing or may not be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An image and the patterns of files that matter in it, and by whose login it is read.

    What one namespace could or could not read says nothing about another's.
    """

    namespace: str
    image: str
    pull_secrets: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far the reading of an image is. ``hopeless``: trying again is useless."""

    since: datetime
    contents: Contents | None = None
    error: str = ""
    hopeless: bool = False
    failed_at: datetime | None = None
    again: timedelta | None = None
    """after what time it is tried again; None: never, by itself"""
    owner: Key | None = None
    """whose job reads it now"""


class References:
    """One walk per image and patterns at a time, whoever asks."""

    def __init__(
        self, *, jobs: Jobs, registry: Registry, secrets: PullSecrets, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._secrets = secrets
        self._clock = clock
        self._known: dict[Wanted, Reading] = {}
        self._turns = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(TURNS))

    def reading(self, key: Key, wanted: Wanted) -> Reading:
        """Return what is known of an image's layers; start to read them for ``key`` when due."""
        known = self._folded(wanted)
        if self._is_due(known) and not self._jobs.running(key, _job(wanted)):
            self._jobs.start(key, _job(wanted), lambda: self._read(wanted))
            known = replace(known, owner=key)
        self._keep(wanted, known)
        return known

    def _folded(self, wanted: Wanted) -> Reading:
        known = self._known.get(wanted) or Reading(since=self._clock.now())
        if known.owner is None:
            return known
        result = self._jobs.take(known.owner, _job(wanted))
        if result is not None:
            return _finished(known, result, self._clock.now())
        running = self._jobs.running(known.owner, _job(wanted))
        return known if running else replace(known, owner=None)

    def _is_due(self, known: Reading) -> bool:
        if known.contents is not None or known.owner is not None:
            return False
        if known.failed_at is None:
            return True
        return known.again is not None and self._clock.now() - known.failed_at >= known.again

    def _keep(self, wanted: Wanted, known: Reading) -> None:
        """The ones that are asked for stay: of the others the oldest of whoever has most goes."""
        self._known.pop(wanted, None)
        self._known[wanted] = known
        while len(self._known) > MEMORY or sum(map(_size, self._known.values())) > FILES:
            idle = self._dispensable(wanted)
            if idle is None:
                return
            del self._known[idle]

    def _dispensable(self, wanted: Wanted) -> Wanted | None:
        taken: Counter[str] = Counter()
        for each, of in self._known.items():
            taken[each.namespace] += _size(of) + FILES // MEMORY
        idle = [each for each, of in self._known.items() if of.owner is None and each != wanted]
        return max(idle, key=lambda each: taken[each.namespace], default=None)

    async def _read(self, wanted: Wanted) -> Contents:
        async with self._turns[wanted.namespace]:
            credentials = await self._secrets.credentials(
                wanted.namespace, wanted.pull_secrets, wanted.image
            )
            return await self._registry.contents(wanted.image, credentials, wanted.patterns)


def wanted_of(
    namespace: str, container: WorkloadSpec | Template, patterns: tuple[str, ...]
) -> Wanted:
    """Return what is to be read for a container."""
    return Wanted(
        namespace=namespace,
        image=container.image,
        pull_secrets=tuple(each.name for each in container.image_pull_secrets),
        patterns=patterns,
    )


def _job(wanted: Wanted) -> str:
    return f"contents {hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]}"


def _size(known: Reading) -> int:
    return len(known.contents.files) if known.contents is not None else 0


def _finished(known: Reading, result: Result, now: datetime) -> Reading:
    if isinstance(result.value, Contents):
        return Reading(since=known.since, contents=result.value)
    error = result.error
    final = isinstance(error, GarrisonError) and not isinstance(error, TransientError)
    return Reading(
        since=known.since,
        error=str(error) or type(error).__name__,
        hopeless=final,
        failed_at=now,
        again=LOGIN_RETRY if isinstance(error, AuthError) else None if final else RETRY,
    )
