"""A registry that serves given blobs on loopback (distribution specification 1.1, pull only)."""

from __future__ import annotations

import base64
from types import TracebackType

from aiohttp import web

from tests.sandbox.workloads.image import MANIFEST_TYPE, ImageFiles

TOKEN = "pull-token"


class LoopbackRegistry:
    """Serves every image under the repository ``program``; ``asked`` lists the paths asked for.

    With ``login`` (user and password) it gives nothing without a token, and a token to that user only.
    """

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self._login = login
        self.asked: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self.host = ""
        app = web.Application()
        app.router.add_get("/token", self._token)
        app.router.add_get("/v2/program/{kind:manifests|blobs}/{version}", self._get)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    def add(self, files: ImageFiles) -> str:
        """Keep an image and return the reference to pull it by."""
        self.blobs.update(files.blobs)
        return f"{self.host}/program@{files.digest}"

    async def __aenter__(self) -> LoopbackRegistry:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.host = "127.0.0.1:{1}".format(*self._runner.addresses[0])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        if self._login is None or request.headers.get("Authorization") != _basic(*self._login):
            return web.Response(status=401)
        return web.json_response({"token": TOKEN})

    async def _get(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if self._login is not None and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            challenge = f'Bearer realm="http://{self.host}/token",service="{self.host}"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        blob = self.blobs.get(request.match_info["version"])
        if blob is None:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        manifest = request.match_info["kind"] == "manifests"
        return web.Response(
            body=blob, content_type=MANIFEST_TYPE if manifest else "application/octet-stream"
        )


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
