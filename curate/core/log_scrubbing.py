"""Log lines, warnings and tracebacks of this process without secrets, whoever writes them."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

from curate.core.secrets import scrub_exception, scrub_text

_state = {"installed": False}


def install_log_scrubber() -> None:
    """Replace secrets in every log record, warning and traceback from here on; more than one call does no more."""
    if _state["installed"]:
        return
    _state["installed"] = True
    make_record = logging.getLogRecordFactory()
    show_warning = warnings.showwarning

    def make_clean_record(*args: Any, **options: Any) -> logging.LogRecord:
        return _scrub_record(make_record(*args, **options))

    def show_clean_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        show_warning(scrub_text(str(message)), category, filename, lineno, file, line)

    logging.setLogRecordFactory(make_clean_record)
    warnings.showwarning = show_clean_warning
    threading.excepthook = lambda hook: _print_traceback(hook.exc_value)
    sys.excepthook = lambda kind, error, trace: _print_traceback(error)


@contextlib.contextmanager
def scrub_errors() -> Iterator[None]:
    """Let errors out of the block only without secrets: an orchestrator stores them with their tracebacks."""
    try:
        yield
    except BaseException as error:
        scrub_exception(error)
        raise


def format_traceback(error: BaseException) -> str:
    """Format an error with its traceback, without secrets."""
    return scrub_text("".join(traceback.format_exception(error)))


def _print_traceback(error: BaseException | None) -> None:
    if error is not None:
        print(format_traceback(error), end="", file=sys.stderr)


def _scrub_record(record: logging.LogRecord) -> logging.LogRecord:
    try:
        message = record.getMessage()
    except Exception:  # a record that its own handler would not print either
        message = f"{record.msg} {record.args}"
    if (clean := scrub_text(message)) != message:
        record.msg, record.args = clean, None
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text = "".join(traceback.format_exception(error))
        if (clean := scrub_text(text)) != text:
            record.exc_info, record.exc_text = None, clean
    return record
