"""Images are the same bytes whenever they are written, and arrive whole."""

import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path

import aiohttp
import pytest

from devenv.hostcut import python_tree
from devenv.oci import Layout, Settings
from devenv.push import push
from devenv.registry import start_registry
from devenv.tree import File, Folder, Link, Text, Tree

_SETTINGS = Settings(entrypoint=("/bin/hello",), env={"A": "1"}, user="1000", port=8080)


def _tree(source: Path) -> Tree:
    tree = Tree()
    tree.add("/usr/bin/hello", File(source=source, executable=True))
    tree.add("usr/bin/hi", Link(target="hello"))
    tree.add("etc/name", Text(content="x"))
    tree.add("tmp", Folder(mode=0o1777))
    return tree


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "hello"
    path.write_bytes(b"#!/bin/sh\necho hello\n")
    return path


def test_equal_contents_give_equal_digests(tmp_path: Path, source: Path) -> None:
    digests = []
    for name, modified in (("one", 1), ("two", 2_000_000_000)):
        os.utime(source, (modified, modified))
        layout = Layout(tmp_path / name)
        digests.append(layout.finish([layout.add_layer(_tree(source))], _SETTINGS).digest)
    assert digests[0] == digests[1]


def test_a_layer_holds_folders_before_contents(tmp_path: Path, source: Path) -> None:
    layout = Layout(tmp_path / "layout")
    layer = layout.add_layer(_tree(source))
    with tarfile.open(layout.blob(layer.descriptor.digest)) as tar:
        members = {member.name: member for member in tar}
    assert list(members)[:3] == ["etc", "etc/name", "tmp"]
    assert members["usr/bin/hello"].mode == 0o755
    assert members["usr/bin/hi"].linkname == "hello"
    assert members["tmp"].mode == 0o1777
    assert {member.uid for member in members.values()} == {0}
    assert {member.mtime for member in members.values()} == {0}


def test_digests_name_what_they_say(tmp_path: Path, source: Path) -> None:
    layout = Layout(tmp_path / "layout")
    manifest = layout.finish([layout.add_layer(_tree(source))], _SETTINGS)
    assert layout.manifest() == manifest
    for path in (tmp_path / "layout" / "blobs" / "sha256").iterdir():
        assert path.name == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_hosts_python_is_whole() -> None:
    entries = python_tree().entries
    assert "usr/bin/python3" in entries
    assert any(path.endswith("/json/decoder.py") for path in entries)
    assert any(Path(path).name == "libc.so.6" for path in entries)
    assert not any("site-packages" in path for path in entries)


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("go") is None, reason="Go, which builds the registry, is missing")
async def test_a_pushed_image_is_found_by_digest_and_tag(tmp_path: Path, source: Path) -> None:
    layout = Layout(tmp_path / "layout")
    manifest = layout.finish([layout.add_layer(_tree(source))], _SETTINGS)
    registry = await start_registry(tmp_path / "blobs")
    try:
        reference = await push(layout, registry.url, "demo/hello", tag="v1")
        assert reference == f"{registry.address}/demo/hello@{manifest.digest}"
        assert await push(layout, registry.url, "demo/hello") == reference
        async with aiohttp.ClientSession() as session:
            for name in ("v1", manifest.digest):
                url = f"{registry.url}/v2/demo/hello/manifests/{name}"
                async with session.get(url) as response:
                    content = json.loads(await response.read())
                    assert response.headers["Docker-Content-Digest"] == manifest.digest
                    assert len(content["layers"]) == 1
    finally:
        await registry.stop()
