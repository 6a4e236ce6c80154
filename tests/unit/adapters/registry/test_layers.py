"""What layers leave on disk: against tables, against unpacking them, and hostile ones."""

from __future__ import annotations

import gzip
import sys
import tarfile
import tracemalloc
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.adapters.registry.inflate import ZSTD_MODULES
from garrison.adapters.registry.layers import Bounds, Walk
from garrison.api.glob import matcher
from garrison.errors import AuthError, ImageError, UnavailableError
from tests.unit.adapters.registry.layer_builder import Member, packed, sha256, tar
from tests.unit.adapters.registry.registry_server import RegistryServer, digest_of
from tests.unit.adapters.registry.test_client import pulling


def walked(*layers: bytes, patterns: Sequence[str] = (), piece: int = 1 << 20) -> Walk:
    walk = Walk(Bounds())
    for layer in layers:
        for start in range(0, len(layer), piece):
            walk.feed(layer[start : start + piece])
        walk.end(digest_of(layer))
    return walk


def files(*layers: bytes, patterns: Sequence[str] = ()) -> dict[str, str]:
    return dict(walked(*layers).files(matcher(patterns)))


def shown(*layers: Sequence[Member], patterns: Sequence[str] = ()) -> dict[str, str]:
    """The content behind each path, by the digest it must have."""
    contents = {sha256(each): each for each in ("one", "two", "three", "")}
    found = files(*(packed(*layer) for layer in layers), patterns=patterns)
    return {path: contents[digest] for path, digest in found.items()}


@pytest.mark.parametrize(
    ("layers", "left"),
    [
        pytest.param([[("a/x", "one")], [("a/x", "two")]], {"/a/x": "two"}, id="replaced"),
        pytest.param([[("./a//x", "one")]], {"/a/x": "one"}, id="name made plain"),
        pytest.param(
            [[("a/x", "one"), ("a/y", "two")], [("a/.wh.x", "")]], {"/a/y": "two"}, id="whiteout"
        ),
        pytest.param([[("a/b/x", "one")], [(".wh.a", "")]], {}, id="folder whited out"),
        pytest.param(
            [[("a/x", "one")], [("a/y", "two"), ("a/.wh..wh..opq", "")]],
            {"/a/y": "two"},
            id="opaque folder keeps its own layer",
        ),
        pytest.param(
            [[("a/x", "one")], [(".wh.a", ""), ("a/y", "two")]],
            {"/a/y": "two"},
            id="whited out and made again",
        ),
        pytest.param([[("a/x", "one")], [("a", "two")]], {"/a": "two"}, id="file for a folder"),
        pytest.param([[("a", "one")], [("a/x", "two")]], {"/a/x": "two"}, id="folder for a file"),
        pytest.param(
            [[("a", "one"), ("b", "=> ", "a")]], {"/a": "one", "/b": "one"}, id="hard link"
        ),
        pytest.param(
            [[("a", "one")], [("b", "=> ", "a"), (".wh.a", "")]],
            {"/b": "one"},
            id="hard link into a lower layer",
        ),
        pytest.param(
            [[("usr/bin", None), ("bin", "-> ", "usr/bin")], [("bin/x", "one")]],
            {"/usr/bin/x": "one"},
            id="through a link of a lower layer",
        ),
        pytest.param(
            [[("usr/bin", None), ("bin", "-> ", "/usr/bin"), ("bin/x", "one")]],
            {"/usr/bin/x": "one"},
            id="through a link of the same layer",
        ),
        pytest.param(
            [
                [("usr/bin/x", "one"), ("bin", "-> ", "usr/bin")],
                [("bin", None), ("bin/y", "two")],
            ],
            {"/usr/bin/x": "one", "/bin/y": "two"},
            id="a stated folder takes a link's place",
        ),
        pytest.param([[("a", "-> ", "a"), ("b", "one")]], {"/b": "one"}, id="link to itself"),
    ],
)
def test_what_is_left(layers: list[list[Member]], left: dict[str, str]) -> None:
    assert shown(*layers) == left


def test_named_links_are_the_files_behind_them() -> None:
    layer: list[Member] = [
        ("opt/model/w.bin", "one"),
        ("app/w.bin", "-> ", "../opt/model/w.bin"),
        ("app/loop", "-> ", "loop"),
        ("app/gone", "-> ", "/nowhere"),
        ("app/folder", "-> ", "/opt"),
    ]
    found = files(gzip.compress(tar(layer, mode=0o644)), patterns=["/app/**"])
    assert found == {"/app/w.bin": sha256("one")}


