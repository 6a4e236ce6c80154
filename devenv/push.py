"""Pushing image layouts to registries (OCI distribution specification 1.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin

import aiohttp

from devenv.errors import DevenvError
from devenv.oci import Descriptor, Layout

_LIMIT = aiohttp.ClientTimeout(total=300, sock_connect=10)


async def push(layout: Layout, registry: str, repository: str, *, tag: str = "") -> str:
    """Return ``HOST/REPOSITORY@DIGEST`` of the pushed image; ``tag`` names it as well.

    ``registry`` is an http or https URL. Raises DevenvError when the registry refuses.
    """
    manifest = layout.manifest()
    data = layout.blob(manifest.digest).read_bytes()
    content = json.loads(data)
    base = f"{registry}/v2/{repository}"
    async with aiohttp.ClientSession(timeout=_LIMIT) as session:
        for row in (content["config"], *content["layers"]):
            await _push_blob(session, base, row["digest"], layout.blob(row["digest"]))
        for name in filter(None, (manifest.digest, tag)):
            await _put_manifest(session, f"{base}/manifests/{name}", data, manifest)
    return f"{registry.partition('://')[2]}/{repository}@{manifest.digest}"


async def _push_blob(session: aiohttp.ClientSession, base: str, digest: str, path: Path) -> None:
    async with session.head(f"{base}/blobs/{digest}") as known:
        if known.status == 200:
            return
    async with session.post(f"{base}/blobs/uploads/") as opened:
        await _expect(opened, 202)
        upload = urljoin(str(opened.url), opened.headers["Location"])
    octets = {"Content-Type": "application/octet-stream", "Content-Length": str(_size(path))}
    place = f"{upload}{'&' if '?' in upload else '?'}digest={digest}"
    with path.open("rb") as file:
        async with session.put(place, data=file, headers=octets) as stored:
            await _expect(stored, 201)


async def _put_manifest(
    session: aiohttp.ClientSession, url: str, data: bytes, manifest: Descriptor
) -> None:
    headers: Mapping[str, str] = {"Content-Type": manifest.media_type}
    async with session.put(url, data=data, headers=headers) as response:
        await _expect(response, 201)


async def _expect(response: aiohttp.ClientResponse, status: int) -> None:
    if response.status != status:
        text = (await response.text())[:300]
        raise DevenvError(
            f"{response.method} {response.url} answered {response.status}, not {status}: {text}"
        )


def _size(path: Path) -> int:
    return path.stat().st_size
