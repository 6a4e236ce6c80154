"""An interpreter of the classic BPF that seccomp takes. Source: the kernel's ``linux/filter.h``."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple, Self

LOAD, AND, EQUAL, AT_LEAST, BITS, JUMP, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x05, 0x06
CONDITIONS = {EQUAL, AT_LEAST, BITS}
_INSTRUCTION = struct.Struct("=HBBI")
_DATA = struct.Struct("=iIQ6Q")


class Instruction(NamedTuple):
    code: int
    yes: int
    no: int
    value: int


class Program(NamedTuple):
    """What decides on calls, and can be changed in one place."""

    code: tuple[Instruction, ...]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        return cls(tuple(Instruction(*each) for each in _INSTRUCTION.iter_unpack(raw)))

    def decide(self, number: int, architecture: int, arguments: Sequence[int]) -> int:
        """Return the action for one call; arguments that are not given are 0."""
        padded = [*arguments, *[0] * (6 - len(arguments))]
        data = _DATA.pack(number, architecture, 0, *padded)
        place = word = 0
        while True:
            code, yes, no, value = self.code[place]
            place += 1
            match code:
                case 0x20:
                    word = int.from_bytes(data[value : value + 4], "little")
                case 0x54:
                    word &= value
                case 0x05:
                    place += value
                case 0x06:
                    return value
                case _:
                    place += yes if _holds(code, word, value) else no

    def mutants(self) -> Iterator[tuple[str, Self]]:
        """Give the program with one thing changed, and what that is: every place that matters.

        A condition always or never holds, an action is another one, a load or a mask is lost.
        """
        for place, one in enumerate(self.code):
            ends = self._outcomes(place)
            if one.code == RETURN and place in self._reachable():
                yield (
                    f"{place} another action",
                    self._with(place, one._replace(value=one.value ^ 1)),
                )
            elif isinstance(ends, frozenset):  # whatever it finds, the end is the same
                continue
            elif one.code in CONDITIONS:
                yield f"{place} always", self._with(place, one._replace(no=one.yes))
                if self._past(place) != self._outcomes(place + 1 + one.yes):
                    yield f"{place} never", self._with(place, one._replace(yes=one.no))
            elif one.code == LOAD:
                yield f"{place} no load", self._with(place, one._replace(code=JUMP, value=0))
            elif one.code == AND:
                yield f"{place} no mask", self._with(place, one._replace(value=0xFFFFFFFF))

    def _past(self, place: int) -> frozenset[int] | int:
        """Return what the value of a comparison leads to when it is overlooked there."""
        _, _, no, word = self.code[place]
        place += 1 + no
        while self.code[place].code in CONDITIONS:
            code, yes, no, value = self.code[place]
            place += 1 + (yes if _holds(code, word, value) else no)
        return self._outcomes(place)

    def _with(self, place: int, one: Instruction) -> Self:
        return self._replace(code=(*self.code[:place], one, *self.code[place + 1 :]))

    def _next(self, place: int) -> tuple[int, ...]:
        code, yes, no, value = self.code[place]
        if code in CONDITIONS:
            return place + 1 + yes, place + 1 + no
        return () if code == RETURN else (place + 1 + (value if code == JUMP else 0),)

    @cache  # noqa: B019 -- a few programs, for one test
    def _reachable(self) -> frozenset[int]:
        found, left = {0}, [0]
        while left:
            for each in self._next(left.pop()):
                if each not in found:
                    found.add(each)
                    left.append(each)
        return frozenset(found)

    @cache  # noqa: B019 -- a few programs, for one test
    def _outcomes(self, place: int) -> frozenset[int] | int:
        """Return the one action that a place leads to, else the place itself."""
        code, _, _, value = self.code[place]
        if code == RETURN:
            return frozenset({value})
        ways = {self._outcomes(each) for each in self._next(place)}
        (only, *others) = ways
        return only if not others and not isinstance(only, int) else place


def _holds(code: int, word: int, value: int) -> bool:
    match code:
        case 0x15:
            return word == value
        case 0x35:
            return word >= value
        case 0x45:
            return bool(word & value)
        case _:
            raise AssertionError(f"the assembler knows no instruction {code:#x}")
