"""The logins with which providers pull private images: made when they are sent, shown to nobody else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from garrison.api.lease import Lease, LeaseStatus
from garrison.api.meta import LEASE, Key
from garrison.controllers.references import PullSecrets
from garrison.core.lifecycle import Observation
from garrison.errors import GarrisonError, UnavailableError
from garrison.ports.clock import Clock
from garrison.ports.kube import Note
from garrison.ports.logins import KeptLogin, KeptLogins, Logins, ProviderLogin
from garrison.ports.market import Order, PullLogin

FRESH = timedelta(minutes=10)
"""How old a login may be when something is ordered with it."""
PROMPT = timedelta(seconds=5)
"""An order that waited longer for its login is not sent in this pass: its token may have ended meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    attempt: int
    at: datetime
    login: ProviderLogin | None


class Pulls:
    """One login for each attempt of a lease.

    The manifest's hash is on the market before the manifest is sent, so both must have the same login:
    it is remembered for the attempt. One that was made of a key could not be made again, so it is also
    kept in a Secret beside the operator. A Secret's own is read again after a restart; if it changed in
    between, the provider refuses the manifest, and the replica is ordered anew.
    """

    def __init__(
        self, *, secrets: PullSecrets, logins: Logins, kept: KeptLogins, clock: Clock
    ) -> None:
        self._secrets = secrets
        self._logins = logins
        self._kept = kept
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def forget(self, uid: str) -> None:
        """Drop what is remembered about a lease."""
        self._known.pop(uid, None)

    async def discard(self, uid: str) -> None:
        """Delete what was kept for a lease that is over; after a restart the sweep does."""
        known = self._known.get(uid)
        if known is not None and known.login is not None and known.login.until is not None:
            await self._kept.discard(uid)

    async def with_login(self, o: Observation, order: Order, *, places: bool) -> Order:
        """Return the order with what the provider needs to pull; ``places``: it is about to be placed.

        Raises AuthError without the Secret, PullLoginError for a key that cannot be exchanged, and
        TransientError.
        """
        if o.template is None or not o.template.image_pull_secrets:
            return order
        uid, host, now = o.lease.meta.uid, order.image.partition("/")[0], self._clock.now()
        known = self._known.get(uid)
        if (
            known is None
            or known.attempt != o.status.attempt
            or (places and now - known.at > FRESH)
        ):
            login = await self._found(o, order.image, host, places=places)
            self._known[uid] = known = _Known(attempt=o.status.attempt, at=now, login=login)
            if places and self._clock.now() - now > PROMPT:
                raise UnavailableError(
                    f"the login for {host} took long; the order goes with it next"
                )
        if known.login is None:
            return order
        found = known.login.credentials
        given = PullLogin(host=host, username=found.username, password=found.password)
        return replace(order, login=given)

    async def _found(
        self, o: Observation, image: str, host: str, *, places: bool
    ) -> ProviderLogin | None:
        """What is kept of this attempt once it is placed; else what the Secret has, or is good for."""
        uid, attempt = o.lease.meta.uid, o.status.attempt
        kept = None if places else await self._kept.find(uid, attempt)
        if kept is not None:
            return kept
        names = tuple(each.name for each in o.template.image_pull_secrets) if o.template else ()
        found = await self._secrets.credentials(o.lease.meta.namespace, names, image)
        if found is None:
            return None
        login = await self._logins.for_provider(found, host)
        if login.until is not None:
            await self._kept.keep(KeptLogin(lease=uid, attempt=attempt, login=login))
        return login

    def notes(self, lease: Lease, after: LeaseStatus) -> tuple[Note, ...]:
        """Return the Event that says until when a provider can pull, once an order went out."""
        known = self._known.get(lease.meta.uid)
        is_new = lease.status.deployment is None and after.deployment is not None
        if not is_new or known is None or known.login is None or known.login.until is None:
            return ()
        message = (
            f"the provider logs in at the registry with an access token that ends at "
            f"{known.login.until:%H:%M:%S} UTC, made of the service account's key in imagePullSecrets; "
            "no provider is given the key"
        )
        about = Key(kind=LEASE.kind, namespace=lease.meta.namespace, name=lease.meta.name)
        return (
            Note(
                about=about,
                uid=lease.meta.uid,
                type="Normal",
                reason="PullLoginExchanged",
                message=message,
            ),
        )


def withheld(error: GarrisonError, order: Order) -> GarrisonError:
    """Return an error without the password: the other side may quote what it was sent."""
    if order.login is None or order.login.password not in str(error):
        return error
    clean = type(error)(str(error).replace(order.login.password, "***"))
    clean.reason = error.reason
    return clean
