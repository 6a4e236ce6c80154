"""Several nodes as one: the healthy ones in order, the next when one fails, lags or lies.

What one node says does not exist is asked of a second. Reads never go back behind a block in which a
transaction of ours was seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from garrison.adapters.akash.chain.answers import BLOCK, LIST, PAGE, understood
from garrison.adapters.akash.chain.health import (
    Head,
    Health,
    believed_height,
    complaint,
    report,
    rest_seconds,
)
from garrison.adapters.akash.chain.node import Node, Params
from garrison.errors import (
    GarrisonError,
    NotFoundError,
    UnavailableError,
    UnsafeDestinationError,
)
from garrison.ports.clock import Clock
from garrison.ports.market import EndpointFact

LATEST = "/cosmos/base/tendermint/v1beta1/blocks/latest"
POLL_SECONDS = 4.0
CATCH_UP_TRIES = 10
CATCH_UP_SECONDS = 0.25
"""How long nodes that have not seen our newest block are waited for."""
MAX_LEAP = 20
"""A node's word for a block so far beyond all others is not taken."""
PAGE_SIZE = 500
MAX_PAGES = 200


class Nodes:
    """The chain's REST interface over one or more nodes."""

    def __init__(self, *, nodes: Sequence[Node], chain_id: str | None, clock: Clock) -> None:
        self._nodes = {each.url: each for each in nodes}
        self._health = {each.url: Health(url=each.url) for each in nodes}
        self._chain_id = chain_id
        self._clock = clock
        self._floor = 0
        self._polled_at: float | None = None
        self._lock = asyncio.Lock()

    async def chain_id(self) -> str:
        """Return the chain's id: the configured one, else the first that a node tells."""
        await self.head()
        return self._chain_id or ""

    async def head(self) -> Head:
        """Return the newest block of the first healthy node. Raises UnavailableError when none is."""
        head = self._health[(await self._usable())[0].url].head
        if head is None:
            raise UnavailableError(self._why())
        return head

    async def newest(self) -> int:
        """Return the height of the newest block, asked now. Raises UnavailableError."""
        self._polled_at = None
        return (await self.head()).height

    async def get(self, path: str, params: Params | None = None) -> Any:
        """Return the JSON answer to a query. Raises NotFoundError when nodes agree, UnavailableError."""
        absent: NotFoundError | None = None
        for node in await self._usable():
            try:
                answer = await node.get(path, params)
            except NotFoundError as error:
                if absent is not None:
                    break
                absent = error
                continue
            except (UnavailableError, UnsafeDestinationError) as error:
                self.failed(node, error)
                continue
            if answer.height is None or answer.height >= self._floor:
                return answer.body
        raise absent or UnavailableError(f"{path}: {self._why()}")

    async def pages(self, path: str, params: Params, items: str) -> list[Any]:
        """Return all entries of a list, page after page. Raises UnavailableError."""
        found: list[Any] = []
        key: str | None = None
        for _ in range(MAX_PAGES):
            asked = {**params, "pagination.limit": str(PAGE_SIZE)}
            if key is not None:
                asked["pagination.key"] = key
            body = await self.get(path, asked)
            entries: tuple[Any, ...] = understood(LIST, body.get(items), f"{items} of {path}")
            found += entries
            page = understood(PAGE, body, f"the pages of {path}").pagination
            key = page.next_key if page else None
            if not key:
                return found
        raise UnavailableError(f"{path} has more than {MAX_PAGES} pages; something repeats them")

    async def each(self) -> Sequence[Node]:
        """Return the healthy nodes in order. Raises UnavailableError when there is none."""
        return await self._usable()

    def saw(self, height: int) -> None:
        """Remember a block of ours: reads from before it are not believed any more."""
        believed = self._believed()
        self._floor = max(self._floor, min(height, believed + MAX_LEAP) if believed else 0)
        self._polled_at = None

    def failed(self, node: Node, error: GarrisonError) -> None:
        """Leave a node alone for a while."""
        health = self._health[node.url]
        failures = health.failures + 1
        until = asyncio.get_running_loop().time() + rest_seconds(failures)
        self._health[node.url] = replace(
            health, failures=failures, rest_until=until, message=str(error)[:300]
        )

    def endpoints(self) -> Sequence[EndpointFact]:
        """Return every node as people see it."""
        now, believed = self._clock.now(), self._believed()
        return tuple(
            report(each, believed=believed, floor=self._floor, now=now)
            for each in self._health.values()
        )

    async def close(self) -> None:
        """Close all connections."""
        for node in self._nodes.values():
            await node.close()

    async def _usable(self) -> Sequence[Node]:
        for _ in range(CATCH_UP_TRIES):
            await self._poll()
            sound = self._sound()
            if sound:
                return sound
            if not self._is_behind():
                break
            self._polled_at = None
            await asyncio.sleep(CATCH_UP_SECONDS)
        raise UnavailableError(self._why())

    def _sound(self) -> Sequence[Node]:
        now, believed = self._clock.now(), self._believed()
        loop_time = asyncio.get_running_loop().time()
        sound = [
            each
            for each in self._health.values()
            if not complaint(each, believed=believed, floor=self._floor, now=now)
        ]
        awake = [each for each in sound if each.rest_until <= loop_time]
        return [self._nodes[each.url] for each in awake or sound]

    def _is_behind(self) -> bool:
        return any(each.head and each.head.height < self._floor for each in self._health.values())

    async def _poll(self) -> None:
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._polled_at is not None and now - self._polled_at < POLL_SECONDS:
                return
            await asyncio.gather(*(self._ask(each, now) for each in self._nodes.values()))
            self._polled_at = asyncio.get_running_loop().time()

    async def _ask(self, node: Node, now: float) -> None:
        if self._health[node.url].rest_until > now:
            return
        try:
            answer = await node.get(LATEST)
            header = understood(BLOCK, answer.body, "its newest block").block.header
        except GarrisonError as error:
            self.failed(node, error)
            return
        self._chain_id = self._chain_id or header.chain_id
        if header.chain_id == self._chain_id:
            head = Head(height=header.height, time=header.time)
            self._health[node.url] = Health(url=node.url, head=head)
        else:
            message = (
                f"it is a node of chain {header.chain_id!r}, not of {self._chain_id!r}; check "
                "backend.chain.endpoints and chainId"
            )
            self._health[node.url] = Health(url=node.url, message=message)

    def _believed(self) -> int:
        return believed_height([each.head for each in self._health.values() if each.head])

    def _why(self) -> str:
        told = "; ".join(f"{each.url}: {each.message}" for each in self.endpoints()[:5])
        return f"no node of the chain can be used: {told}"
