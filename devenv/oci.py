"""OCI images (image specification 1.1) as layouts on disk, written without an engine."""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from devenv.errors import DevenvError
from devenv.tree import Entry, File, Folder, Link, Text, Tree

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

if TYPE_CHECKING:
    from typing_extensions import Buffer

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_FASTEST = 1
_EPOCH = "1970-01-01T00:00:00Z"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A blob's media type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int

    def json(self) -> Json:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A written layer; ``diff_id`` is the digest of its uncompressed bytes."""

    descriptor: Descriptor
    diff_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a container of the image runs unless told otherwise."""

    entrypoint: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    port: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


class Layout:
    """An OCI image layout folder. Equal contents give equal digests, whenever they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / "blobs" / "sha256"

    def blob(self, digest: str) -> Path:
        """Return where the blob of ``digest`` lies."""
        return self._blobs / digest.removeprefix("sha256:")

    def manifest(self) -> Descriptor:
        """Return the image's manifest; raises DevenvError when the layout has none."""
        path = self.folder / "index.json"
        if not path.exists():
            raise DevenvError(f"{self.folder} is not a whole image layout; delete it")
        (row,) = json.loads(path.read_text())["manifests"]
        return Descriptor(media_type=row["mediaType"], digest=row["digest"], size=row["size"])

    def add_layer(self, tree: Tree) -> Layer:
        """Write ``tree`` as a layer and return it."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        temporary = self._blobs / ".layer"
        with temporary.open("wb") as file:
            outer = _Hashing(file)
            with gzip.GzipFile("", "wb", _FASTEST, outer, mtime=0) as packed:
                inner = _Hashing(packed)
                _write_tar(inner, tree)
        temporary.rename(self.blob(outer.digest))
        return Layer(
            descriptor=Descriptor(media_type=LAYER, digest=outer.digest, size=outer.size),
            diff_id=inner.digest,
        )

    def finish(self, layers: Sequence[Layer], settings: Settings) -> Descriptor:
        """Write configuration, manifest and index; return the manifest's descriptor."""
        config = self._add_json(_config(layers, settings), CONFIG)
        manifest = self._add_json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.json(),
                "layers": [layer.descriptor.json() for layer in layers],
            },
            MANIFEST,
        )
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest.json()]}
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (self.folder / "index.json").write_text(json.dumps(index, sort_keys=True))
        return manifest

    def _add_json(self, value: Json, media_type: str) -> Descriptor:
        data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self.blob(digest).write_bytes(data)
        return Descriptor(media_type=media_type, digest=digest, size=len(data))


def _config(layers: Sequence[Layer], settings: Settings) -> Json:
    env = {"PATH": _PATH, **settings.env}
    ports: Json = {"ExposedPorts": {f"{settings.port}/tcp": {}}} if settings.port else {}
    return {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": _EPOCH,
        "config": {
            "Entrypoint": list(settings.entrypoint),
            "Env": [f"{name}={value}" for name, value in sorted(env.items())],
            "WorkingDir": "/",
            "User": settings.user,
            "Labels": dict(settings.labels),
            **ports,
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }


def _write_tar(sink: _Hashing, tree: Tree) -> None:
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path, entry in tree.ordered():
            _add(tar, path, entry)


def _add(tar: tarfile.TarFile, path: str, entry: Entry) -> None:
    member = tarfile.TarInfo(path)  # owner and times stay 0
    match entry:
        case File(source=source, executable=executable):
            member.mode = 0o755 if executable else 0o644
            with source.open("rb") as file:
                member.size = source.stat().st_size
                tar.addfile(member, file)
        case Text(content=content):
            data = content.encode()
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
        case Link(target=target):
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(member)
        case Folder(mode=mode):
            member.type, member.mode = tarfile.DIRTYPE, mode
            tar.addfile(member)


class _Hashing(RawIOBase):
    """A sink that passes bytes on and keeps their digest and number."""

    def __init__(self, sink: IO[bytes] | gzip.GzipFile) -> None:
        super().__init__()
        self._sink = sink
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: Buffer, /) -> int:
        view = memoryview(data)
        self._hash.update(view)
        self.size += view.nbytes
        self._sink.write(view)
        return view.nbytes

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._sink.flush()
