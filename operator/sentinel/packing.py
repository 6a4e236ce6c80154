"""Makes the sentinel's zipapp (PEP 441) from its own package; not inside itself, like ``minify``.

The same sources give the same bytes, on any machine with the same zlib: names sorted, one
timestamp, fixed attributes. It has to fit into an environment variable, so the sources go in bare
(see ``minify``), as one text in which a single character stands for each of the commonest words.
"""

from __future__ import annotations

import ast
import io
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator

from sentinel.minify import bare, keywords, with_short_locals, with_short_private_names

SOURCES = os.path.dirname(os.path.abspath(__file__))
GOAL_BYTES = 64 * 1024
_SHEBANG = b"#!/usr/bin/env python3\n"
_MEMBER = "modules"
_ENTRY = """\
import sys
from codecs import charmap_decode
from importlib.machinery import ModuleSpec

class Modules:
    def __init__(self, archive, sources):
        self.archive, self.sources = archive, sources
    def path(self, name):
        base = name.replace(".", "/")
        return next((p for p in (base + ".py", base + "/__init__.py") if p in self.sources), None)
    def find_spec(self, name, path=None, target=None):
        found = self.path(name)
        if found:
            origin = self.archive + "/" + found
            package = found.endswith("/__init__.py")
            spec = ModuleSpec(name, self, origin=origin, is_package=package)
            spec.has_location = True
            return spec
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        spec = module.__spec__
        exec(compile(self.get_source(spec.name), spec.origin, "exec"), module.__dict__)
    def get_source(self, name):
        return decoded(self.sources[self.path(name)])

def decoded(text):
    return charmap_decode(text, "strict", table)[0]

archive = __loader__.archive
words, text = __loader__.get_data(archive + "/modules").split(b"\\1")
table = dict(enumerate([*map(chr, range(128)), *words.decode().split("\\0")]))
parts = text.split(b"\\0")
sys.meta_path.insert(0, Modules(archive, dict(zip(map(decoded, parts[::2]), parts[1::2]))))
del words, text, parts
from sentinel.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3
_OUTSIDE = ("packed.py", "packing.py", "minify.py")
_TYPING = re.compile(r"^from typing import", re.MULTILINE)
_WORD = re.compile(r"\w+")
_CODES = range(128, 256)


def zipapp(sources: str = SOURCES) -> bytes:
    """Return the package in the folder ``sources`` as an executable zip archive.

    All modules are one member, because apart they take a quarter more.
    """
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "a") as archive:
        _add(archive, "__main__.py", _ENTRY.encode())
        _add(archive, _MEMBER, _modules(sources, sources))
    return buffer.getvalue()


def part_size(folder: str, sources: str = SOURCES) -> int:
    """Return how many bytes one folder of the package takes, compressed."""
    return len(zlib.compress(_modules(sources, os.path.join(sources, folder)), 9))


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.external_attr = _REGULAR_FILE
    entry.create_system = _UNIX
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)


def _modules(sources: str, folder: str) -> bytes:
    """Return path and short source of each module below ``folder``, zero bytes between; coded."""
    parent = os.path.dirname(sources)
    paths = sorted(_paths(folder))
    texts = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            texts.append(_TYPING.sub("from sentinel.hints import", bare(file.read())))
    trees = [ast.parse(text) for text in texts]
    kept = {name for tree in trees for name in keywords(tree)}
    short = with_short_private_names(
        [with_short_locals(text, tree, kept) for text, tree in zip(texts, trees)]
    )
    names = [os.path.relpath(path, parent) for path in paths]
    return _coded("\0".join(part for pair in zip(names, short) for part in pair))


def _coded(text: str) -> bytes:
    """Return the words that got a code, and the text in which the codes stand for them.

    Deflate alone spends two bytes and more on each repetition; a code costs it one.
    """
    counts = Counter(_WORD.findall(text.encode("ascii").decode()))
    saving = sorted((-(len(word) - 1) * (count - 1), word) for word, count in counts.items())
    words = [word for _, word in saving[: len(_CODES)]]
    codes = dict(zip(words, map(chr, _CODES)))
    coded = _WORD.sub(lambda found: codes.get(found[0], found[0]), text)
    return "\1".join(("\0".join(words), coded)).encode("latin-1")


def _paths(folder: str) -> Iterator[str]:
    outside = [os.path.join(SOURCES, name) for name in _OUTSIDE]
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if name.endswith(".py") and path not in outside:
                yield path
