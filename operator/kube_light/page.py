"""Pages of a list: all pages show the objects as they were when the first was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kube_light.errors import bad_request
from kube_light.resource import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Part of a list as of a revision; ``limit`` 0: all of the rest."""

    revision: int
    start: int
    limit: int

    def cut(self, items: Sequence[Object]) -> tuple[Sequence[Object], Object]:
        """Return the page and its list metadata."""
        meta: Object = {"resourceVersion": str(self.revision)}
        end = self.start + self.limit if self.limit else len(items)
        if end < len(items):
            meta["continue"] = f"{self.revision}:{end}"
            meta["remainingItemCount"] = len(items) - end
        return items[self.start : end], meta


def parse_page(query: Mapping[str, str], newest: int) -> Page:
    """Return the page that a query asks for; ApiError 400 when it makes no sense."""
    token = query.get("continue") or f"{newest}:0"
    revision, _, start = token.partition(":")
    try:
        return Page(
            revision=int(revision), start=int(start), limit=max(int(query.get("limit") or 0), 0)
        )
    except ValueError as error:
        raise bad_request(f"limit or continue cannot be read: {error}") from error
