"""Events beside the passes: in order for each object, never in the way, gone with the operator."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import cast

from garrison.errors import UnavailableError
from garrison.ports.kube import Kube, Note
from garrison.runtime.meter import NoMeter
from garrison.runtime.notes import ROOM, Notes
from tests.unit.runtime.objects import key

A, B = key("a"), key("b")
NOTE = Note(about=A, uid="uid-a", type="Normal", reason="Sailed", message="out at sea")


@dataclass
class Board:
    """An API server that takes its time, and refuses some Events."""

    seconds: float = 1.0
    refuses: frozenset[str] = frozenset()
    taken: list[str] = field(default_factory=list)
    at_once: int = 0
    most: int = 0

    async def note(self, note: Note) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        if note.message in self.refuses:
            raise UnavailableError("down")
        self.taken.append(note.message)


def _notes(board: Board, *, parallel: int = 8) -> Notes:
    return Notes(cast("Kube", board), NoMeter(), parallel=parallel)


def _said(*messages: str) -> list[Note]:
    return [replace(NOTE, message=each) for each in messages]


async def test_those_of_one_object_come_in_order_and_others_do_not_wait() -> None:
    board = Board()
    notes = _notes(board)
    notes.add(A, _said("1", "2"))
    notes.add(B, _said("other"))
    await asyncio.sleep(1.5)
    assert board.taken == ["1", "other"]
    notes.add(A, _said("3"))
    await notes.settle(within=60.0)
    assert board.taken == ["1", "other", "2", "3"]


async def test_one_that_is_refused_holds_up_nothing() -> None:
    board = Board(refuses=frozenset({"1"}))
    notes = _notes(board)
    notes.add(A, _said("1", "2"))
    await notes.settle(within=60.0)
    assert board.taken == ["2"]


async def test_so_many_are_posted_at_a_time() -> None:
    board = Board()
    notes = _notes(board, parallel=2)
    for number in range(6):
        notes.add(key(f"k{number}"), _said("x"))
    await notes.settle(within=60.0)
    assert (len(board.taken), board.most) == (6, 2)


async def test_the_oldest_go_when_too_many_wait() -> None:
    board = Board()
    notes = _notes(board)
    notes.add(A, _said(*(str(number) for number in range(ROOM + 3))))
    await notes.settle(within=600.0)
    assert board.taken == [str(number) for number in range(3, ROOM + 3)]


async def test_the_end_does_not_wait_for_ever() -> None:
    board = Board(seconds=3600.0)
    notes = _notes(board)
    notes.add(A, _said("1"))
    before = asyncio.get_running_loop().time()
    await notes.settle(within=2.0)
    assert asyncio.get_running_loop().time() - before < 3.0
    assert board.taken == []
