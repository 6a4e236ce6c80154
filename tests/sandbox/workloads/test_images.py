"""Images: every byte verified, nothing outside the root, fetched once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from akash_sandbox.images.reference import ImageError, is_insecure, parse
from akash_sandbox.images.registry import Login
from akash_sandbox.images.store import ImageStore
from akash_sandbox.images.unpack import unpack_layer
from akash_sandbox.images.user import resolve_user
from akash_sandbox.leased_service import login_for
from akash_sandbox.settings import Registry
from tests.sandbox.workloads.image import Entry, ImageFiles, image, layer
from tests.sandbox.workloads.registry import LoopbackRegistry

_DIGEST = "sha256:" + "ab" * 32


def small(*entries: Entry) -> ImageFiles:
    """Return an image of one layer."""
    return image([layer(entries)], {"Entrypoint": ["/x"]})


def unpack(folder: Path, *layers: bytes) -> Path:
    """Return the root that these layers make."""
    root = folder / "root"
    root.mkdir()
    for number, content in enumerate(layers):
        path = folder / f"layer-{number}"
        path.write_bytes(content)
        unpack_layer(path, root)
    return root


async def test_pulls_once_and_then_needs_no_registry(tmp_path: Path) -> None:
    files = small(Entry(path="x", content=b"program"))
    async with LoopbackRegistry() as registry:
        reference = registry.add(files)
        store = ImageStore(tmp_path, Registry())
        first = await store.pull(reference, Login())
        asked = len(registry.asked)
    again = await store.pull(reference, Login())
    await store.close()
    assert asked == 3
    assert first == again
    assert (first.rootfs / "x").read_bytes() == b"program"
    assert first.config == {"Entrypoint": ["/x"]}


async def test_a_private_image_is_pulled_with_the_manifest_s_login_only(tmp_path: Path) -> None:
    files = small(Entry(path="x", content=b"program"))
    async with LoopbackRegistry(login=("robot", "pull-only-7f3")) as registry:
        reference = registry.add(files)
        store = ImageStore(tmp_path, Registry())
        for wrong in (Login(), Login(username="robot", password="other")):
            with pytest.raises(ImageError, match="refused to issue a token"):
                await store.pull(reference, wrong)
        found = await store.pull(reference, Login(username="robot", password="pull-only-7f3"))
        await store.close()
    assert (found.rootfs / "x").read_bytes() == b"program"


@pytest.mark.parametrize(
    ("host", "image", "login"),
    [
        ("ghcr.io", f"ghcr.io/acme/m@{_DIGEST}", ("robot", "secret")),
        ("https://ghcr.io", f"ghcr.io/acme/m@{_DIGEST}", ("robot", "secret")),
        ("docker.io", f"docker.io/acme/m@{_DIGEST}", ("robot", "secret")),
        ("https://index.docker.io/v1/", f"acme/m@{_DIGEST}", ("robot", "secret")),
        ("ghcr.io", f"quay.io/acme/m@{_DIGEST}", ("", "")),
        ("ghcr.io", "NO IMAGE", ("", "")),
    ],
)
def test_a_login_is_for_its_own_registry(host: str, image: str, login: tuple[str, str]) -> None:
    credentials = {"host": host, "username": "robot", "password": "secret", "email": ""}
    assert login_for(credentials, image) == login


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
async def test_refuses_content_with_another_digest(tmp_path: Path, part: str) -> None:
    files = small(Entry(path="x", content=b"program"))
    # The writer adds layers last but one, the configuration before them, the manifest last.
    digest = dict(zip(("config", "layer", "manifest"), files.blobs, strict=True))[part]
    forged = dataclasses.replace(files, blobs={**files.blobs, digest: files.blobs[digest] + b" "})
    async with LoopbackRegistry() as registry:
        store = ImageStore(tmp_path, Registry())
        with pytest.raises(ImageError, match="content is not sha256:"):
            await store.pull(registry.add(forged), Login())
        await store.close()
    assert not (tmp_path / "rootfs").exists()


async def test_a_registry_that_is_not_named_insecure_is_not_spoken_to_in_plain(
    tmp_path: Path,
) -> None:
    async with LoopbackRegistry() as registry:
        reference = registry.add(small(Entry(path="x", content=b"")))
        store = ImageStore(tmp_path, Registry(insecure=()))
        with pytest.raises(ImageError, match="https://"):
            await store.pull(reference, Login())
        await store.close()
        assert registry.asked == []


@pytest.mark.parametrize(
    ("text", "registry", "repository", "version"),
    [
        ("debian", "registry-1.docker.io", "library/debian", "latest"),
        ("vllm/vllm-openai:v1", "registry-1.docker.io", "vllm/vllm-openai", "v1"),
        (f"localhost:5000/a/b@{_DIGEST}", "localhost:5000", "a/b", _DIGEST),
        (f"ghcr.io/a/b:tag@{_DIGEST}", "ghcr.io", "a/b", _DIGEST),
    ],
)
def test_reads_references(text: str, registry: str, repository: str, version: str) -> None:
    found = parse(text)
    assert (found.registry, found.repository, found.version) == (registry, repository, version)


@pytest.mark.parametrize("text", ["", "UPPER/case", "a@sha256:12", "ghcr.io/../b", "a b"])
def test_refuses_what_is_no_reference(text: str) -> None:
    with pytest.raises(ImageError):
        parse(text)


def test_knows_insecure_hosts_by_name_and_by_network() -> None:
    allowed = ("127.0.0.0/8", "::1/128", "registry.test:5000")
    assert is_insecure("127.0.0.1:5000", allowed)
    assert is_insecure("[::1]:5000", allowed)
    assert is_insecure("registry.test:5000", allowed)
    assert not is_insecure("registry.test:5001", allowed)
    assert not is_insecure("10.0.0.1:5000", allowed)


def test_later_layers_replace_and_remove(tmp_path: Path) -> None:
    first = layer(
        [
            Entry(path="kept", content=b"1"),
            Entry(path="gone", content=b"1"),
            Entry(path="folder"),
            Entry(path="folder/old", content=b"1"),
            Entry(path="link", link="/folder"),
        ]
    )
    second = layer(
        [
            Entry(path=".wh.gone", content=b""),
            Entry(path="folder/.wh..wh..opq", content=b""),
            Entry(path="link/new", content=b"2"),
        ]
    )
    root = unpack(tmp_path, first, second)
    names = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert {"kept", "folder/new"} <= names
    assert not names & {"gone", "folder/old"}


def test_links_do_not_lead_outside_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = unpack(
        tmp_path,
        layer(
            [
                Entry(path="absolute", link=str(outside)),
                Entry(path="absolute/file", content=b"1"),
                Entry(path="upwards", link="../../outside"),
                Entry(path="upwards/file", content=b"1"),
            ]
        ),
    )
    assert list(outside.iterdir()) == []
    assert (root / "outside" / "file").exists()


def test_refuses_names_that_lead_outside(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="leaves the root"):
        unpack(tmp_path, layer([Entry(path="../escaped", content=b"1")]))
    assert not (tmp_path / "escaped").exists()


def test_refuses_a_layer_that_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="layer-0"):
        unpack(tmp_path, b"not an archive")


@pytest.mark.parametrize(
    ("text", "uid", "gid", "home"),
    [
        ("", 0, 0, "/root"),
        ("server", 1001, 1002, "/home/server"),
        ("server:0", 1001, 0, "/home/server"),
        ("1001:staff", 1001, 50, "/home/server"),
        ("4711", 4711, 0, "/"),
    ],
)
def test_finds_the_user(tmp_path: Path, text: str, uid: int, gid: int, home: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nserver:x:1001:1002::/home/server:/bin/sh\n"
    )
    (tmp_path / "etc/group").write_text("staff:x:50:\n")
    found = resolve_user(text, tmp_path)
    assert (found.uid, found.gid, found.home) == (uid, gid, home)


def test_names_an_unknown_user(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="'nobody-here'"):
        resolve_user("nobody-here", tmp_path)
