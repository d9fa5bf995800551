"""What a verifier can check. Each check takes a text and what is expected, and gives None or an objection."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_FENCED = re.compile(r"```[^\n`]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?(?:\s*/\s*\d+(?:\.\d+)?)?")
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_SENTENCE = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?:\s|\Z)")

Check = Callable[[str, Any], str | None]


def check_exact(text: str, expected: Any) -> str | None:
    """The same but for case, spaces and a full stop at the end."""
    return None if _normalize_text(text) == _normalize_text(str(expected)) else f"is not {str(expected)!r}"


def check_number(text: str, expected: Any) -> str | None:
    """The answer's number: in the last \\boxed{}, after the last "####", or else the last one in the text."""
    wanted = parse_number(str(expected))
    boxed = _BOXED.findall(text)
    found = parse_number(boxed[-1] if boxed else text.rpartition("####")[2])
    if found is None:
        return "holds no number"
    if wanted is None:
        return f"{expected!r}, which is expected, holds no number"
    same = math.isclose(found, wanted, rel_tol=1e-6, abs_tol=1e-9)
    return None if same else f"{found:.10g} is not {wanted:.10g}"


def check_contains(text: str, expected: Any) -> str | None:
    """Every one of the expected texts, whatever their case."""
    wanted = [expected] if isinstance(expected, str) else list(expected)
    missing = [each for each in wanted if str(each).casefold() not in text.casefold()]
    return f"does not contain {', '.join(map(repr, missing))}" if missing else None


def check_regex(text: str, expected: Any) -> str | None:
    """A Python pattern, found anywhere."""
    return None if re.search(expected, text) else f"does not match {expected!r}"


def check_json_schema(text: str, expected: Any) -> str | None:
    """JSON, bare or in one fenced block, that a JSON Schema accepts."""
    import jsonschema

    blocks = _FENCED.findall(text)
    try:
        value = msgspec.json.decode(blocks[0] if len(blocks) == 1 else text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        return f"is not JSON: {error}"
    try:
        jsonschema.validate(value, expected)
    except jsonschema.ValidationError as error:
        where = f" at {error.json_path}" if error.json_path != "$" else ""
        return f"breaks the schema{where}: {error.message[:200]}"
    return None


def check_words(text: str, expected: Any) -> str | None:
    return _check_count(len(text.split()), expected, "words")


def check_sentences(text: str, expected: Any) -> str | None:
    """Sentences are counted by their ends, so this is a rough figure where there are abbreviations."""
    stripped = text.strip()
    ends = len(_SENTENCE.findall(stripped))
    unfinished = bool(stripped) and not re.search(r"[.!?…。！？][\"'”’)\]]*\Z", stripped)
    return _check_count(ends + unfinished, expected, "sentences")


def extract_code(text: str) -> str:
    """The program in a response: its fenced blocks, or all of it."""
    return "\n".join(_FENCED.findall(text)) or text


def parse_number(text: str) -> float | None:
    """The last number in a text: 1,234.5 or -2e3 or 3/4."""
    found = [match[0] for match in _NUMBER.finditer(text) if any(map(str.isdigit, match[0]))]
    if not found:
        return None
    over, _, under = found[-1].replace(",", "").partition("/")
    try:
        return float(over) / float(under) if under else float(over)
    except ZeroDivisionError:
        return None


def explain_bad_expectation(check: str, expected: Any) -> str | None:
    """What is wrong with what a check is to expect, if anything is."""
    match check:
        case "words" | "sentences":
            bounds = isinstance(expected, list) and len(expected) == 2
            if not bounds or not all(each is None or type(each) is int for each in expected):
                return "is no pair [least, most], each a whole number or null"
        case "regex":
            try:
                re.compile(expected)
            except (re.error, TypeError) as error:
                return f"is no regular expression: {error}"
        case "json-schema":
            import jsonschema

            try:
                jsonschema.validators.validator_for(expected).check_schema(expected)
            except (jsonschema.SchemaError, TypeError, AttributeError) as error:
                return f"is no JSON Schema: {getattr(error, 'message', error)}"
        case "contains":
            many = isinstance(expected, list) and all(isinstance(each, str) for each in expected)
            if not (isinstance(expected, str) or many):
                return "is neither a text nor a list of texts"
        case "code":
            if not isinstance(expected, str):
                return "is no text with Python statements"
    return None


def read_meta_entry(meta: str | None, key: str) -> Any:
    """An entry of a prompt's `meta` (a JSON object as text), or None."""
    if meta is None:
        return None
    found = json.loads(meta)
    return found.get(key) if isinstance(found, Mapping) else None


def _normalize_text(text: str) -> str:
    return " ".join(text.casefold().split()).removesuffix(".")


def _check_count(count: int, expected: Any, what: str) -> str | None:
    least, most = expected
    if least is not None and count < least:
        return f"{count} {what} are fewer than {least}"
    if most is not None and count > most:
        return f"{count} {what} are more than {most}"
    return None


CHECKS: dict[str, Check] = {
    "exact": check_exact,
    "number": check_number,
    "contains": check_contains,
    "regex": check_regex,
    "json-schema": check_json_schema,
    "words": check_words,
    "sentences": check_sentences,
}
