"""Decompression of gzip and Zstandard: a truncated file gives all that it holds, and then an error.

The standard reader of gzip loses up to a buffer of sound data before the damage, and that of zstandard takes
the cut for the end.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

# Compressed bytes at a time, which bound the output of one step to some dozens of MiB: gzip unpacks a byte to at most
# 1,032, Zstandard a block of 4 bytes to 128 KiB.
_INPUT = {".gz": 1 << 16, ".zst": 1 << 11}

DAMAGE = (EOFError, zlib.error, zstandard.ZstdError)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_FACTORIES: dict[str, Callable[[], _Decompressor]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".zst": lambda: zstandard.ZstdDecompressor().decompressobj(),
}


class _Inflated(io.RawIOBase):
    """The uncompressed bytes of a file of one or several compressed members."""

    def __init__(self, file: BinaryIO, factory: Callable[[], _Decompressor], step: int) -> None:
        self._file = file
        self._step = step
        self._factory = factory
        self._member: _Decompressor | None = None
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            data = self._input()
            if not data:
                return 0
            self._member = self._member or self._factory()
            self._ready = memoryview(self._member.decompress(data))
        n = min(len(buffer), len(self._ready))
        buffer[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    def close(self) -> None:
        self._file.close()
        super().close()

    def _input(self) -> bytes:
        rest = b""
        if self._member is not None and self._member.eof:
            rest, self._member = self._member.unused_data, None
        data = rest or self._file.read(self._step)
        if not data and self._member is not None:
            raise EOFError("it ends in the middle")
        return data


def open_bytes(path: Path, *, buffer: int = 1 << 20) -> BinaryIO:
    """Open the uncompressed bytes of a file, by its suffix; reading raises one of DAMAGE where it is damaged."""
    file = path.open("rb", buffering=buffer)
    factory = _FACTORIES.get(path.suffix)
    if factory is None:
        return file
    return io.BufferedReader(_Inflated(file, factory, _INPUT[path.suffix]), buffer)
