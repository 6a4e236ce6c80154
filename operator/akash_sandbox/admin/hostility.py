"""The admin API's part for hostile providers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import Any

from aiohttp import web
from pydantic import RootModel, TypeAdapter

from akash_sandbox.admin import bodies
from akash_sandbox.faults import CONSOLE
from akash_sandbox.hostility import Hostility
from akash_sandbox.market.lease import LeaseKey
from akash_sandbox.venue import Venue
from akash_sandbox.workload import NoProgramError

Done = Callable[[], Awaitable[web.Response]]
Named = Callable[[str], str]
Key = Callable[[web.Request], LeaseKey]

_CHANGE = TypeAdapter(bodies.HostilityChange)
_SWAP = TypeAdapter(bodies.FileSwap)


class HostilityAdmin:
    """The handlers. ``named`` checks a provider's name, ``key`` finds the lease of a path."""

    def __init__(self, venue: Venue, *, done: Done, named: Named, key: Key) -> None:
        self._venue = venue
        self._done = done
        self._named = named
        self._key = key

    def routes(self, lease: str) -> list[web.RouteDef]:
        """Return the routes; ``lease`` is the path of one."""
        return [
            web.put("/v1/hostility/{scope}", self._change),
            web.get("/v1/seen/{scope}", self._seen),
            web.put(f"{lease}/file", self._swap),
        ]

    async def _change(self, request: web.Request) -> web.Response:
        asked = _CHANGE.validate_json(await request.read())
        scope, faults = self._scope(request), self._venue.faults
        changed = _changed(faults.hostility(scope), asked)
        if changed != Hostility(reads=changed.reads):
            self._require_containers(scope)
        faults.set_hostility(scope, changed)
        return await self._done()

    async def _seen(self, request: web.Request) -> web.Response:
        found = [
            bodies.AdminSeen(path=str(path), size=path.stat().st_size)
            for path in self._venue.seen.files(self._scope(request))
        ]
        body = RootModel[Any](found).model_dump_json()
        return web.Response(body=body, content_type="application/json")

    async def _swap(self, request: web.Request) -> web.Response:
        asked = _SWAP.validate_json(await request.read())
        key = self._key(request)
        try:
            for placed in list(self._venue.placed()):
                if placed.key == key:
                    await self._venue.workloads.swap(
                        placed.ask.id, asked.path, asked.content.encode()
                    )
        except NoProgramError as error:
            return web.json_response({"message": str(error)}, status=409)
        return await self._done()

    def _scope(self, request: web.Request) -> str:
        scope = request.match_info["scope"]
        if scope == CONSOLE or scope in self._venue.nodes:
            return scope
        return self._named(scope)

    def _require_containers(self, scope: str) -> None:
        """Raise HTTPConflict where nothing runs that one could be hostile to."""
        why = ""
        if scope == CONSOLE or scope in self._venue.nodes:
            why = f"{scope} runs no containers; only providers can be hostile to them"
        elif self._venue.settings.workloads.runtime == "synthetic":
            why = "workloads.runtime is synthetic, so there are no containers; set it to auto"
        if why:
            body = RootModel[Any]({"message": why}).model_dump_json()
            raise web.HTTPConflict(text=body, content_type="application/json")


def _changed(hostility: Hostility, asked: bodies.HostilityChange) -> Hostility:
    given = {each.name: getattr(asked, each.name) for each in fields(bodies.HostilityChange)}
    return replace(hostility, **{name: value for name, value in given.items() if value is not None})
