"""The numeric user of an image's ``User`` field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from akash_sandbox.images.reference import ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    uid: int
    gid: int
    home: str


def resolve_user(text: str, rootfs: Path) -> User:
    """Return uid, gid and home of ``user[:group]``; raises ImageError for an unknown name."""
    name, _, group = (text or "0").partition(":")
    row = _row(rootfs / "etc/passwd", name)
    if row is None and not name.isdigit():
        raise ImageError(f"image's user {name!r} is not in its /etc/passwd")
    uid = int(row[2]) if row else int(name)
    gid = int(row[3]) if row else 0
    if group:
        found = _row(rootfs / "etc/group", group)
        if found is None and not group.isdigit():
            raise ImageError(f"image's group {group!r} is not in its /etc/group")
        gid = int(found[2]) if found else int(group)
    return User(uid=uid, gid=gid, home=row[5] if row and len(row) > 5 and row[5] else "/")


def _row(path: Path, name: str) -> list[str] | None:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    rows = [line.split(":") for line in lines if line.count(":") >= 2]
    return next((row for row in rows if name in (row[0], row[2])), None)
