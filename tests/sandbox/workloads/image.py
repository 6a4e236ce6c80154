"""OCI images written with the standard library (image specification 1.1)."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a layer: a folder without content, a link when ``link`` is given."""

    path: str
    content: bytes | None = None
    mode: int = 0o755
    link: str = ""
    uid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """An image's blobs by digest; ``digest`` is that of its manifest."""

    digest: str
    blobs: Mapping[str, bytes]


def layer(entries: Iterable[Entry]) -> bytes:
    """Return a gzipped layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.uid
            if entry.link:
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
            elif entry.content is None:
                info.type = tarfile.DIRTYPE
            info.size = len(entry.content or b"")
            tar.addfile(info, io.BytesIO(entry.content or b""))
    return gzip.compress(buffer.getvalue(), 1, mtime=0)


def image(layers: Iterable[bytes], config: Mapping[str, Any]) -> ImageFiles:
    """Return an image for this machine with the given ``config`` object."""
    blobs: dict[str, bytes] = {}
    configuration = {
        "os": "linux",
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(x)) for x in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _put(blobs, _json(configuration), "application/vnd.oci.image.config.v1+json"),
        "layers": [
            _put(blobs, blob, "application/vnd.oci.image.layer.v1.tar+gzip") for blob in layers
        ],
    }
    described = _put(blobs, _json(manifest), MANIFEST_TYPE)
    return ImageFiles(digest=str(described["digest"]), blobs=blobs)


def _put(blobs: dict[str, bytes], content: bytes, kind: str) -> dict[str, Any]:
    digest = _digest(content)
    blobs[digest] = content
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
