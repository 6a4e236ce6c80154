"""Images on disk: blobs by digest, one unpacked root file system per image."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from akash_sandbox.images.reference import ImageError, parse
from akash_sandbox.images.registry import Login, RegistryClient
from akash_sandbox.images.unpack import unpack_layer
from akash_sandbox.settings import Registry as RegistrySettings

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An unpacked image; ``config`` is the ``config`` object of the image's configuration."""

    digest: str
    rootfs: Path
    config: Json


class ImageStore:
    """Pulls images once and keeps them under a cache folder."""

    def __init__(self, folder: Path, settings: RegistrySettings) -> None:
        self._folder = folder
        self._blobs = folder / "blobs" / "sha256"
        self._settings = settings
        self._locks: dict[str, asyncio.Lock] = {}
        self._session: aiohttp.ClientSession | None = None

    async def pull(self, image: str, login: Login) -> Image:
        """Return the unpacked image; raises ImageError."""
        async with self._locks.setdefault(image, asyncio.Lock()):
            try:
                return await self._pull(image, login)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
                raise ImageError(f"image {image}: {type(error).__name__}: {error}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _pull(self, image: str, login: Login) -> Image:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        reference = parse(image)
        client = RegistryClient(self._session, self._settings, reference, login, self._blobs)
        manifest = await client.manifest()
        config_digest = str(manifest["config"]["digest"])
        config = json.loads((await self._blob(client, config_digest)).read_bytes())
        rootfs = self._folder / "rootfs" / config_digest.removeprefix("sha256:")
        if not rootfs.exists():
            layers = [await self._blob(client, str(x["digest"])) for x in manifest["layers"]]
            await asyncio.to_thread(_unpack, layers, rootfs)
        return Image(digest=config_digest, rootfs=rootfs, config=config.get("config") or {})

    async def _blob(self, client: RegistryClient, digest: str) -> Path:
        path = self._blobs / digest.removeprefix("sha256:")
        if not path.exists() or not await asyncio.to_thread(_is, path, digest):
            await client.blob(digest, path)
        return path


def _is(path: Path, digest: str) -> bool:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == digest


def _unpack(layers: list[Path], rootfs: Path) -> None:
    partial = rootfs.with_name(f".{rootfs.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for layer in layers:
            unpack_layer(layer, partial)
        partial.chmod(0o755)
        if not rootfs.exists():
            partial.rename(rootfs)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
