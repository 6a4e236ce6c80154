"""What workloads say of themselves, as a scraper of the operator reads it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from garrison.adapters.sentinel.relayed import relayed_of
from garrison.ports.samples import Page, Relayed, Replica, Samples
from garrison.telemetry.metrics import EngineMeter, StateCollector
from garrison.telemetry.relayed import PREFIX, RelayedCollector
from garrison.telemetry.replicas import ReplicaCollector
from tests.builders import NOW

ONE = Replica(namespace="prod", workload="chat", lease="chat-1", provider="p1")
TWO = replace(ONE, lease="chat-2", provider="p2")
PLACES = {
    each.lease: {
        "namespace": "prod",
        "workload": "chat",
        "lease": each.lease,
        "provider": each.provider,
    }
    for each in (ONE, TWO)
}
OWN = ("garrison_", "process_", "python_")
"""How the names of the operator's own families begin."""


def told(replica: Replica, text: str, *, reachable: bool = True) -> Page:
    relayed = Relayed(samples=relayed_of(text), reachable=reachable)
    return Page(replica=replica, samples=Samples(), taken_at=NOW, relayed=relayed)


def scraped(*pages: Page) -> str:
    """The operator's page."""
    registry = CollectorRegistry()
    EngineMeter(registry)
    registry.register(StateCollector(lambda _: (), lambda: (0, 0)))
    registry.register(ReplicaCollector(lambda: pages))
    registry.register(RelayedCollector(lambda: pages))
    return generate_latest(registry).decode()


def series(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Every series but those that say when a counter began."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_every_series_says_whose_it_is() -> None:
    found = series(scraped(told(ONE, 'hits_total{path="/"} 4'), told(TWO, "hits_total 5")))
    assert found[f"{PREFIX}hits_total"] == [
        ({**PLACES["chat-1"], "path": "/"}, 4),
        (PLACES["chat-2"], 5),
    ]
    assert [each[1] for each in found["garrison_replica_relayed_up"]] == [1, 1]


def test_replicas_that_disagree_on_a_type_disturb_nobody() -> None:
    pages = (
        told(ONE, "# TYPE x counter\nx_total 1\n"),
        told(TWO, '# TYPE x_total histogram\nx_total{le="1"} 2\nx_total_bucket{le="1"} 3\n'),
    )
    text = scraped(*pages)
    assert text.count(f"# TYPE {PREFIX}x_total untyped") == 1
    assert [each[1] for each in series(text)[f"{PREFIX}x_total"]] == [1, 2]


def test_a_workload_cannot_speak_in_another_s_name() -> None:
    before = series(scraped())
    hostile = (
        'garrison_queue_keys{state="due"} 99\n'
        "garrison_replica_up 0\n"
        'garrison_replica_up{namespace="prod",workload="chat",lease="chat-2",provider="p2"} 0\n'
        'up{lease="chat-2",provider="p2"} 0\n'
        'a{x="1\\"} 1\\ngarrison_leases{phase=\\"Ready"} 7\n'
    )
    after = series(scraped(told(ONE, hostile)))
    ours = {name: found for name, found in after.items() if not name.startswith(PREFIX)}
    assert {name: ours[name] for name in before} == before
    assert ours["garrison_replica_up"] == [(PLACES["chat-1"], 1)]
    theirs = [labels for name in after if name.startswith(PREFIX) for labels, _ in after[name]]
    assert theirs
    assert all(labels.items() >= PLACES["chat-1"].items() for labels in theirs)


NAMES = st.text('aZ_:0é"\\ ', min_size=1, max_size=8)
VALUES = st.text(max_size=12).map(lambda each: each.replace("\\", "\\\\").replace('"', '\\"'))
LINES = st.builds(
    lambda name, labels, value: (
        f"{name}{{{','.join(f'{key}=' + chr(34) + each + chr(34) for key, each in labels)}}} {value}"
    ),
    NAMES,
    st.lists(st.tuples(NAMES | st.sampled_from([*PLACES["chat-1"], "le"]), VALUES), max_size=3),
    st.floats(),
)


@settings(max_examples=60)
@given(lines=st.lists(LINES, max_size=8))
def test_whatever_a_workload_says_the_page_can_be_read_and_holds_all_that_was_taken(
    lines: list[str],
) -> None:
    page = told(ONE, "\n".join(lines))
    found = series(scraped(page))
    theirs = [labels for name in found if name.startswith(PREFIX) for labels, _ in found[name]]
    assert page.relayed is not None
    assert len(theirs) == len(page.relayed.samples.samples)
    assert all(labels.items() >= PLACES["chat-1"].items() for labels in theirs)


def test_no_family_of_ours_begins_as_relayed_ones_do() -> None:
    names = series(scraped(told(ONE, "")))
    assert names
    assert all(name.startswith(OWN) for name in names)
    assert not any(name.startswith(PREFIX) for name in names)


def test_silence_is_shown_and_a_workload_that_names_no_path_has_no_series() -> None:
    silent = told(ONE, "", reachable=False)
    unasked = Page(replica=TWO, samples=Samples(), taken_at=NOW)
    found = series(scraped(silent, unasked))
    assert found["garrison_replica_relayed_up"] == [(PLACES["chat-1"], 0)]
    assert found["garrison_replica_relayed_dropped_samples"] == [(PLACES["chat-1"], 0)]
