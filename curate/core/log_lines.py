"""Lines of a log on standard error: a time and a sentence, or with `CURATE_LOG_FORMAT=json` one JSON object each."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Literal

from curate.core.secrets import scrub_text
from curate.core.terminal import escape_controls, escape_json

FORMAT_VARIABLE = "CURATE_LOG_FORMAT"
Level = Literal["info", "warning", "error"]


def is_json_log() -> bool:
    """Tell whether lines of the log are to be JSON."""
    return os.environ.get(FORMAT_VARIABLE, "").lower() == "json"


def write_log_line(event: str, message: str, *, level: Level = "info", **fields: object) -> None:
    """Write one line to standard error, with the time in UTC.

    Args:
        event: What kind of line it is, for programs.
        message: The sentence.
        level: How bad it is.
        **fields: What programs want to know beside it; only JSON has them.
    """
    time = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if is_json_log():
        record = {"time": time, "level": level, "event": event, "message": scrub_text(message), **fields}
        text = escape_json(json.dumps(record, ensure_ascii=False, default=str))
    else:
        text = scrub_text(escape_controls(f"{time} {message}")).replace("\n", " ")
    sys.stderr.write(text.encode("utf-8", "replace").decode() + "\n")
    sys.stderr.flush()


class JsonLogHandler(logging.Handler):
    """Writes records of Python's `logging` (of other libraries, too) as lines of the log."""

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "error" if record.levelno >= 40 else "warning" if record.levelno >= 30 else "info"
        write_log_line("log", record.getMessage(), level=level, logger=record.name)
