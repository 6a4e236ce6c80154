"""A registry in memory: images, logins and every way to answer wrongly."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
REPOSITORY = "acme/model"


def digest_of(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


@dataclass(slots=True, kw_only=True)
class RegistryServer:
    """``blobs`` hold manifests and configs by digest. ``login`` is asked for by token or Basic."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    token: str | None = None
    basic: bool = False
    blob_redirect: str | None = None
    token_uses: int | None = None
    """how many blobs a token is good for"""
    seen: list[tuple[str, str | None]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v2/{name:.+}/manifests/{digest}", self._manifest)
        app.router.add_get("/v2/{name:.+}/blobs/{digest}", self._blob)
        app.router.add_get("/storage/{digest}", self._storage)
        app.router.add_get("/token", self._token)
        return app

    def put(self, document: dict[str, Any]) -> str:
        """Keep a document; returns its digest."""
        raw = json.dumps(document).encode()
        self.blobs[digest_of(raw)] = raw
        return digest_of(raw)

    def image(self, *, architecture: str = "amd64", **process: Any) -> str:
        """Keep an image of two layers; returns its manifest's digest."""
        config = {"os": "linux", "architecture": architecture, "config": process or None}
        layer = {"mediaType": "x", "digest": "sha256:" + "b" * 64, "size": 1000}
        return self.put(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": self.descriptor(self.put(config)),
                "layers": [layer, layer],
            }
        )

    def layered(self, *layers: bytes) -> str:
        """Keep an image of these layers; returns its manifest's digest."""
        for layer in layers:
            self.blobs[digest_of(layer)] = layer
        config = self.put({"os": "linux", "architecture": "amd64"})
        return self.put(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": self.descriptor(config),
                "layers": [self.descriptor(digest_of(layer)) for layer in layers],
            }
        )

    def index(self, **digests: str) -> str:
        """Keep an index of images by architecture; returns its digest."""
        entries = [
            {
                **self.descriptor(digest),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, digest in digests.items()
        ]
        attestation = {
            **self.descriptor("sha256:" + "c" * 64),
            "platform": {"os": "unknown", "architecture": "unknown"},
        }
        return self.put(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [attestation, *entries]}
        )

    def descriptor(self, digest: str) -> dict[str, Any]:
        size = len(self.blobs.get(digest, b""))
        return {"mediaType": "x", "digest": digest, "size": size}

    async def _manifest(self, request: web.Request) -> web.Response:
        return self._refusal(request) or self._found(request)

    async def _blob(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request) or self._spent(request)
        if refusal is not None:
            return refusal
        if self.blob_redirect is not None:
            target = self.blob_redirect.format(digest=request.match_info["digest"])
            return web.Response(status=307, headers={"Location": target})
        return self._found(request)

    def _spent(self, request: web.Request) -> web.Response | None:
        if self.token_uses is None:
            return None
        self.token_uses -= 1
        if self.token_uses >= 0:
            return None
        self.token, self.token_uses = f"{self.token}+", 100
        return self._refusal(request)

    async def _storage(self, request: web.Request) -> web.Response:
        self.seen.append((request.path, request.headers.get("Authorization")))
        return self._found(request)

    async def _token(self, request: web.Request) -> web.Response:
        self.seen.append((request.path_qs, request.headers.get("Authorization")))
        if self.login is not None and request.headers.get("Authorization") != self._basic():
            return web.json_response({"errors": []}, status=401)
        return web.json_response({"token": self.token})

    def _found(self, request: web.Request) -> web.Response:
        raw = self.blobs.get(request.match_info["digest"])
        if raw is None:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        return web.Response(body=raw)

    def _refusal(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization")
        self.seen.append((request.path, given))
        if self.token is not None and given != f"Bearer {self.token}":
            challenge = f'Bearer realm="http://{request.host}/token",service="reg, here"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        if self.basic and given != self._basic():
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return None

    def _basic(self) -> str:
        assert self.login is not None
        return "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
