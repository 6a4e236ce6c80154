"""What the market lists about providers, shared between the controllers of accounts and providers."""

from __future__ import annotations

from collections.abc import Iterable

from garrison.ports.market import ProviderFact


class Directory:
    """The newest facts by provider id; a provider that is listed no more is offline."""

    def __init__(self) -> None:
        self._facts: dict[str, ProviderFact] = {}
        self._by_source: dict[str, frozenset[str]] = {}

    def update(self, source: str, facts: Iterable[ProviderFact]) -> None:
        """Take over a listing from one account's market."""
        listed = {fact.id: fact for fact in facts}
        for gone in self._by_source.get(source, frozenset()) - listed.keys():
            self._facts.pop(gone, None)
        self._by_source[source] = frozenset(listed)
        self._facts.update(listed)

    def fact(self, provider: str) -> ProviderFact | None:
        """Return what is listed about a provider, None when nothing is."""
        return self._facts.get(provider)

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all listed providers, sorted."""
        return tuple(sorted(self._facts))

    @property
    def is_empty(self) -> bool:
        """Whether no market has been read yet."""
        return not self._by_source
