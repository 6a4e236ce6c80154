"""Group names by deployment, out of Console's database; they never change, so they are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from garrison.adapters.akash.answers import INDEX, INDEX_ENTRY, IndexEntry, IndexPage, understood
from garrison.adapters.akash.client import ConsoleClient
from garrison.adapters.akash.memo import Memo
from garrison.errors import NotFoundError, UnavailableError

INDEX_PATH = "/akash/deployment/v1beta4/deployments"
PAGE = 100
MAX_PAGES = 100
MAX_MISSES = 3


class Markers:
    """Finds out markers, asking at most once per deployment."""

    def __init__(self, client: ConsoleClient) -> None:
        self._client = client
        self._known: Memo[str] = Memo(10_000)
        self._misses: Memo[int] = Memo(10_000)

    def learn(self, number: str, marker: str) -> None:
        """Remember a marker."""
        self._known.keep(number, marker)

    async def one(self, owner: str, number: str) -> str | None:
        """Return a deployment's marker, None while the database does not have it.

        After ``MAX_MISSES`` only ``all`` finds it out.
        """
        known = self._known.get(number)
        missed = self._misses.get(number) or 0
        if known is not None or missed >= MAX_MISSES:
            return known
        self._misses.keep(number, missed + 1)
        params = {"id.owner": owner, "id.dseq": number}
        try:
            raw = await self._client.get(f"{INDEX_PATH}/info", params)
        except NotFoundError:
            return None
        if isinstance(raw, dict) and "deployment" not in raw:
            return None
        self._learn(understood(INDEX_ENTRY, raw, f"the groups of deployment {number}"))
        return self._known.get(number)

    async def all(self, owner: str, numbers: Sequence[str]) -> Mapping[str, str]:
        """Return the markers of all ``numbers``. Raises UnavailableError while one is not known."""
        if any(self._known.get(each) is None for each in numbers):
            await self._read(owner)
        found = {each: self._known.get(each) for each in numbers}
        missing = [each for each, marker in found.items() if marker is None]
        if missing:
            raise UnavailableError(
                f"Console's database does not have deployment {missing[0]} yet; it is asked again"
            )
        return {each: marker for each, marker in found.items() if marker is not None}

    async def _read(self, owner: str) -> None:
        key: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._page(owner, key)
            for entry in page.deployments:
                self._learn(entry)
            key = page.pagination.next_key
            if not key:
                return

    async def _page(self, owner: str, key: str | None) -> IndexPage:
        params = {
            "filters.owner": owner,
            "filters.state": "active",
            "pagination.limit": str(PAGE),
        }
        if key is not None:
            params["pagination.key"] = key
        raw = await self._client.get(f"{INDEX_PATH}/list", params)
        return understood(INDEX, raw, "the deployments in its database")

    def _learn(self, entry: IndexEntry) -> None:
        name = entry.groups[0].group_spec.name if entry.groups else ""
        self.learn(entry.deployment.id.dseq, name)