def test_only_what_runs_loads_or_is_named_is_kept() -> None:
    layer: list[Member] = [("lib/a.so", "one"), ("lib/b.so.1.2", "two"), ("lib/c.py", "three")]
    raw = tar(layer, mode=0o644)
    assert set(files(raw)) == {"/lib/a.so", "/lib/b.so.1.2"}
    assert set(files(raw, patterns=["/lib/*.py"])) == {"/lib/a.so", "/lib/b.so.1.2", "/lib/c.py"}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_targets(form: int) -> None:
    name, target = "d/" * 60 + "é" * 40, "d/" * 60 + "t" * 80
    members: list[Member] = [(target, "two"), (name, "one"), ("l", "-> ", target)]
    found = files(tar(members, form=form), patterns=["/l"])
    assert found == {f"/{name}": sha256("one"), f"/{target}": sha256("two"), "/l": sha256("two")}


@settings(max_examples=60, deadline=None)
@given(piece=st.integers(1, 3000), many=st.booleans())
def test_pieces_do_not_matter(*, piece: int, many: bool) -> None:
    content = "".join(map(str, range(2000)))
    raw = tar([("a", content), ("b/c", "one"), ("d", "")])
    cut = len(raw) // 2 if many else 0
    layer = gzip.compress(raw[:cut]) + gzip.compress(raw[cut:])
    assert walked(layer, piece=piece).files(matcher(())) == {
        "/a": sha256(content),
        "/b/c": sha256("one"),
        "/d": sha256(""),
    }


@pytest.mark.parametrize(
    ("members", "python"),
    [
        ([("usr/bin/python3.11", "one")], True),
        ([("opt/venv/bin/python3", "-> ", "/usr/bin/python3.11")], True),
        ([("usr/share/python3/x", "one"), ("usr/bin/python", "one")], False),
        ([], None),
        ([("etc", None)], None),
    ],
)
def test_whether_there_is_python(members: list[Member], python: bool | None) -> None:
    assert walked(packed(*members)).python() is python


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        pytest.param(packed(("../x", "one")), "has an entry at", id="above the root"),
        pytest.param(packed(("a", "=> ", "b")), "not there", id="hard link to nothing"),
        pytest.param(packed(("d/" * 200 + "x", "one")), "has an entry at", id="too deep"),
        pytest.param(b"no archive at all " * 60, "no tar archive", id="text"),
        pytest.param(packed(("a", "one"))[:-20], "breaks off", id="half of a gzip"),
        pytest.param(tar([("a", "one" * 999)])[:700], "breaks off", id="half of a tar"),
        pytest.param(gzip.compress(b"x" * 5000, mtime=0), "no tar archive", id="packed text"),
        pytest.param(b"\x1f\x8b" + b"\0" * 50, "cannot be decompressed", id="no gzip"),
    ],
)
def test_a_layer_that_makes_no_sense(layer: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        walked(layer)


def test_a_header_is_not_read_into_memory_whatever_its_size() -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(ImageError, match="has a header of"):
        walked(info.tobuf())


def extended(records: Mapping[str, str]) -> bytes:
    """A pax header by itself (POSIX.1-2001, pax: extended header)."""
    lines = []
    for key, value in records.items():
        line = f" {key}={value}\n"
        size = len(line) + len(str(len(line)))
        lines.append(f"{size + (len(str(size)) + len(line) > size)}{line}")
    raw = "".join(lines).encode()
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(raw)
    return info.tobuf(tarfile.USTAR_FORMAT) + raw + b"\0" * (-len(raw) % 512)


def test_headers_without_end_are_not_kept() -> None:
    walk = Walk(Bounds())
    tracemalloc.start()
    for number in range(64):
        walk.feed(extended({f"key-{number}": "x" * 500_000}))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 << 20


def test_a_header_of_many_records_is_read_in_one_go() -> None:
    """A copy of what is left for each record would take minutes for a layer of a few KiB."""
    many = {f"k{number}": "" for number in range(80_000)}
    layer = extended(many) + extended({"path": "a/x"}) + tar([("y", "one")])
    assert files(layer) == {"/a/x": sha256("one")}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("n" * 5000, "one")], "a path of 5000 characters"),
        ([("a", "-> ", "n" * 5000)], "a path of 5000 characters"),
        ([(f"{number}{'/0' * 100}", "one") for number in range(20)], "more than 1000 entries"),
        ([(f"{number}{'n' * 100}", "one") for number in range(200)], "10000 characters of names"),
    ],
    ids=["name", "target", "folders", "names"],
)
def test_what_an_image_takes_in_memory_is_bounded(members: list[Member], says: str) -> None:
    walk = Walk(Bounds(entries=1000, names=10_000))
    with pytest.raises(ImageError, match=says):
        walk.feed(tar(members))


