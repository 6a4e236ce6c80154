"""A typed client of the admin API."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import aiohttp
from pydantic import RootModel, TypeAdapter

from akash_sandbox.admin.bodies import (
    AdminChain,
    AdminInfo,
    AdminLease,
    AdminProvider,
    AdminSeen,
    Balance,
    Bidding,
    Denom,
    Drops,
    Errors,
    FileSwap,
    Gas,
    Halt,
    Hang,
    Hardware,
    HostilityChange,
    LeaseClose,
    Network,
    NodeChange,
    Reason,
    ReclaimNotice,
)
from akash_sandbox.faults import CONSOLE, FaultSet

__all__ = [
    "CONSOLE",
    "AdminChain",
    "AdminInfo",
    "AdminLease",
    "AdminProvider",
    "AdminSeen",
    "HostilityChange",
    "NodeChange",
    "SandboxAdmin",
    "SandboxAdminError",
]

_PROVIDERS = TypeAdapter(list[AdminProvider])
_LEASES = TypeAdapter(list[AdminLease])
_FAULTS = TypeAdapter(FaultSet)
_SEEN = TypeAdapter(list[AdminSeen])
_INFO = TypeAdapter(AdminInfo)
_CHAIN = TypeAdapter(AdminChain)


class SandboxAdminError(Exception):
    """The sandbox refused or did not answer; ``status`` is 0 when it did not answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class SandboxAdmin:
    """Looks into a running sandbox and switches faults; providers go by name or address.

    Every method raises SandboxAdminError. Use it as an async context manager, or call ``close``.
    """

    def __init__(self, url: str, token: str, timeout_seconds: float = 30) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> SandboxAdmin:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def info(self) -> AdminInfo:
        """Return the sandbox's own facts."""
        return _INFO.validate_json(await self._call("GET", "/v1/info"))

    async def providers(self) -> list[AdminProvider]:
        """Return every provider with its faults."""
        return _PROVIDERS.validate_json(await self._call("GET", "/v1/providers"))

    async def leases(self) -> list[AdminLease]:
        """Return every lease ever made, oldest first."""
        return _LEASES.validate_json(await self._call("GET", "/v1/leases"))

    async def faults(self) -> FaultSet:
        """Return every fault that is on."""
        return _FAULTS.validate_json(await self._call("GET", "/v1/faults"))

    async def clear_faults(self) -> None:
        """Switch every fault off; killed providers live again."""
        await self._call("DELETE", "/v1/faults")

    async def kill_provider(self, provider: str) -> None:
        """Let a provider's gateway, containers and ports die; its leases stay open and paid."""
        await self._call("POST", f"/v1/providers/{provider}/kill")

    async def revive_provider(self, provider: str) -> None:
        """Undo ``kill_provider``."""
        await self._call("POST", f"/v1/providers/{provider}/revive")

    async def slow_network(
        self, provider: str, *, latency_ms: int = 0, bytes_per_second: int = 0
    ) -> None:
        """Slow the way to a provider; zeros undo it."""
        body = Network(latency_ms=latency_ms, bytes_per_second=bytes_per_second)
        await self._call("PUT", f"/v1/providers/{provider}/network", body)

    async def wrong_hardware(self, provider: str, *, slowdown: float) -> None:
        """Let a provider serve slower than promised by a factor; 1 undoes it."""
        await self._call("PUT", f"/v1/providers/{provider}/hardware", Hardware(slowdown=slowdown))

    async def no_bids(self, provider: str = "", *, silent: bool = True) -> None:
        """Let one provider, or with no name all of them, stop bidding, or bid again."""
        await self._call("PUT", "/v1/bidding", Bidding(silent=silent, provider=provider))

    async def errors(
        self,
        scope: str,
        *,
        status: int = 500,
        count: int | None = None,
        path: str = "/",
        retry_after: int | None = None,
    ) -> None:
        """Let the Console or a provider's gateway fail at a path ``count`` times; status 0 ends it."""
        errors = Errors(status=status, count=count, path=path, retry_after=retry_after)
        await self._call("PUT", f"/v1/http/{scope}/errors", errors)

    async def hang(self, scope: str, *, seconds: float) -> None:
        """Let the Console or a gateway keep requests waiting; 0 ends it."""
        await self._call("PUT", f"/v1/http/{scope}/hang", Hang(seconds=seconds))

    async def drop_answers(self, scope: str, *, count: int = 1) -> None:
        """Let the next writes take effect without an answer."""
        await self._call("PUT", f"/v1/http/{scope}/drops", Drops(count=count))

    async def chain(self) -> AdminChain:
        """Return the chain with its nodes."""
        return _CHAIN.validate_json(await self._call("GET", "/v1/chain"))

    async def change_node(self, node: str, change: NodeChange) -> None:
        """Change what is wrong with a node of the chain."""
        await self._call("PUT", f"/v1/chain/nodes/{node}", change)

    async def use_gas(self, *, percent: int) -> None:
        """Let transactions use that much of what their simulation said; 100 undoes it."""
        await self._call("PUT", "/v1/chain/gas", Gas(percent=percent))

    async def halt_chain(self, *, halted: bool = True) -> None:
        """Let the chain make no more blocks, or make them again."""
        await self._call("PUT", "/v1/chain/halt", Halt(halted=halted))

    async def set_balance(self, address: str, denom: Denom, amount: int) -> None:
        """Give an account so many millionths of a coin, whatever it had."""
        body = Balance(denom=denom, amount=amount)
        await self._call("PUT", f"/v1/chain/balances/{address}", body)

    async def be_hostile(self, scope: str, change: HostilityChange) -> None:
        """Change what a provider does on purpose; the Console and the nodes can only read."""
        await self._call("PUT", f"/v1/hostility/{scope}", change)

    async def seen(self, scope: str) -> list[AdminSeen]:
        """Return the files of what a provider or server has received while it read."""
        return _SEEN.validate_json(await self._call("GET", f"/v1/seen/{scope}"))

    async def swap_file(self, dseq: str, gseq: int, oseq: int, *, path: str, content: str) -> None:
        """Overwrite a file inside a lease's running containers."""
        body = FileSwap(path=path, content=content)
        await self._call("PUT", f"/v1/leases/{dseq}/{gseq}/{oseq}/file", body)

    async def close_lease(self, dseq: str, gseq: int, oseq: int, *, reason: Reason) -> None:
        """End a lease with one of the market's reasons."""
        await self._call(
            "POST", f"/v1/leases/{dseq}/{gseq}/{oseq}/close", LeaseClose(reason=reason)
        )

    async def reclaim(self, dseq: str, gseq: int, oseq: int, *, seconds: int) -> None:
        """Give notice: the provider takes its hardware back after ``seconds``."""
        body = ReclaimNotice(seconds=seconds)
        await self._call("POST", f"/v1/leases/{dseq}/{gseq}/{oseq}/reclaim", body)

    async def restart_workload(self, dseq: str, gseq: int, oseq: int) -> None:
        """Restart a lease's containers."""
        await self._call("POST", f"/v1/leases/{dseq}/{gseq}/{oseq}/restart")

    async def _call(self, method: str, path: str, body: object = None) -> bytes:
        data = None if body is None else RootModel[Any](body).model_dump_json()
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            async with self._open().request(
                method, self._url + path, data=data, headers=headers
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            message = f"no sandbox answers at {self._url}: {error or 'timeout'}; is it running?"
            raise SandboxAdminError(message, 0) from error
        if response.status >= 400:
            text = answer.decode(errors="replace")
            raise SandboxAdminError(f"{method} {path}: {response.status}: {text}", response.status)
        return answer

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self._session
