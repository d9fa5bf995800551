"""Parsing of one line of JSON, with the reason where it is no object."""

from __future__ import annotations

import json
import math
from typing import Any

from curate.ingest.explain import TYPE_NAMES
from curate.ingest.rejection import RowError


def parse_line(line: bytes) -> dict[str, Any]:
    """Parse a line of JSON. Slower than msgspec, but it reads lone surrogates too and says where a line is broken."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RowError("not UTF-8", f"Byte {error.start + 1} of the line is not UTF-8.") from None
    try:
        row = json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_finite)
    except json.JSONDecodeError as error:
        reason = (
            f"The line is not valid JSON: {error.msg[0].lower()}{error.msg[1:]} at character {error.pos + 1}."
        )
        raise RowError("broken JSON", reason) from None
    except RecursionError:
        raise RowError("broken JSON", "The line is nested too deeply.") from None
    except ValueError as error:
        # Ours (NaN, 1e999), or Python's refusal of integers with thousands of digits.
        reason = "an integer has too many digits" if "digits" in str(error) else str(error)
        raise RowError("broken JSON", f"The line is not valid JSON: {reason}.") from None
    if not isinstance(row, dict):
        raise RowError("not an object", f"The line is {TYPE_NAMES[type(row)]}, not a JSON object.")
    return row


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _parse_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is out of range")
    return value
