"""The logins with which providers pull private images: read when they are sent, kept nowhere else."""

from __future__ import annotations

from dataclasses import replace

from garrison.controllers.references import PullSecrets
from garrison.core.lifecycle import Observation
from garrison.errors import GarrisonError
from garrison.ports.market import Order, PullLogin


class Pulls:
    """One login for each attempt of a lease.

    The manifest's hash is on the market before the manifest is sent, so both must have the same login:
    it is remembered for the attempt, in memory only. After a restart it is read again; a Secret that
    changed in between makes the provider refuse the manifest, and the replica is ordered anew.
    """

    def __init__(self, secrets: PullSecrets) -> None:
        self._secrets = secrets
        self._known: dict[str, tuple[int, PullLogin | None]] = {}

    def forget(self, uid: str) -> None:
        """Drop what is remembered about a lease."""
        self._known.pop(uid, None)

    async def with_login(self, o: Observation, order: Order) -> Order:
        """Return the order with what the provider needs to pull. Raises AuthError without the Secret."""
        names = tuple(each.name for each in o.template.image_pull_secrets) if o.template else ()
        if not names:
            return order
        uid, attempt = o.lease.meta.uid, o.status.attempt
        known = self._known.get(uid)
        if known is None or known[0] != attempt:
            found = await self._secrets.credentials(o.lease.meta.namespace, names, order.image)
            host = order.image.partition("/")[0]
            login = (
                PullLogin(host=host, username=found.username, password=found.password)
                if found is not None
                else None
            )
            self._known[uid] = known = (attempt, login)
        return replace(order, login=known[1])


def withheld(error: GarrisonError, order: Order) -> GarrisonError:
    """Return an error without the password: the other side may quote what it was sent."""
    if order.login is None or order.login.password not in str(error):
        return error
    clean = type(error)(str(error).replace(order.login.password, "***"))
    clean.reason = error.reason
    return clean
