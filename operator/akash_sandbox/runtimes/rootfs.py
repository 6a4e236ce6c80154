"""A writable root file system per container over the image's read-only one."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from akash_sandbox.runtimes.command import attempt, output


async def prepare(image: Path, folder: Path) -> Path:
    """Return a fresh writable tree: an overlay mount where the kernel allows, else a copy."""
    root = folder / "rootfs"
    await discard(folder)
    for name in ("rootfs", "upper", "work"):
        (folder / name).mkdir(parents=True)
    layers = f"lowerdir={image},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    if os.geteuid() == 0 and await attempt(
        ["mount", "-t", "overlay", "overlay", "-o", layers, str(root)]
    ):
        return root
    await output(["cp", "-a", "--reflink=auto", f"{image}/.", str(root)], 600)
    return root


async def discard(folder: Path) -> None:
    """Unmount and remove a container's tree."""
    root = folder / "rootfs"
    if root.is_mount():
        await attempt(["umount", "--lazy", str(root)])
    for name in ("rootfs", "upper", "work"):
        await asyncio.to_thread(shutil.rmtree, folder / name, ignore_errors=True)
