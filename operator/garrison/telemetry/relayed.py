"""``garrison_relayed_*``: what workloads say of themselves, under names that are nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from garrison.ports.samples import PLACE, Page
from garrison.telemetry.replicas import place_of

PREFIX = "garrison_relayed_"


class RelayedCollector(Collector):
    """Every series is untyped: two replicas may disagree on a type, and a page has one for each name."""

    def __init__(self, pages: Callable[[], Iterable[Page]]) -> None:
        self._pages = pages

    def collect(self) -> Iterable[Metric]:
        """Yield one family for each name that any replica uses."""
        families: dict[str, Metric] = {}
        for page in self._pages():
            place = dict(zip(PLACE, place_of(page.replica), strict=True))
            for sample in page.relayed.samples.samples if page.relayed is not None else ():
                name = PREFIX + sample.name
                if name not in families:
                    families[name] = Metric(name, "Told by the workload.", "unknown")
                families[name].add_sample(name, {**dict(sample.labels), **place}, sample.value)
        return families.values()
