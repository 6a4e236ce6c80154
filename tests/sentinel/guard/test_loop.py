"""The guard's loop, and the thread beside it that answers questions."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from sentinel.guard import kernel, loop
from sentinel.guard.audit import Audit, Record
from sentinel.guard.connects import Connects
from sentinel.guard.ladder import RUNGS
from sentinel.guard.launch import FilteredThread
from sentinel.guard.loop import Loop
from sentinel.guard.notification import Listener
from sentinel.guard.questions import Questions
from sentinel.guard.sockets import Sockets
from sentinel.guard.tracee import Tracees

PATIENCE = 20.0


@pytest.fixture
def running() -> Iterator[Loop]:
    faults: list[BaseException] = []
    made = Loop(faults.append)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join()
    made.close()
    assert faults == []


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_a_timer_of_another_thread_wakes_the_loop(
    running: Loop, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(loop, "_IDLE_SECONDS", 3600.0)
    idle, fired = threading.Event(), threading.Event()
    running.call(idle.set)
    assert idle.wait(PATIENCE)  # from the next round on it waits for an hour
    with running.turn:
        running.later(7200.0, fired.set)
        running.later(seconds, fired.set)
    assert fired.wait(PATIENCE)


def test_callbacks_wait_for_who_has_the_turn(running: Loop) -> None:
    done = threading.Event()
    with running.turn:
        running.call(done.set)
        running.later(0.0, done.set)
        assert not done.wait(0.1)
    assert done.wait(PATIENCE)


class Scripted(Listener):
    """Hears what it is given; an error in the list is raised."""

    def __init__(self, heard: list[Any]) -> None:
        self.descriptor, other = os.pipe()
        os.close(other)  # hung up: nobody is left
        self.keeps_answers = True
        self._heard = heard
        self.answers: list[int] = []

    def receive(self) -> bytearray | None:
        if not self._heard:
            return None
        heard = self._heard.pop(0)
        if isinstance(heard, Exception):
            raise heard
        return bytearray(heard)

    def answer(self, question: int, *, value: int = 0, error: int = 0, flags: int = 0) -> bool:
        del question, value, flags
        self.answers.append(error)
        if len(self.answers) > 1:
            raise OSError(errno.EINPROGRESS, "answered already")
        return True


def question(name: str) -> bytes:
    number = kernel.NUMBERS[name]
    return bytes(16) + number.to_bytes(4, "little") + bytes(60)


def served(heard: list[Any], *, stopped: bool = False) -> tuple[Scripted, list[Record]]:
    """Return the listener and the records once ``serve`` has ended."""
    records: list[Record] = []
    audit, listener, tracees = Audit(records.append), Scripted(heard), Tracees()
    rung = next(each for each in RUNGS if each.name == "strict")
    with closing(Loop(audit.fault)) as turns:
        sockets = Sockets(turns, listener, tracees, audit, rung, None)
        connects = Connects.__new__(Connects)  # its answer fails: nothing is set
        questions = Questions(
            turns, listener, tracees=tracees, audit=audit, sockets=sockets, connects=connects,
            fast=None,
        )  # fmt: skip
        if stopped:
            questions.stop()
        questions.serve()
    return listener, records


def test_it_ends_when_nobody_is_left() -> None:
    listener, records = served([question("socket")])
    assert (listener.answers, [each["event"] for each in records]) == (
        [errno.EAFNOSUPPORT],
        ["denied"],
    )
    listener.close()


def test_a_fault_denies_and_the_next_question_is_heard() -> None:
    listener, records = served([question("connect"), question("socket")])
    first, *answered_already = listener.answers
    assert first == errno.EPERM
    assert answered_already == [errno.EAFNOSUPPORT, errno.EINPROGRESS]
    assert [each["event"] for each in records] == ["fault", "denied"]
    assert listener.descriptor >= 0
    listener.close()


def test_who_cannot_hear_lets_nobody_wait() -> None:
    listener, records = served([OSError(errno.ENOTTY, "no listener"), question("socket")])
    assert listener.answers == []
    assert listener.descriptor == -1, "closed: the kernel refuses by itself"
    assert [each["event"] for each in records] == ["fault"]


def test_nothing_is_heard_after_the_stop() -> None:
    listener, _ = served([question("socket")], stopped=True)
    assert listener.answers == []
    listener.close()


def test_the_last_question_may_stay_without_an_answer() -> None:
    answered, asked = threading.Event(), threading.Event()
    thread = FilteredThread(lambda: None)
    thread.start()

    def ask() -> None:
        asked.set()
        answered.wait(PATIENCE)

    thread.begin(ask)
    assert asked.wait(PATIENCE)
    answered.set()
    thread.end()
