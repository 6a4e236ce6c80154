"""The API server's HTTP side, for kopf, kubectl and any client that speaks JSON.

There is no authentication: it listens on the loopback interface only.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress

from aiohttp import web

from kube_light import patch, scale
from kube_light.discovery import discover
from kube_light.errors import ApiError, bad_request
from kube_light.page import parse_page
from kube_light.resource import Object, Resource
from kube_light.schema import unknown_fields
from kube_light.selector import Selector, parse_selector
from kube_light.store import Store
from kube_light.table import table
from kube_light.target import Target, find_target, parse_object, parse_operations
from kube_light.watching import WatchEvent, parse_watch, watch

HOST = "127.0.0.1"
MAX_BODY = 8 << 20
BOOKMARK_SECONDS = 30.0
HEALTH = frozenset({"healthz", "livez", "readyz"})
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Api:
    """Answers requests from a store."""

    def __init__(self, store: Store, bookmark_seconds: float = BOOKMARK_SECONDS) -> None:
        self._store = store
        self._bookmark_seconds = bookmark_seconds

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Return the answer; refusals are ``Status`` objects."""
        try:
            return await self._route(request)
        except ApiError as error:
            return web.json_response(error.status(), status=error.code)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part]
        if parts and parts[0] in HEALTH:
            return web.Response(text="ok")
        document = discover(self._store.resources(), parts)
        if document is not None:
            return web.json_response(document)
        target = find_target(self._store, parts)
        if request.query.get("dryRun"):
            raise bad_request("dry runs are not supported by this server")
        if request.method == "GET" and request.query.get("watch", "").lower() in {"1", "true"}:
            return await self._watch(request, target)
        return await self._verb(request, target)(request, target)

    def _verb(
        self, request: web.Request, target: Target
    ) -> Callable[[web.Request, Target], Awaitable[web.Response]]:
        match request.method, bool(target.name):
            case "GET", False:
                return self._list
            case "GET", True:
                return self._get
            case "POST", False:
                return self._create
            case "PUT", True:
                return self._update
            case "PATCH", True:
                return self._patch
            case "DELETE", True:
                return self._delete
            case "DELETE", False:
                return self._delete_all
            case method, _:
                raise ApiError(405, "MethodNotAllowed", f"{method} is not allowed here")

    async def _list(self, request: web.Request, target: Target) -> web.Response:
        page = parse_page(request.query, self._store.revision)
        picked = self._store.list(
            target.resource,
            namespace=target.namespace,
            selector=_selector(request),
            revision=page.revision,
        )
        items, meta = page.cut(picked)
        if _wants_table(request):
            return web.json_response(self._table(request, target, items, meta))
        body = {
            "kind": f"{target.resource.kind}List",
            "apiVersion": target.resource.api_version,
            "metadata": meta,
            "items": items,
        }
        return web.json_response(body)

    async def _get(self, request: web.Request, target: Target) -> web.Response:
        body = self._store.get(target.resource, target.namespace, target.name)
        if target.subresource == "scale":
            return web.json_response(scale.view(target.resource, body))
        if _wants_table(request):
            meta = {"resourceVersion": body["metadata"]["resourceVersion"]}
            return web.json_response(self._table(request, target, [body], meta))
        return web.json_response(body)

    async def _create(self, request: web.Request, target: Target) -> web.Response:
        body = await _object(request)
        _check_fields(request, target, body)
        new = self._store.create(target.resource, body, target.namespace)
        return web.json_response(new, status=201)

    async def _update(self, request: web.Request, target: Target) -> web.Response:
        body = await _object(request)
        if target.subresource == "scale":
            return self._rescale(target, lambda _: body)
        _check_fields(request, target, body)
        return web.json_response(_written(self._store.update, target, body))

    async def _patch(self, request: web.Request, target: Target) -> web.Response:
        if request.content_type == JSON_PATCH:
            operations = parse_operations(await request.read())
            if target.subresource == "scale":
                return self._rescale(target, lambda old: patch.json_patch(old, operations))
            where = (target.namespace, target.name, target.subresource)
            return web.json_response(self._store.json_patch(target.resource, operations, *where))
        body = await _object(request)
        if target.subresource == "scale":
            return self._rescale(target, lambda old: patch.merge(old, body))
        _check_fields(request, target, body)
        if request.content_type == APPLY_PATCH:
            return self._apply(request, target, body)
        return web.json_response(_written(self._store.merge, target, _plain(body)))

    def _apply(self, request: web.Request, target: Target, body: Object) -> web.Response:
        where = (target.resource, target.namespace, target.name)
        new = self._store.find(*where) is None
        result = self._store.apply(
            target.resource,
            body,
            target.namespace,
            target.name,
            field_manager=request.query.get("fieldManager", ""),
            subresource=target.subresource,
        )
        return web.json_response(result, status=201 if new else 200)

    def _rescale(self, target: Target, edit: Callable[[Object], Object]) -> web.Response:
        where = (target.resource, target.namespace, target.name)
        old = self._store.get(*where)
        wanted = edit(scale.view(target.resource, old))
        new = self._store.update(
            target.resource,
            scale.rescaled(target.resource, old, wanted),
            target.namespace,
            target.name,
        )
        return web.json_response(scale.view(target.resource, new))

    async def _delete(self, request: web.Request, target: Target) -> web.Response:
        options = await _object(request)
        preconditions = options.get("preconditions") or {}
        policy = options.get("propagationPolicy") or request.query.get("propagationPolicy")
        body = self._store.delete(
            target.resource,
            target.namespace,
            target.name,
            uid=preconditions.get("uid"),
            resource_version=preconditions.get("resourceVersion"),
            orphan=policy == "Orphan",
        )
        return web.json_response(body)

    async def _delete_all(self, request: web.Request, target: Target) -> web.Response:
        self._store.delete_all(
            target.resource, namespace=target.namespace, selector=_selector(request)
        )
        return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        wanted = parse_watch(target.resource, target.namespace, request.query)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        async with aclosing(watch(self._store, wanted, self._bookmark_seconds)) as events:
            with suppress(ConnectionError):
                async for event in events:
                    line = {"type": event.type, "object": self._shown(request, target, event)}
                    await response.write(json.dumps(line).encode() + b"\n")
        return response

    def _shown(self, request: web.Request, target: Target, event: WatchEvent) -> Object:
        if event.type in {"BOOKMARK", "ERROR"} or not _wants_table(request):
            return event.object
        return self._table(request, target, [event.object], {})

    def _table(
        self, request: web.Request, target: Target, items: Sequence[Object], meta: Object
    ) -> Object:
        include = request.query.get("includeObject", "Metadata")
        return table(target.resource, items, self._store.now(), include=include, meta=meta)


