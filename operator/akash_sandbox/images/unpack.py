"""Unpacking layers into a folder, so that no entry can reach outside of it."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from pathlib import Path

from akash_sandbox.images.reference import ImageError

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_GREATEST_LINKS = 40


def unpack_layer(archive: Path, root: Path) -> None:
    """Apply one layer (tar, tar+gzip, or what tarfile can read) to ``root``; raises ImageError.

    Blocking; call it in a thread. Device nodes are left out: the runtime makes its own.
    """
    as_root = os.geteuid() == 0
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                _apply(tar, member, root, as_root=as_root)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ImageError(f"layer {archive.name}: {error}") from error


def _apply(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, *, as_root: bool) -> None:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if not parts:
        return
    if ".." in parts:
        raise ImageError(f"layer entry {member.name!r} leaves the root folder")
    parent = resolve(root, parts[:-1])
    parent.mkdir(parents=True, exist_ok=True)
    name = parts[-1]
    if name == _OPAQUE:
        for child in parent.iterdir():
            _remove(child)
    elif name.startswith(_WHITEOUT):
        _remove(parent / name.removeprefix(_WHITEOUT))
    else:
        _place(tar, member, parent / name, root, as_root=as_root)


def resolve(root: Path, parts: list[str]) -> Path:
    """Return the folder that ``parts`` name inside ``root``, links followed as if root were /."""
    done: list[str] = []
    todo = list(reversed(parts))
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = done[:-1]
            continue
        here = root.joinpath(*done, part)
        if not here.is_symlink():
            done.append(part)
            continue
        links += 1
        if links > _GREATEST_LINKS:
            raise ImageError(f"too many links at {part!r}")
        target = str(here.readlink())
        done = [] if target.startswith("/") else done
        todo.extend(reversed(target.split("/")))
    return root.joinpath(*done)


def _place(
    tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, root: Path, *, as_root: bool
) -> None:
    if member.isdir():
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            _remove(path)
        path.mkdir(exist_ok=True)
    elif member.issym():
        _remove(path)
        path.symlink_to(member.linkname)
    elif member.islnk():
        source = [part for part in member.linkname.split("/") if part not in ("", ".")]
        _remove(path)
        os.link(resolve(root, source[:-1]) / source[-1], path, follow_symlinks=False)
        return
    elif member.isreg():
        _remove(path)
        _write(tar, member, path)
    else:
        return
    _set_metadata(member, path, as_root=as_root)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise ImageError(f"layer entry {member.name!r} has no content")
    with source, path.open("xb") as target:
        shutil.copyfileobj(source, target, 1024**2)


def _set_metadata(member: tarfile.TarInfo, path: Path, *, as_root: bool) -> None:
    if as_root:
        os.chown(path, member.uid, member.gid, follow_symlinks=False)
    if not path.is_symlink():
        path.chmod(stat.S_IMODE(member.mode))
        os.utime(path, (member.mtime, member.mtime))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
