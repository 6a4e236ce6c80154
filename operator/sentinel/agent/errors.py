"""What the agent raises."""

from __future__ import annotations


class BootstrapError(Exception):
    """What started the agent is not usable; the text names the field, never a value."""


class Refusal(Exception):  # noqa: N818 -- it is an answer
    """A call that is not done: the HTTP ``status``, a CamelCase ``reason``, and what to do."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


def bad(message: str) -> Refusal:
    """Return the refusal of a call that is not as it should be."""
    return Refusal(400, "BadRequest", message)
