"""Ways into the replicas of one workload: by their sentinels, else by their providers' gateways."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from garrison.adapters.akash.opening import Opened, Opener, credential_of
from garrison.adapters.akash.streams import GatewayConsole
from garrison.adapters.kube.client import connect as connect_kube
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.sentinel.console import SentinelConsole
from garrison.adapters.sentinel.identities import context_of, domain_of
from garrison.adapters.system import SystemClock
from garrison.api.account import Account, parse_account
from garrison.api.lease import Lease, parse_lease
from garrison.api.meta import ACCOUNT, LABEL_WORKLOAD, LEASE, PROVIDER, WORKLOAD
from garrison.api.provider import parse_provider
from garrison.api.workload import Workload, parse_workload
from garrison.cli.passport import identity
from garrison.cli.place import Place
from garrison.core.identity import peer_of
from garrison.core.target import target_of
from garrison.errors import AuthError, GarrisonError, NotFoundError, UnavailableError
from garrison.ports.console import Console
from garrison.ports.kube import Kube
from garrison.ports.market import LeaseTarget
from garrison.ports.probe import Screen

GONE = frozenset({"Closing", "Closed", "Failed"})


class Inside:
    """One workload. Connections and accounts that were opened are closed at the end."""

    def __init__(self, kube: Kube, place: Place, workload: str, screen: Screen) -> None:
        self._kube = kube
        self._place = place
        self._name = workload
        self._screen = screen
        self._accounts: dict[str, Opened] = {}
        self._closers: list[Callable[[], Awaitable[None]]] = []

    async def close(self) -> None:
        """Close everything."""
        for close in reversed(self._closers):
            await close()

    async def workload(self) -> Workload:
        """Return the workload. Raises NotFoundError."""
        raw = await self._kube.get(WORKLOAD, self._place.namespace, self._name)
        if raw is None:
            raise NotFoundError(
                f"InferenceWorkload {self._place.namespace}/{self._name} does not exist; "
                "see: kubectl get iw -A"
            )
        return parse_workload(raw)

    async def replicas(self, only: str | None = None) -> tuple[Lease, ...]:
        """Return the leases that have a container, by name; ``only`` one of them.

        Raises NotFoundError when there is none.
        """
        workload = await self.workload()
        raws = await self._kube.list(
            LEASE, namespace=self._place.namespace, labels={LABEL_WORKLOAD: self._name}
        )
        leases = sorted((parse_lease(raw) for raw in raws), key=lambda each: each.meta.name)
        found = [each for each in leases if has_container(each)]
        chosen = [each for each in found if only is None or each.meta.name == only]
        if not chosen:
            raise NotFoundError(_none(workload, leases, found, only))
        return tuple(chosen)

    async def console(self, lease: Lease) -> Console:
        """Return the way in: the sentinel where there is one, else the provider's gateway."""
        if lease.spec.sentinel is not None:
            return await self.sentinel(lease)
        return await self.gateway(lease)

    async def sentinel(self, lease: Lease) -> SentinelConsole:
        """Return the way by the sentinel.

        Raises UnavailableError while it is not enrolled, AuthError without the right to look inside.
        """
        name, peer, control = lease.meta.name, peer_of(lease), lease.status.control
        if lease.spec.sentinel is None:
            raise UnavailableError(
                f"replica {name} runs without a sentinel (trust: Unverified), so nothing can be "
                "asked from inside it under a guard; set trust: Verified",
                reason="NoSentinel",
            )
        if peer is None or control is None:
            raise UnavailableError(
                f"replica {name} is {lease.status.phase}: its sentinel is not enrolled yet; "
                f"see: kubectl describe al {name} -n {self._place.namespace}"
            )
        client = (await self.workload()).status.client
        if client is None or client.console is None:
            raise UnavailableError(
                f"InferenceWorkload {self._place.namespace}/{self._name} has no console identity "
                "yet; the operator makes it when it runs"
            )
        found = await identity(self._kube, self._place.namespace, client.console)
        destination = await self._screen.destination(
            control.host, control.port, allow_private=await self._allows_private(lease)
        )
        console = SentinelConsole(
            destination=destination, context=context_of(found, peer, domain_of(found))
        )
        self._closers.append(console.close)
        return console

    async def gateway(self, lease: Lease) -> GatewayConsole:
        """Return the way by the provider's gateway. Raises AuthError without the account's Secret."""
        target = await self._target(lease)
        opened = await self._opened(lease)
        console = opened.console(target)
        self._closers.append(console.close)
        return console

    async def _allows_private(self, lease: Lease) -> bool:
        if self._place.allow_private:
            return True
        with contextlib.suppress(GarrisonError):
            return (await self._account(lease)).spec.allow_private_addresses
        return False

    async def _account(self, lease: Lease) -> Account:
        raw = await self._kube.get(ACCOUNT, "", lease.spec.account)
        if raw is None:
            raise NotFoundError(
                f"AkashAccount {lease.spec.account}, which pays for replica {lease.meta.name}, "
                "does not exist any more"
            )
        return parse_account(raw)

    async def _opened(self, lease: Lease) -> Opened:
        if lease.spec.account not in self._accounts:
            try:
                account = await self._account(lease)
                credential = credential_of(account, self._place.operator_namespace)
                secret = await credential.secret(self._kube)
            except AuthError as error:
                raise AuthError(
                    f"the way into replica {lease.meta.name} is its provider's gateway, which wants "
                    f"a token signed for AkashAccount {lease.spec.account}: {error}. Ask whoever may "
                    "read the account and its Secret, or run the workload with trust: Verified"
                ) from None
            opener = Opener(screen=self._screen, clock=SystemClock())
            opened = opener.open(account, credential.text(secret))
            self._closers.append(opened.close)
            self._accounts[lease.spec.account] = opened
        return self._accounts[lease.spec.account]

    async def _target(self, lease: Lease) -> LeaseTarget:
        status = lease.status
        if status.provider is None or status.oseq is None:
            raise UnavailableError(f"replica {lease.meta.name} has no lease yet: {status.phase}")
        raw = None
        with contextlib.suppress(AuthError):
            raw = await self._kube.get(PROVIDER, "", status.provider)
        target = target_of(status, parse_provider(raw).status.host if raw else None)
        if target is None:
            raise UnavailableError(
                f"the gateway of {status.provider} is not known; see: kubectl get ap"
            )
        return target


def has_container(lease: Lease) -> bool:
    """Return whether a lease may have a container: it was taken and is not given up."""
    return lease.status.oseq is not None and lease.status.phase not in GONE


def _none(workload: Workload, leases: list[Lease], found: list[Lease], only: str | None) -> str:
    if only is not None and found:
        names = ", ".join(each.meta.name for each in found)
        return f"{only} is no running replica; --replica takes one of: {names}"
    phases = ", ".join(f"{each.meta.name} is {each.status.phase}" for each in leases)
    name, namespace = workload.meta.name, workload.meta.namespace
    return (
        f"no replica of {name} has a container ({phases or 'there is none'}); "
        f"see: kubectl describe iw {name} -n {namespace}"
    )


@contextlib.asynccontextmanager
async def looking(place: Place, workload: str) -> AsyncIterator[Inside]:
    """Connect to the cluster; yields the ways into a workload."""
    kube = await connect_kube(place.kubeconfig, place.context)
    inside = Inside(kube, place, workload, NetScreen())
    try:
        yield inside
    finally:
        await inside.close()
        await kube.close()
