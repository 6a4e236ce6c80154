"""A writable root file system per container over the image's read-only one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

from akash_sandbox.images.unpack import resolve
from akash_sandbox.runtimes.command import attempt, output

_COPY_SECONDS = 600.0
_MOUNT_POINTS = ("proc", "dev", "sys")
_OWN = ("rootfs", "upper", "work")


async def prepare(image: Path, folder: Path, hostname: str, nameserver: str = "") -> Path:
    """Return a fresh writable tree: an overlay mount where the kernel allows, else a copy.

    Raises RuntimeFailure when neither can be made.
    """
    root = folder / "rootfs"
    await discard(folder)
    for name in _OWN:
        (folder / name).mkdir(parents=True)
    layers = f"lowerdir={image},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    mounted = os.geteuid() == 0 and await attempt(
        ["mount", "-t", "overlay", "overlay", "-o", layers, str(root)]
    )
    if not mounted:
        await output(["cp", "-a", "--reflink=auto", f"{image}/.", str(root)], _COPY_SECONDS)
    await asyncio.to_thread(_furnish, root, hostname, nameserver)
    return root


async def discard(folder: Path) -> None:
    """Unmount and remove a container's tree."""
    await unmount_below(folder)
    for name in _OWN:
        await asyncio.to_thread(shutil.rmtree, folder / name, ignore_errors=True)


async def unmount_below(folder: Path) -> None:
    """Unmount everything that is mounted below a folder, the innermost first."""
    for place in reversed(await asyncio.to_thread(_mounts_below, folder)):
        await attempt(["umount", "--lazy", place])


def _mounts_below(folder: Path) -> list[str]:
    rows = [line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    places = (row[4].replace("\\040", " ") for row in rows)
    return [place for place in places if place.startswith(f"{folder.resolve()}/")]


def _furnish(root: Path, hostname: str, nameserver: str) -> None:
    """Add what a container engine adds to every image: mount points and name files."""
    for name in _MOUNT_POINTS:
        resolve(root, [name]).mkdir(parents=True, exist_ok=True)
    etc = resolve(root, ["etc"])
    etc.mkdir(parents=True, exist_ok=True)
    files = {
        "hostname": f"{hostname}\n",
        "hosts": f"127.0.0.1 localhost\n::1 localhost\n127.0.0.1 {hostname}\n",
        "resolv.conf": f"nameserver {nameserver}\n" if nameserver else "",
    }
    for name, text in files.items():
        with contextlib.suppress(FileNotFoundError):
            (etc / name).unlink()
        (etc / name).write_text(text)
