"""What the guard raises."""

from __future__ import annotations


class GuardError(Exception):
    """Base of the guard's own errors."""


class PolicyError(GuardError):
    """The policy cannot be read; the message names the field and the remedy."""


class CannotEnforce(GuardError):  # noqa: N818 -- it is what the caller has to act on
    """This machine has not what the policy demands; the message says what is missing."""
