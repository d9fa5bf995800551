"""Rejected rows, and the reasons."""

from __future__ import annotations

from dataclasses import dataclass

RAW_LIMIT = 2000  # characters of a rejected row that the quarantine table keeps


class RowError(Exception):
    """The reason why a row is not taken in: `kind` is what such rows are counted under, `reason` a sentence."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected row and where it stood: `line` is 1-based (of the file, or the row of a table)."""

    line: int
    kind: str
    reason: str
    raw: str


def shorten_raw(raw: bytes | str) -> str:
    r"""Return the raw row as text that any table can hold, cut to RAW_LIMIT characters.

    Bytes that are not UTF-8, NUL and lone surrogates are written as escapes (`\xff`, `\x00`, `\ud800`).
    """
    if isinstance(raw, bytes):
        # Cut first: the row may be huge, and no character has more than four bytes.
        raw = raw[: 4 * RAW_LIMIT].decode("utf-8", "backslashreplace")
    text = raw[:RAW_LIMIT].replace("\x00", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode("utf-8").rstrip("\r\n")[:RAW_LIMIT]
