"""Secrets for the workload: files in memory that change in one step, or environment at start."""

from __future__ import annotations

import fcntl
import os
import re
import signal
from contextlib import suppress
from typing import Dict, NamedTuple, Optional  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.agent import fields
from sentinel.agent.errors import Refusal, bad

FOLDER_VARIABLE = "GARRISON_SECRETS"
"""Tells the workload which folder holds its secret files."""
MAX_VALUE, MAX_SECRETS = 64 * 1024, 64
_PLACES = ("/dev/shm", "/run", "/tmp")  # noqa: S108 -- only where they are memory
_PREFIX = "garrison-secrets-"
_IN_MEMORY = ("tmpfs", "ramfs")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_ENV = re.compile(r"(?!GARRISON_)[A-Za-z_][A-Za-z0-9_]{0,127}")
_FILE = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,128}")
RESTART, SIGNAL, NONE = "Restart", "Signal", "None"


class Secret(NamedTuple):
    """One version of a secret; exactly one of ``env`` and ``file`` is set."""

    name: str
    version: int
    value: bytes
    env: Optional[str]  # noqa: UP045
    file: Optional[str]  # noqa: UP045
    on_rotate: str
    signal: signal.Signals

    def __repr__(self) -> str:
        """Show no value."""
        return f"Secret({self.name!r}, version={self.version})"

    @property
    def restarts(self) -> bool:
        """Whether a new version restarts the workload."""
        return self.on_rotate == RESTART

    @property
    def signals(self) -> bool:
        """Whether a new version sends the workload a signal."""
        return self.on_rotate == SIGNAL


def parse(name: str, body: fields.Body) -> Secret:
    """Return the secret of a call. Raises Refusal, which never repeats the value."""
    if not _NAME.fullmatch(name):
        raise bad("the secret's name is no Kubernetes name")
    env, file = body.get("env"), body.get("file")
    if (env is None) == (file is None):
        raise bad("exactly one of env and file is needed")
    if env is not None and not _ENV.fullmatch(fields.text(body, "env")):
        raise bad("env: not the name of a variable, or one of Garrison's own")
    if file is not None and not _FILE.fullmatch(fields.text(body, "file")):
        raise bad("file: a file name without folders is needed")
    value = fields.blob(body, "value", limit=MAX_VALUE)
    if env is not None and b"\0" in value:
        raise bad("value: an environment variable cannot hold a zero byte; use file")
    on_rotate = fields.text(body, "onRotate", default=NONE)
    if on_rotate not in (RESTART, SIGNAL, NONE):
        raise bad("onRotate: Restart, Signal or None")
    if on_rotate == SIGNAL and file is None:
        raise bad("onRotate: Signal needs file; a running process keeps its environment")
    version = fields.number(body, "version", 0, 2**53)
    return Secret(
        name, version, value, env, file, on_rotate, parse_signal(body, "signal", "SIGHUP")
    )


def parse_signal(body: fields.Body, name: str, default: str) -> signal.Signals:
    """Return a signal by its name. Raises Refusal."""
    text = default if body.get(name) is None else fields.text(body, name, limit=16)
    try:
        return signal.Signals[text]
    except KeyError as error:
        raise bad(f"{name}: a signal's name such as {default} is needed") from error


