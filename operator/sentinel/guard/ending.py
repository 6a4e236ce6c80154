"""Ends connections that a changed policy denies, and goes on trying with those that it cannot."""

from __future__ import annotations

import time

from sentinel.guard.audit import Audit
from sentinel.guard.loop import Loop
from sentinel.guard.outbound import Copies, Outbound, Replaced
from sentinel.guard.verdict import Decider

_PAUSE_SECONDS = 1.0
_SHARE = 20
"""Trying takes at most one twentieth of a processor: after a long look comes a long pause."""


class Ending:
    """Belongs to the guard's loop; ``remaining`` may be read from any thread."""

    def __init__(
        self, loop: Loop, audit: Audit, outbound: Outbound, decider: Decider, copies: Copies
    ) -> None:
        self._loop = loop
        self._audit = audit
        self._outbound = outbound
        self._decider = decider
        self._copies = copies
        self._due = False
        self.remaining: tuple[str, ...] = ()
        """Where connections lead that the policy in force denies and that live on."""

    def end_denied(self) -> Replaced:
        """End what the policy in force denies; what is left is tried again until it is gone."""
        return self._keep(self._outbound.end_denied(self._decider, self._copies), _PAUSE_SECONDS)

    def _keep(self, done: Replaced, pause: float) -> Replaced:
        self.remaining = done.remaining
        if done.remaining and not self._due:
            self._due = True
            self._loop.later(pause, self._again)
        return done

    def _again(self) -> None:
        self._due = False
        began, before = time.thread_time(), self.remaining
        done = self._outbound.end_left(self._decider, self._copies)
        if done.closed or done.remaining != before:
            self._audit.record("ended", closed=done.closed, remaining=list(done.remaining))
        self._keep(done, max(_PAUSE_SECONDS, (time.thread_time() - began) * _SHARE))
