"""Watches: a list's worth of state and then every change, one JSON document a line.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass

from kube_light.document import clone
from kube_light.errors import ApiError, bad_request
from kube_light.event import outward
from kube_light.history import Change
from kube_light.resource import Object, Resource
from kube_light.selector import Selector, parse_selector
from kube_light.store import Store

MAX_SECONDS = 1800.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest:
    """What a client wants to hear; ``since`` None: all objects first, then changes."""

    resource: Resource
    namespace: str
    selector: Selector
    since: int | None
    bookmarks: bool
    initial_events: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch."""

    type: str
    object: Object


def parse_watch(resource: Resource, namespace: str, query: Mapping[str, str]) -> WatchRequest:
    """Return the watch that a query asks for."""
    revision = query.get("resourceVersion") or "0"
    seconds = query.get("timeoutSeconds") or str(MAX_SECONDS)
    try:
        since, limit = int(revision), float(seconds)
    except ValueError as error:
        raise bad_request(f"resourceVersion and timeoutSeconds are numbers: {error}") from error
    initial = query.get("sendInitialEvents") == "true"
    return WatchRequest(
        resource=resource,
        namespace=namespace,
        selector=parse_selector(query.get("labelSelector", ""), query.get("fieldSelector", "")),
        since=None if initial or since == 0 else since,
        bookmarks=query.get("allowWatchBookmarks") == "true",
        initial_events=initial,
        seconds=min(limit, MAX_SECONDS),
    )


async def watch(
    store: Store, wanted: WatchRequest, bookmark_seconds: float
) -> AsyncGenerator[WatchEvent, None]:
    """Yield events until the watch's time is over."""
    queue: asyncio.Queue[Change] = asyncio.Queue()
    deadline = asyncio.get_running_loop().time() + wanted.seconds
    stop = store.listen(_collector(queue, wanted))
    try:
        for event in _beginning(store, wanted):
            yield event
            if event.type == "ERROR":
                return
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(min(left, bookmark_seconds)):
                    change = await queue.get()
            except TimeoutError:
                if wanted.bookmarks and queue.empty():
                    yield _bookmark(wanted, store.revision, {})
                continue
            if news := _event(wanted, change):
                yield news
    finally:
        stop()


def _collector(queue: asyncio.Queue[Change], wanted: WatchRequest) -> Callable[[Change], None]:
    def collect(change: Change) -> None:
        if change.storage == wanted.resource.storage:
            queue.put_nowait(change)

    return collect


def _beginning(store: Store, wanted: WatchRequest) -> Iterator[WatchEvent]:
    if wanted.since is not None:
        yield from _replay(store, wanted, wanted.since)
        return
    revision = store.revision
    for body in store.list(wanted.resource, namespace=wanted.namespace, selector=wanted.selector):
        yield WatchEvent("ADDED", body)
    if wanted.initial_events:
        yield _bookmark(wanted, revision, {INITIAL_EVENTS_END: "true"})


def _replay(store: Store, wanted: WatchRequest, since: int) -> Iterator[WatchEvent]:
    try:
        changes = store.changes_since(since, wanted.resource)
    except ApiError as error:
        yield WatchEvent("ERROR", error.status())
        return
    for change in changes:
        if event := _event(wanted, change):
            yield event


def _event(wanted: WatchRequest, change: Change) -> WatchEvent | None:
    """Return a change as this watch sees it: objects enter and leave what a selector picks."""
    body = outward(wanted.resource, change.object)
    if wanted.namespace not in {"", body["metadata"].get("namespace")}:
        return None
    before = change.before and outward(wanted.resource, change.before)
    was = before is not None and wanted.selector.picks(before)
    is_now = change.type != "DELETED" and wanted.selector.picks(body)
    match was, is_now:
        case False, False:
            return None
        case False, True:
            return WatchEvent("ADDED", body)
        case True, False:
            return WatchEvent("DELETED", body)
        case _:
            return WatchEvent("MODIFIED", body)


def _bookmark(wanted: WatchRequest, revision: int, annotations: Mapping[str, str]) -> WatchEvent:
    meta: Object = {"resourceVersion": str(revision)}
    if annotations:
        meta["annotations"] = clone(annotations)
    resource = wanted.resource
    body = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    return WatchEvent("BOOKMARK", body)
