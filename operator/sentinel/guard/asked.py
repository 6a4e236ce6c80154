"""What the kernel asks about under a filter with a listener: the parts that answer, wired."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sentinel.guard import kernel
from sentinel.guard.annex import Annex
from sentinel.guard.audit import Audit
from sentinel.guard.connects import Connects
from sentinel.guard.ending import Ending
from sentinel.guard.fastpath import FastPath, OwnFastPath
from sentinel.guard.ladder import COPY, OWN, Rung
from sentinel.guard.loop import Loop
from sentinel.guard.notification import Listener
from sentinel.guard.outbound import Replaced, copied
from sentinel.guard.questions import Questions
from sentinel.guard.sockets import Sockets
from sentinel.guard.tracee import Tracees
from sentinel.guard.verdict import Decider

_SWEEP_SECONDS = 1.0


class Asked:
    """Answers in a thread of its own. ``end_denied`` is for who has a turn of the loop."""

    def __init__(  # noqa: PLR0917 -- wired in one place
        self,
        loop: Loop,
        listener: Listener,
        tracees: Tracees,
        decider: Decider,
        audit: Audit,
        rung: Rung,
        annex: Annex | None,
        *,
        kernel_unix: bool,
    ) -> None:
        self._loop, self._listener, self._rung = loop, listener, rung
        sockets = Sockets(loop, listener, tracees, audit, rung, annex)
        self.connects = Connects(
            loop, listener, tracees, decider, audit, rung, sockets.kept, kernel_unix=kernel_unix
        )
        self._kept = sockets.kept
        copies = self._kept.copies if rung.connect == OWN else copied(tracees)
        self._ending = Ending(loop, audit, self.connects.outbound, decider, copies)
        fast = None
        if listener.keeps_answers:
            parts = listener, tracees, decider, audit, self.connects
            fast = FastPath(*parts) if rung.connect == COPY else OwnFastPath(*parts, sockets.kept)
        self._questions = Questions(
            loop,
            listener,
            tracees=tracees,
            audit=audit,
            sockets=sockets,
            connects=self.connects,
            fast=fast,
        )
        self.thread = threading.Thread(target=self._questions.serve, name="questions", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        if self._rung.connect == OWN:
            with self._loop.turn:
                self._loop.later(_SWEEP_SECONDS, self._sweep)
        self.thread.start()

    def end(self, begin_filtered: Callable[[Callable[[], object]], None]) -> None:
        """Answer nothing new; ``begin_filtered`` lets a function run under the filter.

        It asks one last question, for on older kernels nothing else wakes the thread. The question
        may come too late for an answer: then ``close`` is one.
        """
        self._questions.stop()
        begin_filtered(lambda: kernel.connect(-1, bytes(16)))
        if self.thread.is_alive():
            self.thread.join()

    def close(self) -> None:
        """Once the loop has stopped: whoever waits and whoever asks gets ENOSYS from now on."""
        self._kept.close()
        self._listener.close()

    @property
    def remaining(self) -> tuple[str, ...]:
        """Where connections lead that the policy in force denies and that live on."""
        return self._ending.remaining

    def end_denied(self) -> Replaced:
        """End what the policy in force denies, made or being made."""
        self.connects.end_denied_waits()
        return self._ending.end_denied()

    def _sweep(self) -> None:
        if self._kept:
            self._kept.sweep()
        self._loop.later(_SWEEP_SECONDS, self._sweep)
