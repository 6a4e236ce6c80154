"""``garrison_replica_*``: what the sentinels of the Ready replicas said last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from garrison.ports.samples import FAMILIES, PLACE, Family, Page, Replica, Sample

PREFIX = "garrison_replica_"


class ReplicaCollector(Collector):
    """Series exist as long as ``pages`` gives their replica."""

    def __init__(self, pages: Callable[[], Iterable[Page]]) -> None:
        self._pages = pages

    def collect(self) -> Iterable[Metric]:
        """Yield every family of the closed list, and how well the scrapes go."""
        pages = tuple(self._pages())
        yield _gauge(
            "up",
            "Whether the newest scrape of the replica's sentinel worked.",
            [(each.replica, int(each.reachable)) for each in pages],
        )
        yield _gauge(
            "dropped_samples",
            "Lines of the newest page that are not in the closed list, or make no sense.",
            [(each.replica, each.samples.dropped) for each in pages],
        )
        yield from _relays(pages)
        by_family: dict[str, list[tuple[Replica, Sample]]] = {}
        for page in pages:
            for sample in page.samples.samples:
                by_family.setdefault(sample.family, []).append((page.replica, sample))
        for family in FAMILIES:
            yield _family(family, by_family.get(family.name, ()))


def _relays(pages: Iterable[Page]) -> Iterable[Metric]:
    found = [(each.replica, each.relayed) for each in pages if each.relayed is not None]
    yield _gauge(
        "relayed_up",
        "Whether the workload's own metrics answered at the newest scrape.",
        [(replica, int(each.reachable)) for replica, each in found],
    )
    yield _gauge(
        "relayed_dropped_samples",
        "Lines of the workload's newest page that are too many, too long, or make no sense.",
        [(replica, each.samples.dropped) for replica, each in found],
    )


def place_of(replica: Replica) -> tuple[str, str, str, str]:
    """Return the values of ``PLACE``."""
    return (replica.namespace, replica.workload, replica.lease, replica.provider)


def _gauge(name: str, text: str, values: Iterable[tuple[Replica, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, text, labels=PLACE)
    for replica, value in values:
        family.add_metric(place_of(replica), value)
    return family


def _family(family: Family, found: Sequence[tuple[Replica, Sample]]) -> Metric:
    name = PREFIX + family.name
    metric = Metric(name.removesuffix("_total"), family.text, family.kind)
    for replica, sample in found:
        labels = dict(zip(PLACE, place_of(replica), strict=True)) | dict(sample.labels)
        metric.add_sample(PREFIX + sample.name, labels, sample.value)
    return metric