@asynccontextmanager
async def serve(
    store: Store, port: int = 0, *, bookmark_seconds: float = BOOKMARK_SECONDS
) -> AsyncIterator[str]:
    """Serve a store on the loopback interface and give its URL; port 0 means any free one."""
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_route("*", "/{path:.*}", Api(store, bookmark_seconds).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def kubeconfig(url: str) -> Object:
    """Return a kubeconfig with one context, ``kube-light``."""
    name = "kube-light"
    context = {"cluster": name, "user": name, "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": name, "user": {}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }


async def _object(request: web.Request) -> Object:
    return parse_object(await request.read(), request.content_type)


def _selector(request: web.Request) -> Selector:
    query = request.query
    return parse_selector(query.get("labelSelector", ""), query.get("fieldSelector", ""))


def _wants_table(request: web.Request) -> bool:
    return "as=Table" in request.headers.get("Accept", "")


def _written(
    write: Callable[[Resource, Object, str, str, str], Object], target: Target, body: Object
) -> Object:
    return write(target.resource, body, target.namespace, target.name, target.subresource)


def _check_fields(request: web.Request, target: Target, body: Object) -> None:
    """Raise a 400 for fields that would be dropped, when the client asked for that."""
    if target.resource.schema is None or request.query.get("fieldValidation") != "Strict":
        return
    unknown = unknown_fields(target.resource.schema, body)
    if unknown:
        named = ", ".join(f'unknown field "{field}"' for field in unknown)
        raise bad_request(f"strict decoding error: {named}")


def _plain(patch_body: Object) -> Object:
    """Return a strategic merge patch as a merge patch: its directives are left out."""
    return {
        key: _plain(value) if isinstance(value, dict) else value
        for key, value in patch_body.items()
        if not key.startswith("$")
    }
