"""How fast the chain makes blocks: measured between two blocks, not assumed."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from garrison.adapters.akash.chain.answers import BLOCK, understood
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.pricing import blocks_per_hour
from garrison.errors import NotFoundError, UnavailableError

BLOCKS = "/cosmos/base/tendermint/v1beta1/blocks"
SPAN = 100
MIN_SPAN = 5
"""Blocks between the two that are compared."""
KEEP_SECONDS = 600.0
RETRY_SECONDS = 15.0
_FIRST = 2
"""Block 1 has the time of the genesis file."""


class Pace:
    """Measures the time of a block, now and then; ``nominal`` counts six seconds all the same."""

    def __init__(self, nodes: Nodes, *, nominal: bool = False) -> None:
        self._nodes = nodes
        self._nominal = nominal
        self._seconds: Decimal | None = None
        self._again_at = 0.0
        self._blocks = blocks_per_hour(None)
        self._lock = asyncio.Lock()

    async def seconds(self) -> Decimal | None:
        """Return the measured seconds of a block, None while that cannot be told."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now >= self._again_at:
                self._seconds = await self._measured() or self._seconds
                self._again_at = now + (KEEP_SECONDS if self._seconds else RETRY_SECONDS)
            return self._seconds

    async def blocks_per_hour(self) -> int:
        """Return how many blocks an hour may have. It never sinks, so that prices are never too low."""
        if not self._nominal:
            self._blocks = max(self._blocks, blocks_per_hour(await self.seconds()))
        return self._blocks

    async def _measured(self) -> Decimal | None:
        head = await self._nodes.head()
        start = max(_FIRST, head.height - SPAN)
        if head.height - start < MIN_SPAN:
            return None
        try:
            body = await self._nodes.get(f"{BLOCKS}/{start}")
            then = understood(BLOCK, body, f"block {start}").block.header
        except (NotFoundError, UnavailableError):
            return None
        passed = (head.time - then.time).total_seconds()
        if then.height != start or passed <= 0:
            return None
        return Decimal(round(passed * 1000)) / 1000 / (head.height - start)
