"""Images checked before any money is spent: in the background, remembered by digest."""

from __future__ import annotations

from datetime import datetime, timedelta

from garrison.api.meta import WORKLOAD, Key
from garrison.api.workload import Workload
from garrison.controllers.references import PullSecrets, References, wanted_of
from garrison.core.situation import Problem
from garrison.errors import AuthError, GarrisonError, RejectedError
from garrison.ports.clock import Clock
from garrison.ports.registry import Image, Registry
from garrison.runtime.jobs import Jobs

JOB = "image"
RETRY = timedelta(seconds=30)
PATIENCE = timedelta(seconds=120)
"""How long a revision waits for its image's layers to be read: to learn whether python3 is there."""
LARGEST = 4 << 30
"""Images of more compressed bytes are read only where integrity asks for it."""


class Images:
    """Answers "is this image there?" without ever blocking a pass."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        registry: Registry,
        secrets: PullSecrets,
        references: References,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._references = references
        self._registry = registry
        self._secrets = secrets
        self._clock = clock
        self._good: dict[Key, Image] = {}
        self._bad: dict[Key, tuple[str, datetime, GarrisonError]] = {}

    def forget(self, key: Key) -> None:
        """Drop what is known for a workload."""
        self._good.pop(key, None)
        self._bad.pop(key, None)
        self._jobs.cancel(key)

    def verdict(self, workload: Workload) -> tuple[bool, Problem | None, Problem | None]:
        """Return (readable, problem, waiting): a problem needs a person, waiting passes by itself."""
        key = _key(workload)
        reference = workload.spec.image
        self._fold(key, reference)
        found = self.image(workload)
        if found is not None:
            return self._inside(key, workload, found)
        bad = self._bad.get(key)
        stale = bad is None or bad[0] != reference or self._clock.now() - bad[1] >= RETRY
        if stale and not self._jobs.running(key, JOB):
            self._jobs.start(key, JOB, lambda: self._look(workload))
        if bad is None or bad[0] != reference:
            return False, None, Problem(reason="CheckingImage", message=f"checking {reference}")
        return False, *_explained(bad[2])

    def _inside(
        self, key: Key, workload: Workload, image: Image
    ) -> tuple[bool, Problem | None, Problem | None]:
        """The sentinel needs python3; where the layers cannot be read, its start will tell."""
        spec = workload.spec
        if spec.trust == "Unverified" or (spec.integrity is None and image.size > LARGEST):
            return True, None, None
        patterns = spec.integrity.paths if spec.integrity is not None else ()
        reading = self._references.reading(key, wanted_of(workload.meta.namespace, spec, patterns))
        if reading.contents is not None and reading.contents.python is False:
            return False, _without_python(spec.image), None
        late = self._clock.now() - reading.since >= PATIENCE
        if reading.contents is not None or reading.hopeless or late:
            return True, None, None
        message = f"reading the layers of {spec.image}"
        return False, None, Problem(reason="CheckingImage", message=message)

    def image(self, workload: Workload) -> Image | None:
        """Return the workload's image as it was read, None while it has not been."""
        found = self._good.get(_key(workload))
        return found if found is not None and found.reference == workload.spec.image else None

    def _fold(self, key: Key, reference: str) -> None:
        result = self._jobs.take(key, JOB)
        if result is None:
            return
        if isinstance(result.value, Image) and result.value.reference == reference:
            self._good[key] = result.value
            self._bad.pop(key, None)
        elif isinstance(result.error, GarrisonError):
            self._bad[key] = (reference, self._clock.now(), result.error)

    async def _look(self, workload: Workload) -> Image:
        names = tuple(each.name for each in workload.spec.image_pull_secrets)
        credentials = await self._secrets.credentials(
            workload.meta.namespace, names, workload.spec.image
        )
        return await self._registry.image(workload.spec.image, credentials)


def _without_python(image: str) -> Problem:
    return Problem(
        reason="NoPython",
        message=f"{image} has no python3, which the agent in the container needs: add python3 3.9 or "
        "newer with its standard library, or set spec.trust: Unverified to run without the agent",
    )


def _explained(error: GarrisonError) -> tuple[Problem | None, Problem | None]:
    if isinstance(error, RejectedError | AuthError):
        return Problem(reason="ImageUnavailable", message=str(error)), None
    return None, Problem(reason="RegistryUnavailable", message=str(error))


def _key(workload: Workload) -> Key:
    return Key(kind=WORKLOAD.kind, namespace=workload.meta.namespace, name=workload.meta.name)
