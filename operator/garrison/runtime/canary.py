"""Notices a watch that is silently dead: what we know was written must come back as an event.

Every own write, and everything that a full listing finds newer than the cache, is expected on the
watch of its kind. Nothing is written for it, and an idle cluster expects nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from garrison.api.meta import Raw

LIMIT_SECONDS = 60.0


class Canary:
    """Per kind: the newest resourceVersion that a watch delivered, and the oldest still expected."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._seen: dict[str, int] = {}
        self._expected: dict[str, tuple[int, float]] = {}

    def expect(self, raw: Raw) -> None:
        """An object of this version exists: its watch must deliver it, or something newer."""
        kind, version = raw["kind"], int(raw["metadata"]["resourceVersion"])
        if version > self._seen.get(kind, 0) and kind not in self._expected:
            self._expected[kind] = (version, self._time())

    def seen(self, raw: Raw) -> None:
        """A watch delivered this version."""
        kind, version = raw["kind"], int(raw["metadata"]["resourceVersion"])
        self._seen[kind] = max(version, self._seen.get(kind, 0))
        expected = self._expected.get(kind)
        if expected is not None and expected[0] <= version:
            del self._expected[kind]

    def overdue(self, limit: float = LIMIT_SECONDS) -> dict[str, float]:
        """Return the kinds whose watch is late, with the seconds since something was expected."""
        now = self._time()
        return {
            kind: now - since
            for kind, (_, since) in sorted(self._expected.items())
            if now - since > limit
        }