def nested(name: str) -> bytes:
    """Links that lead deeper each, into what the one before led to: 1200 folders, each in the last."""
    deep = "/".join([name] * 100)
    members: list[Member] = [("l0", "-> ", deep), (f"{deep}/x", "one")]
    for number in range(1, 12):
        before = f"l{number - 1}/{deep}"
        members += [(f"l{number}", "-> ", before), (f"{before}/x", "one")]
    return tar(members)


def test_folders_of_any_depth_are_read_and_paths_have_an_end() -> None:
    found = files(nested("d"), nested("d"))
    assert max(each.count("/") for each in found) == 1201
    with pytest.raises(ImageError, match="a path beyond 4096 characters"):
        files(nested("dddd"))


@settings(max_examples=200, deadline=None)
@given(noise=st.binary(max_size=2048), at=st.integers(0, 2047))
def test_noise_is_refused_or_read_and_never_a_crash(noise: bytes, at: int) -> None:
    raw = bytearray(tar([("a", "one"), ("b" * 150, "two"), ("c", "-> ", "a")]))
    raw[at : at + len(noise)] = noise
    try:
        walked(bytes(raw)).files(matcher(("/**",)))
    except ImageError:
        return


def zstd(data: bytes) -> bytes:
    """One frame of zstd with its size and one raw block (RFC 8878, 3.1.1), for up to 128 KiB."""
    block = (len(data) << 3 | 1).to_bytes(3, "little") + data
    return b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little") + block


@pytest.mark.parametrize("piece", [1 << 20, 100])
def test_a_layer_in_zstd_is_read(piece: int) -> None:
    raw = tar([("a", "one"), ("b", "two")])
    layer = zstd(raw[:600]) + zstd(raw[600:])
    found = walked(layer, piece=piece).files(matcher(()))
    assert found == {"/a": sha256("one"), "/b": sha256("two")}
    with pytest.raises(ImageError, match="breaks off"):
        walked(layer[:-20])
    with pytest.raises(ImageError, match="cannot be decompressed"):
        walked(layer[:4] + b"\xff" * 50)


def test_a_layer_in_zstd_that_python_cannot_read_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ZSTD_MODULES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImageError, match=r"zstd.*install backports\.zstd"):
        walked(zstd(tar([("a", "one")])))


async def test_an_image_of_some_layers() -> None:
    server = RegistryServer(token="t0k", blob_redirect="/storage/{digest}")
    digest = server.layered(
        packed(("bin/x", "one"), ("app/a.py", "two")), packed(("bin/.wh.x", ""))
    )
    async with pulling(server) as pull:
        found = await pull.registry.contents(pull.reference(digest), None, ["/app/*"])
    assert (found.digest, found.python) == (digest, False)
    assert found.files == {"/app/a.py": sha256("two")}
    assert {given for path, given in server.seen if path.startswith("/storage")} == {None}


async def test_a_login_that_ends_during_the_walk_is_renewed() -> None:
    server = RegistryServer(token="t0k", token_uses=1)
    digest = server.layered(packed(("bin/x", "one")), packed(("bin/y", "two")))
    async with pulling(server) as pull:
        found = await pull.registry.contents(pull.reference(digest), None, [])
    assert set(found.files) == {"/bin/x", "/bin/y"}


async def test_a_login_that_is_refused_again() -> None:
    server = RegistryServer(token="t0k", token_uses=0)
    digest = server.layered(packed(("bin/x", "one")))
    async with pulling(server) as pull:
        server.login = ("ada", "s3cret")
        with pytest.raises(AuthError):
            await pull.registry.contents(pull.reference(digest), None, [])


async def test_a_swapped_layer_is_no_reference() -> None:
    server = RegistryServer()
    good, evil = packed(("bin/x", "one")), packed(("bin/x", "two"))
    digest = server.layered(good)
    server.blobs[digest_of(good)] = evil
    async with pulling(server) as pull:
        with pytest.raises(ImageError, match="push the image again"):
            await pull.registry.contents(pull.reference(digest), None, [])


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        (Bounds(packed=10), "at most 10 are read"),
        (Bounds(unpacked=1000), "unpack to more than 1000"),
        (Bounds(entries=1), "more than 1 entries"),
    ],
)
async def test_bounds(bounds: Bounds, says: str) -> None:
    server = RegistryServer()
    digest = server.layered(packed(("bin/x", "one"), ("bin/y", "two")))
    async with pulling(server, bounds=bounds) as pull:
        with pytest.raises(ImageError, match=says):
            await pull.registry.contents(pull.reference(digest), None, [])


async def test_time_is_bounded_too() -> None:
    server = RegistryServer()
    digest = server.layered(packed(("bin/x", "one")))
    async with pulling(server, bounds=Bounds(seconds=0.0)) as pull:
        with pytest.raises(UnavailableError, match="not read within 0 s"):
            await pull.registry.contents(pull.reference(digest), None, [])
