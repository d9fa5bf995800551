"""Say in one sentence what the machine refused: a full disk, a missing right, a file that cannot be read."""

from __future__ import annotations

import errno
import re

_ADVICE = {
    errno.ENOSPC: "the disk is full: make room, then run the same command again",
    errno.EDQUOT: "your share of the disk is used up: make room, then run the same command again",
    errno.EIO: "the disk reports an error: copy what is dear to you elsewhere, and see `curate check`",
    errno.EROFS: "the disk is mounted read-only",
    errno.EACCES: "you have no permission for that",
    errno.EPERM: "the system does not permit that",
    errno.EMFILE: "too many files are open: raise the limit with `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENOMEM: "there is not enough memory",
    errno.ELOOP: "symbolic links lead in a circle",
    errno.ENAMETOOLONG: "the name is too long",
}
_KEPT = "What was committed is kept"
_SIGNS = (  # of DuckDB's and SQLite's messages
    (re.compile(r"no space left|database or disk is full", re.IGNORECASE), errno.ENOSPC),
    (re.compile(r"input/output error|disk i/o error", re.IGNORECASE), errno.EIO),
    (re.compile(r"permission denied|readonly database|unable to open database", re.IGNORECASE), errno.EACCES),
    (re.compile(r"operation not permitted", re.IGNORECASE), errno.EPERM),
    (re.compile(r"too many open files", re.IGNORECASE), errno.EMFILE),
)


def explain_failure(error: BaseException) -> str:
    """Return a sentence for the user about an exception that nothing has dealt with."""
    if isinstance(error, MemoryError):
        return f"{_KEPT}, but {_ADVICE[errno.ENOMEM]}"
    if isinstance(error, OSError) and error.errno is not None:
        advice = _ADVICE.get(error.errno, (error.strerror or str(error)).lower())
        where = f"{error.filename}: " if error.filename else ""
        return f"{_KEPT}, but {where}{advice}"
    if _is_database_error(error):
        text = " ".join(str(error).split())
        number = next((number for sign, number in _SIGNS if sign.search(text)), None)
        advice = f"{_ADVICE[number]} ({text})" if number is not None else text
        return f"{_KEPT}, but the lake could not be read or written: {advice}"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"This is a fault of curate ({text}): report it with what `curate --debug` shows; what was committed is kept"


def _is_database_error(error: BaseException) -> bool:
    """Tell whether it is one of DuckDB's, without importing it where it was not used."""
    return any(kind.__module__ in ("duckdb", "_duckdb") for kind in type(error).__mro__)