class Secrets:
    """The newest version of each. Not thread-safe: the agent's changes come one by one."""

    def __init__(self) -> None:
        self._held: Dict[str, Secret] = {}  # noqa: UP006
        self._folder = ""
        self._lock = -1
        self._owner = (-1, -1)

    def check(self, secret: Secret) -> bool:
        """Tell whether it is news. Raises Refusal for an older one, or one too many."""
        held = self._held.get(secret.name)
        if held and secret.version < held.version:
            raise Refusal(409, "StaleVersion", f"version {held.version} is in effect already")
        if not held and len(self._held) >= MAX_SECRETS:
            raise Refusal(409, "TooMany", f"at most {MAX_SECRETS} secrets")
        taken = [each for each in self._held.values() if each.name != secret.name]
        if any(each.env == secret.env and each.file == secret.file for each in taken):
            raise Refusal(409, "Taken", "another secret has this variable or file already")
        return not held or secret.version > held.version

    def put(self, secret: Secret) -> None:
        """Take a version; its file is in place when this returns. Raises Refusal."""
        if self._folder and secret.file:
            self._write(secret)
        self._held[secret.name] = secret

    def settle(self, uid: int, gid: int) -> None:
        """Write the files, for this user only. Raises Refusal when there is no memory for them."""
        self._owner = (uid, gid)
        if any(secret.file for secret in self._held.values()):
            self._make_folder()

    def _make_folder(self) -> None:
        place = memory_place()
        try:
            _remove_abandoned(place)
            folder = f"{place}/{_PREFIX}{os.urandom(8).hex()}"
            os.mkdir(folder, 0o700)
            self._folder = folder
            self._lock = _locked(self._folder)
            self._own(self._lock)
        except OSError as error:
            raise Refusal(409, "NoSecretFolder", f"{place}: {error.strerror}") from error
        for secret in self._held.values():
            if secret.file:
                self._write(secret)

    def _own(self, fd: int) -> None:
        if self._owner != (os.geteuid(), os.getegid()):
            os.fchown(fd, *self._owner)

    def _write(self, secret: Secret) -> None:
        """Write by descriptors only: the folder is the workload's, which may put links there."""
        folder, temporary, name = self._lock, f"..{secret.name}", secret.file or ""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            fd = os.open(temporary, flags, 0o400, dir_fd=folder)
            try:
                self._own(fd)
                _write_all(fd, secret.value)
            finally:
                os.close(fd)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            target = f"{self._folder}/{name}"
            raise Refusal(409, "SecretNotWritten", f"{target}: {error.strerror}") from error

    def late(self, secret: Secret) -> None:
        """Take one that arrives while the workload runs. Raises Refusal."""
        if secret.file and not self._folder:
            self._make_folder()
        self.put(secret)

    def environment(self) -> dict[str, str]:
        """Return the variables for the workload's start."""
        held = self._held.values()
        values = {each.env: os.fsdecode(each.value) for each in held if each.env}
        return {**values, FOLDER_VARIABLE: self._folder} if self._folder else values

    def versions(self) -> dict[str, int]:
        """Return which version of each is in effect."""
        return {name: secret.version for name, secret in list(self._held.items())}

    def forget(self) -> None:
        """Drop all, and the files."""
        self._held.clear()
        if self._folder:
            _remove(self._folder)
            os.close(self._lock)
            self._folder = ""


def memory_place() -> str:
    """Return where secret files may be: in memory only. Raises Refusal when there is no place."""
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
        mounts = dict(line.split()[1:3] for line in file)
    for place in _PLACES:
        if mounts.get(place) in _IN_MEMORY and os.access(place, os.W_OK | os.X_OK):
            return place
    raise Refusal(
        409,
        "NoMemoryFolder",
        f"none of {', '.join(_PLACES)} is a tmpfs that this user may write; deliver it as env",
    )


def _remove_abandoned(place: str) -> None:
    """Remove what the container's former life left; live agents hold a lock on their folders."""
    for name in os.listdir(place):
        if name.startswith(_PREFIX):
            folder = f"{place}/{name}"
            with suppress(OSError):  # another's, or gone already
                lock = _locked(folder)
                _remove(folder)
                os.close(lock)


def _remove(folder: str) -> None:
    """Remove a folder with all that is in it, as far as that can be done.

    Everything is reached by descriptors, so that no link leads elsewhere. The standard library's
    ``shutil`` does the same, and loads half a megabyte of archive formats.
    """
    with suppress(OSError):
        for _, folders, names, within in os.fwalk(folder, topdown=False):
            for name in names + folders:  # a link to a folder counts as one
                with suppress(OSError):
                    _remove_one(name, within)
        os.rmdir(folder)


def _remove_one(name: str, within: int) -> None:
    try:
        os.unlink(name, dir_fd=within)
    except (IsADirectoryError, PermissionError):
        os.rmdir(name, dir_fd=within)


def _locked(folder: str) -> int:
    """Return a descriptor that holds the folder's lock. Raises OSError when it is held."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
