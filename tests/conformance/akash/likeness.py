"""How two answers differ, where it matters to a client."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

FREE = frozenset(
    (
        "acc_seq",
        "app_hash",
        "app_version",
        "closed_on",
        "consensus_hash",
        "created_at",
        "deadline",
        "default_node_id",
        "expiration",
        "fee",
        "gas_limit",
        "gas_used",
        "gas_wanted",
        "go_version",
        "hash",
        "height",
        "last_commit_hash",
        "listen_addr",
        "moniker",
        "next_validators_hash",
        "proposer_address",
        "rpc_address",
        "settled_at",
        "signature",
        "signatures",
        "started_at",
        "time",
        "timestamp",
        "timeout_timestamp",
        "txhash",
        "validator_address",
        "validators_hash",
    )
)
"""Names of values that are another chain's, or another day's; their types are compared all the same."""

_NUMBERS = (
    re.compile(r"gasUsed: \d+"),
    re.compile(r"block height: \d+"),
    re.compile(r"block time: .*: tx timeout"),
)
_FEE = re.compile(r"^\d+uakt$")
_WHERE = re.compile(r"( \[[^\]]*\])? with gas used: '\d+'$")


def differences(recorded: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Yield what differs: types, names, lengths, and values where they do not depend on the day."""
    if type(recorded) is not type(ours):
        yield f"{path}: {recorded!r:.120} was {type(recorded).__name__}, is {ours!r:.120}"
    elif isinstance(recorded, dict):
        yield from _of_objects(recorded, ours, path)
    elif path.endswith(".events") and isinstance(recorded, list):
        yield from _of_events(recorded, ours, path)
    elif isinstance(recorded, list):
        if len(recorded) != len(ours):
            yield f"{path}: had {len(recorded)} entries, has {len(ours)}"
        for index, (one, other) in enumerate(zip(recorded, ours, strict=False)):
            yield from differences(one, other, f"{path}[{index}]")
    elif plain(recorded) != plain(ours):
        yield f"{path}: was {recorded!r:.160}, is {ours!r:.160}"


def plain(value: Any) -> Any:
    """Return a value without what depends on the block or on where the node was built."""
    if not isinstance(value, str):
        return value
    for pattern in _NUMBERS:
        value = pattern.sub("", value)
    return _FEE.sub("some uakt", _WHERE.sub("", value))


def _of_events(recorded: list[Any], ours: list[Any], path: str) -> Iterator[str]:
    """Compare what events there are, and what the market's own say.

    Their order is nobody's to rely on, and how many coins move depends on how many blocks went by.
    """
    for kind in _kinds(recorded) ^ _kinds(ours):
        yield f"{path}: {kind} only {'before' if kind in _kinds(recorded) else 'now'}"
    told, tell = _told(recorded), _told(ours)
    for event in (told - tell) + (tell - told):
        yield f"{path}: {event} {told[event]} times before, {tell[event]} now"


def _kinds(events: list[Any]) -> set[tuple[str, ...]]:
    return {(e["type"], *(a["key"] for a in e["attributes"])) for e in events}


def _told(events: list[Any]) -> Counter[str]:
    return Counter(
        f"{e['type']} {[(a['key'], a['value']) for a in e['attributes'] if a['key'] not in FREE]}"
        for e in events
        if e["type"].startswith(("akash", "cosmos"))
    )


def _of_objects(recorded: dict[str, Any], ours: dict[str, Any], path: str) -> Iterator[str]:
    for name in recorded.keys() | ours.keys():
        if name not in ours:
            yield f"{path}.{name}: is missing"
        elif name not in recorded:
            yield f"{path}.{name}: is new"
        elif _is_free(name, recorded):
            if type(recorded[name]) is not type(ours[name]):
                yield f"{path}.{name}: was {recorded[name]!r:.80}, is {ours[name]!r:.80}"
        else:
            yield from differences(recorded[name], ours[name], f"{path}.{name}")


def _is_free(name: str, within: dict[str, Any]) -> bool:
    """Return whether a value may differ; events name theirs in a field beside it."""
    return name in FREE or (name == "value" and within.get("key") in FREE)
