"""Reading from OCI registries (distribution specification 1.1), every byte checked by digest."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from akash_sandbox.files import write_whole
from akash_sandbox.images.reference import ImageError, Reference, is_insecure
from akash_sandbox.settings import Registry as RegistrySettings

Json = dict[str, Any]

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = {"Accept": ", ".join((*_INDEXES, *_MANIFESTS))}
_GREATEST_MANIFEST = 4 * 1024**2
_CHUNK = 1024**2
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A registry's user; empty strings for anonymous reading."""

    username: str = ""
    password: str = ""


class RegistryClient:
    """Fetches manifests and blobs of one image. Raises ImageError for every failure."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: RegistrySettings,
        reference: Reference,
        login: Login,
        blobs: Path,
    ) -> None:
        self._blobs = blobs
        self._session = session
        self._settings = settings
        self._reference = reference
        self._login = login
        self._authorization: dict[str, str] = _basic(login)
        scheme = "http" if is_insecure(reference.registry, settings.insecure) else "https"
        self._base = f"{scheme}://{reference.registry}/v2/{reference.repository}"

    async def manifest(self) -> Json:
        """Return the image manifest for this machine, following an index."""
        found = await self._json(self._reference.version)
        if found.get("mediaType") in _INDEXES or "manifests" in found:
            found = await self._json(self._of_this_machine(found))
        if "config" not in found or "layers" not in found:
            raise ImageError(f"image {self._reference}: the registry's answer is not a manifest")
        return found

    async def blob(self, digest: str, target: Path) -> None:
        """Write a blob to ``target``, whole and verified, or not at all."""
        partial = target.with_name(f".{target.name}.{os.getpid()}.{id(self)}")
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            await self._download(digest, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def _of_this_machine(self, index: Json) -> str:
        wanted = _ARCHITECTURES.get(platform.machine(), platform.machine())
        for entry in index.get("manifests", ()):
            place = entry.get("platform") or {}
            if place.get("os", "linux") == "linux" and place.get("architecture") in (wanted, None):
                return str(entry["digest"])
        raise ImageError(f"image {self._reference}: has no variant for linux/{wanted}")

    async def _json(self, version: str) -> Json:
        """Return a manifest or index; one named by digest is asked for only once."""
        kept = self._blobs / version.removeprefix("sha256:")
        body = await asyncio.to_thread(_verified, kept, version)
        if body is None:
            body = await self._fetch(version)
            if version.startswith("sha256:"):
                await asyncio.to_thread(write_whole, kept, body)
        value: Json = json.loads(body)
        return value

    async def _fetch(self, version: str) -> bytes:
        async with await self._get(f"{self._base}/manifests/{version}", _ACCEPT) as response:
            body = await response.content.read(_GREATEST_MANIFEST + 1)
            while len(body) <= _GREATEST_MANIFEST and (more := await response.content.read(_CHUNK)):
                body += more
        if len(body) > _GREATEST_MANIFEST:
            raise ImageError(f"image {self._reference}: manifest above {_GREATEST_MANIFEST} bytes")
        if version.startswith("sha256:") and _digest(body) != version:
            raise ImageError(f"image {self._reference}: manifest's content is not {version}")
        return body

    async def _download(self, digest: str, partial: Path) -> None:
        seen, size = hashlib.sha256(), 0
        async with await self._get(f"{self._base}/blobs/{digest}", {}) as response:
            with partial.open("wb") as file:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    size += len(chunk)
                    if size > self._settings.greatest_layer_bytes:
                        raise ImageError(f"image {self._reference}: layer {digest} is too large")
                    seen.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
        if f"sha256:{seen.hexdigest()}" != digest:
            raise ImageError(f"image {self._reference}: blob's content is not {digest}")

    async def _get(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        response = await self._send(url, headers)
        if response.status == 401 and not self._authorization.get("Authorization", "").startswith(
            "Bearer"
        ):
            challenge = response.headers.get("WWW-Authenticate", "")
            response.release()
            if challenge.lower().startswith("bearer"):
                await self._authorize(challenge)
                response = await self._send(url, headers)
        if response.status != 200:
            response.release()
            raise ImageError(f"image {self._reference}: {url} answered {response.status}")
        return response

    async def _send(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=self._settings.timeout_seconds)
        try:
            return await self._session.get(
                url, headers={**headers, **self._authorization}, timeout=timeout
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ImageError(f"image {self._reference}: {url}: {error}") from error

    async def _authorize(self, challenge: str) -> None:
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        params = {key: fields[key] for key in ("service", "scope") if key in fields}
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_seconds)
        async with self._session.get(
            fields.get("realm", ""), params=params, headers=_basic(self._login), timeout=timeout
        ) as response:
            body = await response.json() if response.status == 200 else {}
        token = body.get("token") or body.get("access_token")
        if not token:
            raise ImageError(f"image {self._reference}: the registry refused to issue a token")
        self._authorization = {"Authorization": f"Bearer {token}"}


def _basic(login: Login) -> dict[str, str]:
    if not login.username:
        return {}
    text = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def _verified(path: Path, digest: str) -> bytes | None:
    """Return a kept file's content, None when there is none or another."""
    try:
        body = path.read_bytes()
    except OSError:
        return None
    return body if _digest(body) == digest else None


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
