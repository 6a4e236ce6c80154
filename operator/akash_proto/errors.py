"""What can be wrong with bytes or JSON that should be a message; texts are those of the chain."""

from __future__ import annotations


class DecodeError(ValueError):
    """Not a message of the kind asked for."""


class UnknownTypeError(DecodeError):
    """A message of a type that the chain does not accept, or that is not in ``schema``."""


class UnknownFieldError(DecodeError):
    """A field that the message's type does not have: the chain refuses it, so it is refused here."""
