"""Errors of a row in one sentence, in the words of the format rather than of the validator."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from curate.ingest.rejection import RowError

TYPE_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def explain_validation_error(error: ValidationError, model: type[BaseModel]) -> RowError:
    """Return the first error of a row in one sentence, and how many more there are."""
    details = error.errors(include_url=False)
    # Of a union (text or messages), each branch reports; the branch that got further says more.
    first = max(details, key=lambda detail: len(detail["loc"])) if _is_union(details) else details[0]
    kind, reason = _write_sentence(first, model)
    here = {detail["type"] for detail in details if _name_place(detail["loc"]) == _name_place(first["loc"])}
    if {"string_type", "list_type"} <= here:
        reason += " or an array"  # both branches failed at the field itself
    more = 0 if _is_union(details) else len(details) - 1
    return RowError(kind, f"{reason}{f' ({more} more)' if more else ''}.")


def _write_sentence(detail: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    place = _name_place(detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "missing":
            return "missing key", f"`{place}` is missing"
        case "extra_forbidden":
            known = ", ".join(model.model_fields) if len(detail["loc"]) == 1 else ""
            hint = f" (known: {known}; anything else belongs under `meta`)" if "meta" in known else ""
            return "unknown key", f"`{place}` is no known key{hint}"
        case "value_error":
            return _kind_of(message), f"{place + ': ' if place else ''}{message}"
        case "literal_error":
            name = "unknown role" if place.endswith("role") else "wrong value"
            return (
                name,
                f"`{place}` is {_shorten_value(detail['input'])}, but must be {detail['ctx']['expected']}",
            )
        case "too_short":
            return "no responses", f"`{place}` is empty"
        case "string_too_short":
            return "empty id", f"`{place}` is empty"
        case "greater_than_equal" | "less_than_equal":
            return (
                "wrong value",
                f"`{place}` is {_shorten_value(detail['input'])}, but must be between 0 and 1",
            )
        case _:
            type_name = TYPE_NAMES.get(type(detail["input"]), type(detail["input"]).__name__)
            wanted = message.removeprefix("Input should be ").removeprefix("a valid ")
            return "wrong type", f"`{place}` is {type_name}, but should be {_WANTED.get(wanted, wanted)}"


_WANTED = {
    "string": "a string",
    "list": "an array",
    "number": "a number",
    "dictionary": "an object",
    "dictionary or instance of ResponseInput": "an object",
    "dictionary or instance of MessageInput": "an object",
    "dictionary or instance of PartInput": "an object",
}


def _kind_of(message: str) -> str:
    for words, kind in (
        ("is empty", "empty prompt"),
        ("a response has either", "missing key"),
        ("a message has `content`", "missing key"),
        ("two responses have the id", "duplicate response id"),
        ("same response", "same response twice"),
        ("p_a", "contradiction"),
    ):
        if words in message:
            return kind
    return "wrong value"


def _is_union(details: list[ErrorDetails]) -> bool:
    """Tell whether all the errors are about one field that may have several types."""
    return len(details) > 1 and all(_has_tag(detail["loc"]) for detail in details)


def _has_tag(location: tuple[int | str, ...]) -> bool:
    return any(_is_tag(step) for step in location)


def _is_tag(step: int | str) -> bool:
    """Tell whether a step of a location names the branch of a union, as pydantic does: `str`, `list[MessageInput]`."""
    return isinstance(step, str) and (step in ("str", "dict", "list") or step.startswith(("list[", "dict[")))


def _name_place(location: tuple[int | str, ...]) -> str:
    place = ""
    for step in location:
        if isinstance(step, int):
            place += f"[{step}]"
        elif not _is_tag(step):
            place += f".{step}" if place else step
    return place


def _shorten_value(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
