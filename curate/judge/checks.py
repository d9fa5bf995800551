"""The checks of a verifier: each takes a text and the expected value, and returns None or an objection."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from curate.core.json_text import JsonError, parse_json
from curate.judge.timed_checks import CheckError, run_timed_check

_FENCED = re.compile(r"```[^\n`]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
# Every pattern here takes linear time, whatever the text (tests/core/test_linear_patterns.py).
_NUMBER = re.compile(
    r"[-+]?(?:(?:\d{1,3}(?:,\d{3})++|\d++)(?:\.\d++)?|\.\d++)(?:[eE][-+]?\d++)?(?:\s*+/\s*+\d++(?:\.\d++)?)?"
)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_ENDS, _CLOSERS = ".!?…。！？", "\"'”’)]"
_SENTENCE = re.compile(rf"(?<![{_ENDS}])[{_ENDS}]++[{re.escape(_CLOSERS)}]*+(?:\s|\Z)")

Check = Callable[[str, Any], str | None]


def check_exact(text: str, expected: Any) -> str | None:
    """Compare texts, without regard to case, spaces and a full stop at the end."""
    return None if _normalize_text(text) == _normalize_text(str(expected)) else f"is not {str(expected)!r}"


def check_number(text: str, expected: Any) -> str | None:
    r"""Compare the answer's number: in the last \boxed{}, after the last "####", or else the last one in the text."""
    wanted = parse_number(str(expected))
    boxed = _BOXED.findall(text)
    value = parse_number(boxed[-1] if boxed else text.rpartition("####")[2])
    if value is None:
        return "holds no number"
    if wanted is None:
        return f"{expected!r}, which is expected, holds no number"
    same = math.isclose(value, wanted, rel_tol=1e-6, abs_tol=1e-9)
    return None if same else f"{value:.10g} is not {wanted:.10g}"


def check_contains(text: str, expected: Any) -> str | None:
    """Look for every one of the expected texts, without regard to case."""
    wanted = [expected] if isinstance(expected, str) else list(expected)
    missing = [part for part in wanted if str(part).casefold() not in text.casefold()]
    return f"does not contain {', '.join(map(repr, missing))}" if missing else None


def check_regex(text: str, expected: Any, *, seconds: float = 5.0) -> str | None:
    """Look for a Python pattern anywhere in the text, in a process that ends in time."""
    return run_timed_check("regex", text, expected, seconds=seconds)


def check_json_schema(text: str, expected: Any, *, seconds: float = 5.0) -> str | None:
    """Validate JSON, bare or in one fenced block, with a JSON Schema, in a process that ends in time."""
    blocks = _FENCED.findall(text)
    content = blocks[0] if len(blocks) == 1 else text
    try:
        parse_json(content)
    except JsonError as error:
        return f"is not JSON: {error}"
    return run_timed_check("json-schema", content, expected, seconds=seconds)


def check_words(text: str, expected: Any) -> str | None:
    """Count words."""
    return _check_count(len(text.split()), expected, "words")


def check_sentences(text: str, expected: Any) -> str | None:
    """Count sentences by their ends; abbreviations make the count rough."""
    stripped = text.strip()
    ends = len(_SENTENCE.findall(stripped))
    unfinished = bool(stripped) and stripped.rstrip(_CLOSERS)[-1:] not in tuple(_ENDS)
    return _check_count(ends + unfinished, expected, "sentences")


def extract_code(text: str) -> str:
    """Return the program in a response: its fenced blocks, or all of it."""
    return "\n".join(_FENCED.findall(text)) or text


def parse_number(text: str) -> float | None:
    """Return the last number in a text, such as 1,234.5 or -2e3 or 3/4; None if there is none."""
    numbers = _NUMBER.findall(text)
    if not numbers:
        return None
    over, _, under = numbers[-1].replace(",", "").partition("/")
    try:
        return float(over) / float(under) if under else float(over)
    except ZeroDivisionError:
        return None


def explain_bad_expectation(check: str, expected: Any) -> str | None:
    """Explain why a check cannot use an expected value; None if it can."""
    match check:
        case "words" | "sentences":
            bounds = isinstance(expected, list) and len(expected) == 2
            if not bounds or not all(bound is None or type(bound) is int for bound in expected):
                return "is no pair [least, most], each a whole number or null"
        case "regex":
            try:
                re.compile(expected)
            except (re.error, TypeError, OverflowError, RecursionError) as error:
                return f"is no regular expression: {error}"
        case "json-schema":
            import jsonschema

            try:
                jsonschema.validators.validator_for(expected).check_schema(expected)
            except (jsonschema.SchemaError, TypeError, AttributeError) as error:
                return f"is no JSON Schema: {getattr(error, 'message', error)}"
        case "contains":
            many = isinstance(expected, list) and all(isinstance(part, str) for part in expected)
            if not (isinstance(expected, str) or many):
                return "is neither a text nor a list of texts"
        case "code":
            if not isinstance(expected, str):
                return "is no text with Python statements"
    return None


def read_meta_entry(meta: str | None, key: str) -> Any:
    """Return an entry of a prompt's `meta` (a JSON object as text), or None.

    Raises:
        CheckError: `meta` cannot be read.
    """
    if meta is None:
        return None
    try:
        value = parse_json(meta)
    except JsonError as error:
        raise CheckError(f"the prompt's `meta` is not JSON: {error}") from None
    return value.get(key) if isinstance(value, Mapping) else None


def _normalize_text(text: str) -> str:
    return " ".join(text.casefold().split()).removesuffix(".")


def _check_count(count: int, expected: Any, unit: str) -> str | None:
    least, most = expected
    if least is not None and count < least:
        return f"{count} {unit} are fewer than {least}"
    if most is not None and count > most:
        return f"{count} {unit} are more than {most}"
    return None


CHECKS: dict[str, Check] = {
    "exact": check_exact,
    "number": check_number,
    "contains": check_contains,
    "words": check_words,
    "sentences": check_sentences,
}
# Whose patterns and schemas may need for ever.
TIMED_CHECKS: dict[str, Callable[..., str | None]] = {
    "regex": check_regex,
    "json-schema": check_json_schema,
}
