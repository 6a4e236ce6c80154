"""Numbers as the SDL writes them, read as the reference library reads them.

CPU and sizes go through IEEE doubles there, so ``1.005`` cores are 1004 thousandths; prices are exact.
Every function raises ValueError with what is wrong and how to write it.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from garrison.adapters.akash.sdl.model import DECIMALS

GIB = 1 << 30
_BINARY = {f"{unit}i": 1024**power for power, unit in enumerate("KMGTPE", start=1)}
_DECIMAL = {unit: 1000**power for power, unit in enumerate("kMGTPE", start=1)}
_MILLIS = re.compile(r"[0-9]{1,10}m")
_GREATEST = 1e30
_DIGITS = "[0-9](?:_?[0-9])*"
_NUMBER = re.compile(rf"\+?({_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})([eE][+-]?{_DIGITS})?")
_UNIT = re.compile(r"[KMGTPE]i\Z|[kMGTPE]\Z")
_PRICE = re.compile(r"\+?([0-9]+)(?:\.([0-9]+))?")
_INTEGER = re.compile(r"[0-9]+")
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_LONGEST = (1 << 63) - 1


def cpu_millis(text: str) -> int:
    """Return cores (``0.5``, ``500m``) in thousandths, truncated."""
    if _MILLIS.fullmatch(text):
        return int(text[:-1])
    return int(_number(text, "write cores, such as 0.5 or 500m") * 1000)


def size_bytes(text: str) -> int:
    """Return a size such as ``1.5Gi`` in bytes, truncated."""
    return _size(text, {**_DECIMAL, **_BINARY}, "write a size such as 512Mi")


def gpu_ram(text: str) -> int:
    """Return the memory of a GPU in whole gibibytes, rounded down, as the reference writes it again.

    A number without a unit is refused: it would be bytes, and none is meant.
    """
    if not text.endswith("i"):
        raise ValueError(f"{text!r} has no binary unit; write whole gibibytes, such as 24Gi")
    return _size(text, _BINARY, "write whole gibibytes, such as 24Gi") // GIB


def price(text: str) -> int:
    """Return an amount of coins in units of 10^-18."""
    match = _PRICE.fullmatch(text)
    if match is None or len(match[2] or "") > DECIMALS or len(text) > 64:
        raise ValueError(
            f"{text!r} is not an amount; write digits with at most {DECIMALS} decimals, such as 12.5"
        )
    return int(match[1] + (match[2] or "").ljust(DECIMALS, "0"))


def whole(text: str, most: int) -> int:
    """Return a whole number between 0 and ``most``."""
    match = _INTEGER.fullmatch(text) if len(text) < 64 else None
    if match is None or int(match[0]) > most:
        raise ValueError(f"{text!r} is not a whole number from 0 to {most}")
    return int(match[0])


def duration(text: str) -> int:
    """Return a duration such as ``24h`` or ``1h30m`` in nanoseconds; it is more than nothing."""
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text or len(text) > 64:
        raise ValueError(f"{text!r} is not a duration; write hours, such as 24h")
    total = sum(_nanoseconds(number, unit) for number, unit in parts)
    if not 0 < total <= _LONGEST:
        raise ValueError(f"{text!r} must be longer than nothing; write hours, such as 24h")
    return total


def decimal(amount: int) -> str:
    """Return an amount in 10^-18 as the chain's JSON writes it, with every decimal."""
    units, rest = divmod(amount, 10**DECIMALS)
    return f"{units}.{rest:0{DECIMALS}d}"


def _nanoseconds(number: str, unit: str) -> int:
    return int(Fraction(number) * _NANOSECONDS[unit])


def _size(text: str, units: dict[str, int], remedy: str) -> int:
    match = _UNIT.search(text)
    unit = match[0] if match is not None else ""
    if unit and unit not in units:
        raise ValueError(f"{text!r} has a unit that is not taken here; {remedy}")
    return int(_number(text.removesuffix(unit), remedy) * units.get(unit, 1))


def _number(text: str, remedy: str) -> float:
    number = float(text) if len(text) < 64 and _NUMBER.fullmatch(text) else math.inf
    if number > _GREATEST:
        raise ValueError(f"{text!r} is not a number that can be used here; {remedy}")
    return number
