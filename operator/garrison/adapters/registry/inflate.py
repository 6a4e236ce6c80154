"""Layers as they are compressed: gzip, zstd, or not at all, told by their first bytes."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from types import ModuleType
from typing import Protocol

from garrison.errors import ImageError

PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_PADDING = b"\0"
ZSTD_MODULES = ("compression.zstd", "backports.zstd")
"""Python 3.14 brings zstd along; before, the module that aiohttp takes for the same."""


class _Decoder(Protocol):
    """One compressed member or frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def pieces(self, data: bytes) -> Iterator[bytes]: ...


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while True:
            found = self._inner.decompress(data, PIECE)
            if not found:
                return
            yield found
            data = self._inner.unconsumed_tail


def zstd_module() -> ModuleType | None:
    """Return the first of ``ZSTD_MODULES`` that is here."""
    for name in ZSTD_MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


class _Zstd:
    def __init__(self) -> None:
        module = zstd_module()
        if module is None:
            raise ImageError(
                "a layer is compressed with zstd, which this Python cannot read; "
                "install backports.zstd beside the operator, or Python 3.14"
            )
        self._inner = module.ZstdDecompressor()
        self._error: type[Exception] = module.ZstdError

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while not self._inner.eof:
            try:
                found = self._inner.decompress(data, PIECE)
            except self._error as error:
                raise zlib.error(str(error)) from None
            data = b""
            if not found:
                return
            yield found


class Inflate:
    """Turns the pieces of a compressed stream into pieces of at most ``PIECE`` bytes."""

    def __init__(self) -> None:
        self._head = b""
        self._decoder: _Decoder | None = None
        self._plain = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what has come out. Raises ImageError for what is no stream of its kind."""
        data = self._head + data
        self._head = b""
        while data:
            if self._decoder is None and not self._plain:
                if len(data) < len(_ZSTD):
                    self._head = data
                    return
                self._begin(data)
            if self._decoder is None:
                yield data
                return
            try:
                yield from self._decoder.pieces(data)
            except zlib.error as error:
                raise ImageError(f"a layer cannot be decompressed: {error}") from None
            if not self._decoder.eof:
                return
            data = self._decoder.unused_data.lstrip(_PADDING)
            self._decoder = None

    def close(self) -> None:
        """Raises ImageError when the stream broke off."""
        if self._decoder is not None or self._head:
            raise ImageError("a layer breaks off before its end")

    def _begin(self, data: bytes) -> None:
        if data.startswith(_GZIP):
            self._decoder = _Gzip()
        elif data.startswith(_ZSTD):
            self._decoder = _Zstd()
        else:
            self._plain = True
