"""Kubernetes quantities as integers: bytes and thousandths of a core."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

from garrison.errors import InvalidSpecError

_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,6})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)")


def _parse(text: str) -> Decimal:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _FACTORS:
        raise InvalidSpecError(f"{text!r} is not a quantity; write it like 500m, 8, 32Gi")
    return Decimal(match[1]) * _FACTORS[match[2]]


def parse_millis(text: str) -> int:
    """Return a quantity in thousandths of its unit, rounded up. Raises InvalidSpecError."""
    return int((_parse(text) * 1000).to_integral_value(ROUND_CEILING))


def parse_bytes(text: str) -> int:
    """Return a quantity in bytes, rounded up. Raises InvalidSpecError."""
    return int(_parse(text).to_integral_value(ROUND_CEILING))


def parse_millicores(text: str) -> int:
    """Return a quantity of CPU in thousandths of a core, rounded up. Raises InvalidSpecError."""
    return parse_millis(text)
