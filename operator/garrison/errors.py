"""Every exception that Garrison raises, in one tree.

::

    GarrisonError
    ├── TransientError                  try again later (``retry_after`` seconds when known)
    │   ├── UnavailableError            the other side is down, overloaded or answers nonsense
    │   ├── RateLimitedError            the other side asked for fewer calls
    │   └── ConflictError               somebody else wrote first; read again
    ├── UnknownOutcomeError             a write was sent, its result is not known: look, never repeat
    ├── NotFoundError                   the thing asked for does not exist
    ├── AlreadyExistsError              the thing to create exists
    ├── AuthError                       a credential is missing, wrong or lacks a right
    │   └── PullLoginError              no login can be made that a provider may have
    └── RejectedError                   the request itself is refused; a person must change something
        ├── InvalidSpecError            a resource's fields make no sense together
        ├── FundsError                  the account cannot pay
        ├── ImageError                  the image is missing, unreadable or of the wrong kind
        └── UnsafeDestinationError      an address that must not be dialled

Adapters translate what their libraries raise into this tree. Only ``runtime`` catches broadly.
A message names what, where, and what to do. ``reason`` is a stable CamelCase word for conditions and Events.
"""

from __future__ import annotations


class GarrisonError(Exception):
    """Root of the tree; ``reason`` is what conditions and Events show."""

    reason = "InternalError"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class TransientError(GarrisonError):
    """Passes by itself; ``retry_after`` is in seconds, None when the other side did not say."""

    reason = "Transient"

    def __init__(
        self, message: str, *, reason: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class UnavailableError(TransientError):
    """The other side is down, overloaded, too slow or answers nonsense."""

    reason = "Unavailable"


class RateLimitedError(TransientError):
    """The other side asked for fewer calls."""

    reason = "RateLimited"


class ConflictError(TransientError):
    """A resourceVersion (or another precondition) no longer holds."""

    reason = "Conflict"


class UnknownOutcomeError(GarrisonError):
    """A write was sent and its result is not known. Look it up; never repeat it blindly."""

    reason = "OutcomeUnknown"


class NotFoundError(GarrisonError):
    """The thing asked for does not exist."""

    reason = "NotFound"


class AlreadyExistsError(GarrisonError):
    """The thing to create exists already."""

    reason = "AlreadyExists"


class AuthError(GarrisonError):
    """A credential is missing, wrong, or lacks a right."""

    reason = "Unauthorized"


class PullLoginError(AuthError):
    """A registry's key, which no provider may have, cannot be exchanged for a login of hours."""

    reason = "PullLoginRefused"


class RejectedError(GarrisonError):
    """The request is refused as it stands; repeating it unchanged is useless."""

    reason = "Rejected"


class InvalidSpecError(RejectedError):
    """A resource's fields are wrong or make no sense together."""

    reason = "InvalidSpec"


class FundsError(RejectedError):
    """The account cannot pay for what was asked."""

    reason = "InsufficientFunds"


class ImageError(RejectedError):
    """The image is missing, unreadable, or not one that can run."""

    reason = "ImageUnavailable"


class UnsafeDestinationError(RejectedError):
    """An address that Garrison must not dial or publish."""

    reason = "UnsafeDestination"
