"""The end of a command that cannot go on: one sentence on standard error, an exit code, and a traceback for who asks.

| exit code | |
| --- | --- |
| 0 | done, or there was nothing to do |
| 1 | a mistake that the user can mend, a check that says no, or a machine that is full, closed or gone |
| 2 | the command line itself is wrong: an unknown command or option, or a value out of range |
| 70 | a fault of `curate` itself (EX_SOFTWARE of sysexits.h) |
| 130 | interrupted; what was committed is kept |
"""

from __future__ import annotations

import errno
import os
import re
import sys
import sysconfig
import traceback
from pathlib import Path

from curate.core.errors import CurateError
from curate.core.log_lines import is_json_log, write_log_line
from curate.core.log_scrubbing import format_traceback
from curate.core.terminal import clean_text, new_console

DEBUG_VARIABLE = "CURATE_DEBUG"
SOFTWARE_FAULT = 70
_KEPT = "what was committed is kept, run the same command to go on"
_REASONS = {
    errno.ENOSPC: f"the disk is full: free some space; {_KEPT}",
    errno.EDQUOT: f"your quota of the disk is used up: free some space; {_KEPT}",
    errno.EACCES: "it may not be read or written: check who owns it and its permissions",
    errno.EPERM: "the system forbids it: check who owns it and its permissions",
    errno.EROFS: "its disk can only be read: name another folder in curate.yaml",
    errno.ELOOP: "its symbolic links run in a circle: mend them",
    errno.ENAMETOOLONG: "its name is too long: shorten it",
    errno.EMFILE: "too many files are open: raise `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine: end other programs",
    errno.EIO: "the disk fails to read or write: check it",
    errno.ENOMEM: "the memory is used up: end other programs, or use smaller chunks",
    errno.ENOENT: "it is not there",
    errno.EADDRINUSE: "the port is taken: name another one with --port",
}


# In the words of DuckDB and SQLite, whatever the type of the error that they raise.
_DISK_ERRORS = re.compile(
    r"disk I/O error|disk image is malformed|unable to open database|disk is full|readonly database|"
    + "|".join(re.escape(os.strerror(number)) for number in _REASONS),
    re.IGNORECASE,
)


def is_debugging(arguments: list[str]) -> bool:
    """Tell whether a traceback is wanted, and take `--debug` out of the arguments, wherever it stands."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    asked = "--debug" in arguments[:end]
    arguments[:end] = [argument for argument in arguments[:end] if argument != "--debug"]
    return asked or os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def print_failure(error: BaseException, *, debug: bool) -> int:
    """Print what went wrong in one sentence and return the exit code.

    Args:
        error: What ended the command.
        debug: Print the traceback as well.
    """
    sentence, code = explain_failure(error)
    if debug:
        sys.stderr.write(format_traceback(error).encode("utf-8", "replace").decode())
    if is_json_log():
        write_log_line("failure", sentence, level="error", exit_code=code)
        return code
    from rich.text import Text

    line = Text.assemble(("error:", "bold red"), " ", clean_text(sentence))
    new_console(stderr=True).print(line, soft_wrap=True)
    return code


def explain_failure(error: BaseException) -> tuple[str, int]:
    """Return the sentence about an error, and the exit code."""
    if isinstance(error, CurateError):
        return str(error), 1
    place = _find_users_place(error)
    if place is not None:
        return f"{place} raised {_describe(error)}: mend it there.", 1
    known = _explain_machine_error(error)
    if known is not None:
        return known, 1
    sentence = (
        f"An unexpected {_describe(error)}, at {_find_own_place(error)}. This is a fault of curate; nothing that was "
        "committed is lost. `curate --debug …` shows where it came from: please report it."
    )
    return sentence, SOFTWARE_FAULT


def _explain_machine_error(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        return _explain_system_error(error)
    if isinstance(error, UnicodeError):
        return f"Some file or name is not UTF-8 ({_one_line(error)}): convert it, for example with `iconv`."
    if isinstance(error, RecursionError):
        return "Some text (JSON or YAML) is nested too deeply to be read: leave that row or value out."
    if isinstance(error, MemoryError):
        return f"The memory is used up: end other programs, or use smaller files and chunks; {_KEPT}."
    module = type(error).__module__.partition(".")[0]
    if module == "yaml":
        return f"A file is not valid YAML: {_one_line(error)}."
    if isinstance(error, ValueError) and "embedded null byte" in str(error):
        return "A name of a file holds a NUL character, which no file system knows: write it without."
    if isinstance(error, RuntimeError) and "Symlink loop" in str(error):
        return f"{_one_line(error)}: {_REASONS[errno.ELOOP]}."
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return "The folder of the user is not known: set the environment variable HOME."
    if module in ("duckdb", "_duckdb"):
        return _explain_database_error(error)
    if module == "pyarrow":
        return f"A file or value cannot be read as Parquet or Arrow: {_one_line(error)}."
    return None


def _explain_database_error(error: BaseException) -> str | None:
    text = _one_line(error)
    is_known = type(error).__name__ in (
        "IOException",
        "OutOfMemoryException",
        "PermissionException",
        "ConnectionException",
        "HTTPException",
        "TransactionException",
        "Error",  # of SQLite, which the catalog is in
    )
    if not is_known and not _DISK_ERRORS.search(text):
        return None
    advice = "; `curate check` says whether the catalog is damaged" if "malformed" in text else ""
    return f"The lake's database cannot go on: {text}; {_KEPT}{advice}."


def _explain_system_error(error: OSError) -> str:
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    what = " and ".join(names) or "A file"
    reason = _REASONS.get(error.errno or 0, "")
    if not reason:
        reason = (error.strerror or _one_line(error) or type(error).__name__).rstrip(".").lower()
    return f"Cannot work with {what}: {reason}." if names else f"{reason[0].upper()}{reason[1:]}."


def _find_users_place(error: BaseException) -> str | None:
    """Find the innermost line of a file that belongs neither to curate nor to Python or an installed package."""
    if error.__traceback__ is None:
        return None
    ours = [Path(__file__).resolve().parents[1], *map(Path, {*sysconfig.get_paths().values(), *sys.path[1:]})]
    places = [
        f"{frame.filename}, line {frame.lineno}, in `{frame.name}`,"
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_users_file(frame.filename, ours)
    ]
    return places[-1] if places else None


def _is_users_file(name: str, ours: list[Path]) -> bool:
    if not name.endswith(".py") or not Path(name).is_file():
        return False
    path = Path(name).resolve()
    if any(folder.is_absolute() and len(folder.parts) > 2 and path.is_relative_to(folder) for folder in ours):
        return False
    return "site-packages" not in path.parts and path.name != "curate" and path.parent.name != "flows"


def _find_own_place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    root = Path(__file__).parents[1]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(root)] or frames
    if not own:
        return "an unknown place"
    path = Path(own[-1].filename)
    return f"{path.relative_to(root.parent) if path.is_relative_to(root) else path.name}:{own[-1].lineno}"


def _describe(error: BaseException) -> str:
    text = _one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:500]
