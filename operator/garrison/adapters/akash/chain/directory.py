"""The providers on the chain, and what auditors signed for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from garrison.adapters.akash.chain.answers import AUDITS, Audit, understood
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.readings import provider_of
from garrison.adapters.akash.memo import Memo
from garrison.errors import NotFoundError, UnavailableError
from garrison.ports.market import ProviderFact

PROVIDERS = "/akash/provider/v1beta4/providers"
AUDIT_PATH = "/akash/audit/v1/audit/attributes"
KEEP_SECONDS = 6 * 3600.0
AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    audits: tuple[Audit, ...]
    until: float


class ProviderDirectory:
    """Reads the providers; audits, which change rarely, are kept for hours.

    Audits are asked for provider by provider: the lists by auditor are broken on real nodes (the owner
    field holds something else).
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._audits: Memo[_Kept] = Memo(10_000)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def all(self) -> Sequence[ProviderFact]:
        """Return the readable providers, one per address."""
        items = await self._nodes.pages(PROVIDERS, {}, "providers")
        facts = await asyncio.gather(*(self._fact(each) for each in items))
        return tuple({each.id: each for each in facts if each is not None}.values())

    async def _fact(self, item: Any) -> ProviderFact | None:
        bare = provider_of(item, ())
        return provider_of(item, await self._audits_of(bare.id)) if bare else None

    async def _audits_of(self, owner: str) -> Sequence[Audit]:
        """Return a provider's audits; one that cannot be read now counts as not audited."""
        now = asyncio.get_running_loop().time()
        kept = self._audits.get(owner)
        if kept is not None and kept.until > now:
            return kept.audits
        async with self._slots:
            try:
                body = await self._nodes.get(f"{AUDIT_PATH}/{owner}/list")
            except NotFoundError:
                body = {"providers": []}
            except UnavailableError:
                return ()
        found = tuple(
            each
            for each in understood(AUDITS, body, "audits").providers
            if each.owner == owner and each.auditor
        )
        self._audits.keep(owner, _Kept(audits=found, until=now + KEEP_SECONDS))
        return found
