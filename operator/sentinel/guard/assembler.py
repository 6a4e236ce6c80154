"""Classic BPF with labels. Source: the kernel's ``include/uapi/linux/filter.h``."""

from __future__ import annotations

import struct

_LOAD, _AND, _EQUAL, _AT_LEAST, _BITS, _JUMP, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x05, 0x06
_FARTHEST = 255
NUMBER, ARCHITECTURE = 0, 4
"""Offsets in ``struct seccomp_data``."""


def argument(index: int, *, high: bool = False) -> int:
    """Return the offset of one half of a system call's argument (little endian)."""
    return 16 + 8 * index + (4 if high else 0)


class Assembler:
    """Collects instructions; jumps go forward to labels, by None to the next instruction."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, str | None, str | None]] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        """Name the place of the next instruction."""
        self._labels[name] = len(self._code)

    def load(self, offset: int) -> None:
        """Load a word of the system call's data."""
        self._code.append((_LOAD, offset, None, None))

    def mask(self, bits: int) -> None:
        """Keep some bits of the loaded word."""
        self._code.append((_AND, bits, None, None))

    def equal(self, value: int, yes: str | None, no: str | None = None) -> None:
        """Compare for equality and jump."""
        self._code.append((_EQUAL, value, yes, no))

    def at_least(self, value: int, yes: str | None, no: str | None = None) -> None:
        """Compare without sign and jump."""
        self._code.append((_AT_LEAST, value, yes, no))

    def any_bit(self, bits: int, yes: str | None, no: str | None = None) -> None:
        """Test bits and jump."""
        self._code.append((_BITS, bits, yes, no))

    def jump(self, label: str) -> None:
        """Jump."""
        self._code.append((_JUMP, 0, label, None))

    def leave(self, action: int) -> None:
        """Return an action."""
        self._code.append((_RETURN, action, None, None))

    def program(self) -> bytes:
        """Return the instructions as the kernel reads them."""
        return b"".join(self._encode(place, *each) for place, each in enumerate(self._code))

    def _encode(self, place: int, code: int, value: int, yes: str | None, no: str | None) -> bytes:
        if code == _JUMP:
            return struct.pack("=HBBI", code, 0, 0, self._distance(place, yes))
        near, far = self._distance(place, yes), self._distance(place, no)
        if not 0 <= max(near, far) <= _FARTHEST:
            raise AssertionError("a conditional jump reaches 255 instructions")
        return struct.pack("=HBBI", code, near, far, value)

    def _distance(self, place: int, label: str | None) -> int:
        return 0 if label is None else self._labels[label] - place - 1
