"""A small root file system with Python, cut out of this machine: no registry, no engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devenv.errors import DevenvError
from devenv.tree import File, Folder, Link, Text, Tree

_LDD_SECONDS = 60
_USR_LINKS = ("bin", "sbin", "lib", "lib64")
_TOOLS = ("sh", "cat", "ls", "sleep", "env", "id")
_SKIP = frozenset(
    {
        *("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"),
        *("site-packages", "dist-packages", "__pycache__", "pydoc_data"),
    }
)
_FOLDERS = ("proc", "sys", "dev", "run", "root", "etc/ssl/certs", "var/tmp")
_USERS = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n"
_GROUPS = "root:x:0:\napp:x:1000:\n"
_LIBRARY = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x", re.MULTILINE)
_MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """``name`` is what programs ask for; the loader's is its absolute path."""

    name: str
    path: Path


def python_tree() -> Tree:
    """Return the running Python as ``/usr/bin/python3``, its libraries, a shell and empty folders.

    Raises DevenvError when this is not Linux or a library is missing.
    """
    if sys.platform != "linux":
        raise DevenvError("images are cut out of the host's Python, which needs a Linux host")
    tree = Tree()
    for name in _USR_LINKS:
        if Path("/", name).is_symlink():
            tree.add(name, Link(target=f"usr/{name}"))
    _add_python(tree)
    _add_tools(tree)
    for folder in _FOLDERS:
        tree.add(folder, Folder())
    tree.add("tmp", Folder(mode=0o1777))
    tree.add("etc/passwd", Text(content=_USERS))
    tree.add("etc/group", Text(content=_GROUPS))
    return tree


def add_libraries(tree: Tree, programs: Sequence[Path]) -> None:
    """Add what the dynamic ``programs`` are linked with, all where the loader looks by default.

    Raises DevenvError when a library is missing on this machine.
    """
    libraries = linked_libraries(programs)
    for library in libraries:
        place = _place(library, libraries)
        tree.add(place, File(source=library.path.resolve(), executable=True))


def linked_libraries(programs: Sequence[Path]) -> list[Library]:
    """Return the shared libraries of ``programs``, each once.

    Raises DevenvError when one is missing on this machine.
    """
    listing = subprocess.run(
        ("ldd", *map(str, programs)),
        capture_output=True,
        text=True,
        timeout=_LDD_SECONDS,
        check=False,  # statically linked programs make it fail
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    if missing := sorted(set(_MISSING.findall(listing))):
        raise DevenvError(
            f"this machine lacks {', '.join(missing)}; install the system package that has it "
            "(on Debian: apt-get install libgomp1 libstdc++6) and try again"
        )
    found = {name or path: Path(path) for name, path in _LIBRARY.findall(listing)}
    return [Library(name=name, path=path) for name, path in sorted(found.items())]


def _place(library: Library, libraries: Iterable[Library]) -> str:
    """The loader keeps its path; the rest goes beside libc, whatever folder it is in here."""
    if library.name.startswith("/"):
        return str(Path(library.name).parent.resolve() / Path(library.name).name)
    libc = next((other for other in libraries if other.name == "libc.so.6"), library)
    return str(libc.path.parent.resolve() / library.name)


def _add_python(tree: Tree) -> None:
    """Python finds its library relative to its own folder, so it may move to /usr."""
    program = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    place = Path("/usr") / library.relative_to(sys.base_prefix)
    configuration = {path.name for path in library.glob("config-*")}
    tree.add(f"usr/bin/{program.name}", File(source=program, executable=True))
    for alias in ("python3", "python"):
        tree.add(f"usr/bin/{alias}", Link(target=program.name))
    tree.add_folder(str(place), library, skip=_SKIP | configuration)
    add_libraries(tree, [program, *sorted((library / "lib-dynload").glob("*.so"))])


def _add_tools(tree: Tree) -> None:
    found = [(name, Path("/usr/bin", name)) for name in _TOOLS]
    tools = [(name, path.resolve()) for name, path in found if path.exists()]
    for name, path in tools:
        tree.add(f"usr/bin/{name}", File(source=path, executable=True))
    add_libraries(tree, [path for _, path in tools])
    tree.add("bin", Link(target="usr/bin"))
