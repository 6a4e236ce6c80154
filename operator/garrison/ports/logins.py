"""The registry logins that providers are given, which need not be those that Secrets hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from garrison.ports.registry import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLogin:
    """A login for one replica's provider. ``until``: when it ends; None: it is the Secret's own."""

    credentials: Credentials
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLogin:
    """What one attempt of a lease was ordered with. ``lease`` is the lease's uid."""

    lease: str
    attempt: int
    login: ProviderLogin


class Logins(Protocol):
    """Tells logins that a provider may have from keys that it must not have."""

    async def for_provider(self, found: Credentials, host: str) -> ProviderLogin:
        """Return what a provider logs in with at the registry ``host``: never a long-lived key.

        A key is exchanged for a login of hours; any other login is returned as it is. Raises
        PullLoginError (a person must change something) or TransientError; no error shows a secret.
        """


class KeptLogins(Protocol):
    """The logins that were made for leases, beside the operator: a restart does not lose them."""

    async def keep(self, kept: KeptLogin) -> None:
        """Keep a login, in place of what was kept for the same lease."""

    async def find(self, lease: str, attempt: int) -> ProviderLogin | None:
        """Return the login of exactly this attempt, None when none is kept."""

    async def discard(self, lease: str) -> None:
        """Forget a lease's login; a missing one is no error."""

    async def leases(self) -> Sequence[str]:
        """Return the uid of every lease for which one is kept now, read afresh."""
