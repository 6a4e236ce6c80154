"""What is in the container: hashes of files, of running programs and their libraries."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from typing import Any

from sentinel.agent import processes

MAX_FILES, MAX_BYTES, MAX_SECONDS = 10_000, 64 << 30, 600.0
_MAX_PROCESSES = 4096
_BUFFER = 1 << 20  # as fast as any, and bounded
_UNREADABLE = "unreadable"
_SKIPPED = ("/proc", "/sys", "/dev")
_WILD = re.compile(r"[*?]")


class Survey:
    """One survey within its bounds; ``truncated`` tells when one was met."""

    def __init__(self) -> None:
        self.truncated = False
        self._deadline = time.monotonic() + MAX_SECONDS
        self._files, self._bytes = 0, 0
        self._view = memoryview(bytearray(_BUFFER))
        self._done: dict[str, str] = {}

    def take(self, globs: list[str]) -> dict[str, Any]:
        """Return the answer's parts but for nonce, digest of the agent, and proof."""
        files, missing = self._matching(globs)
        running = sorted(processes.snapshot().values())[:_MAX_PROCESSES]
        shown = [_shown(process) for process in running]
        executables = {each["exe"]: f"/proc/{each['pid']}/exe" for each in shown if each["exe"]}
        libraries = {path: path for process in running for path in _mapped(process.pid)}
        return {
            "files": files,
            "missing": missing,
            "executables": self._all(executables),
            "libraries": self._all({path: path for path in libraries if path not in executables}),
            "processes": shown,
            "truncated": self.truncated,
        }

    def _matching(self, globs: list[str]) -> tuple[dict[str, str], list[str]]:
        found: dict[str, str] = {}
        missing: list[str] = []
        for pattern in globs:
            before = len(found)
            known = False
            for path in expand(pattern):
                known = True
                if path not in found and not self._add(found, path, path):
                    return found, missing
            if not known and len(found) == before:
                missing.append(pattern)
        return found, missing

    def _all(self, paths: dict[str, str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, path in sorted(paths.items()):
            if not self._add(found, name, path, os.path.realpath(name)):
                break
        return found

    def _add(self, found: dict[str, str], name: str, *paths: str) -> bool:
        """Hash the first of ``paths`` that can be read; False when a bound is met."""
        if self._files >= MAX_FILES or self._bytes >= MAX_BYTES or self._late():
            self.truncated = True
            return False
        self._files += 1
        for path in paths:
            digest = self._done.get(path) or self.digest(path)
            if digest != _UNREADABLE:
                break
        found[name] = self._done[paths[-1]] = digest
        return True

    def _late(self) -> bool:
        return time.monotonic() > self._deadline

    def digest(self, path: str) -> str:
        """Return the SHA-256 of a regular file; a word in its place when it cannot be read."""
        digest = hashlib.sha256()
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with open(fd, "rb", buffering=0) as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    return _UNREADABLE
                while size := file.readinto(self._view):
                    digest.update(self._view[:size])
                    self._bytes += size
                    if self._bytes >= MAX_BYTES or self._late():
                        self.truncated = True
                        return _UNREADABLE
        except OSError:
            return _UNREADABLE
        return digest.hexdigest()


def canonical(value: Any) -> bytes:
    """Return the JSON text that is signed: keys sorted, no spaces, other characters escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def expand(pattern: str) -> Iterator[str]:
    """Yield the files that an absolute pattern names: ``*`` and ``?`` within a name, ``**`` across.

    Folders are not entered through symbolic links; a link to a file counts as that file.
    """
    if not pattern.startswith("/"):
        return
    wild = _WILD.search(pattern)
    if not wild:
        if os.path.isfile(pattern):
            yield pattern
        return
    root = pattern[: wild.start()].rpartition("/")[0] or "/"
    deepest = None if "**" in pattern else pattern.count("/")
    expression = re.compile(_expression(pattern), re.DOTALL)
    for folder, folders, names in os.walk(root):
        base = folder.rstrip("/")
        folders[:] = sorted(each for each in folders if f"{base}/{each}" not in _SKIPPED)
        if deepest is not None and base.count("/") + 1 >= deepest:
            folders[:] = []
        for name in sorted(names):
            path = f"{base}/{name}"
            if expression.fullmatch(path) and os.path.isfile(path):
                yield path


def _expression(pattern: str) -> str:
    out = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part)
        out += re.escape(part) if wild is None else wild
    return out


def _shown(process: processes.Process) -> dict[str, Any]:
    exe = command = ""
    uid = -1
    try:
        uid = os.stat(f"/proc/{process.pid}").st_uid
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            command = file.read(256).partition(b"\0")[0].decode("utf-8", "replace")
        exe = os.readlink(f"/proc/{process.pid}/exe")
    except OSError:
        pass  # another user's, or gone: shown with what is known
    return {
        "pid": process.pid,
        "ppid": process.parent,
        "uid": uid,
        "exe": exe,
        "argv0": command,
    }


def _mapped(pid: int) -> Iterator[str]:
    """Yield the files that a process has mapped to be executed."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                parts = line.rstrip("\n").split(None, 5)
                if len(parts) == 6 and "x" in parts[1] and parts[5].startswith("/"):
                    yield parts[5]
    except OSError:
        return
