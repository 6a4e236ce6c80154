"""What mypy found out elsewhere, for a checkout that it has not seen: a minute less.

::

    python -m devenv.mypy_cache restore    give this checkout a cache unless it has one
    python -m devenv.mypy_cache save       keep a restored one, now up to date, for the next checkout

Checkouts do not share one folder: mypy does not expect another one to write there, and two branches would
take turns in making it stale. mypy names modules by relative paths and compares what they hold by hashes,
so a copy is as good in another place.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from pathlib import Path

from devenv.checkout import ROOT
from devenv.lock import locked

CACHE = ROOT / ".mypy_cache"
KEPT = Path(sys.prefix) / "mypy_cache"
"""beside mypy itself, in the environment that checkouts with equal dependencies share"""
_UNSAVED = "unsaved"


def restore(cache: Path = CACHE, kept: Path = KEPT) -> None:
    """Copy what is kept to ``cache`` and mark it as new; a cache that is there stays as it is."""
    if cache.exists():
        return
    asyncio.run(_copy(kept, cache, lock=kept.with_suffix(".lock")))
    cache.mkdir(exist_ok=True)
    (cache / _UNSAVED).touch()


def save(cache: Path = CACHE, kept: Path = KEPT) -> None:
    """Keep a copy of ``cache`` when it is marked as new, in place of the one that is kept."""
    if not (cache / _UNSAVED).exists():
        return
    (cache / _UNSAVED).unlink()
    asyncio.run(_copy(cache, kept, lock=kept.with_suffix(".lock")))


async def _copy(source: Path, target: Path, *, lock: Path) -> None:
    async with locked(lock):
        await asyncio.to_thread(_replace, source, target)


def _replace(source: Path, target: Path) -> None:
    """Put a copy in place in one step: half a cache would fail mypy."""
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, fresh)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m devenv.mypy_cache",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("restore", "save"))
    match parser.parse_args().command:
        case "restore":
            restore()
        case _:
            save()


if __name__ == "__main__":
    main()
