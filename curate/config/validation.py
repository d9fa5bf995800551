"""Errors of options in plain sentences: each names the key, what was found and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from curate.core.errors import CurateError

_MOST_SENTENCES = 20
_MOST_CHARACTERS = 300  # of a value that is shown

Options = TypeVar("Options", bound=BaseModel)


def validate_options(model: type[Options], options: Mapping[str, Any], *, where: str = "") -> Options:
    """Options as `model`. `where`: the key they stand under in the file, if it was such a file they came from."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        raise CurateError("\n".join(explain_errors(error, model, where=where))) from None


def explain_errors(error: ValidationError, model: type[BaseModel], *, where: str = "") -> list[str]:
    """A sentence for each error of options that should have been a `model`, up to the twentieth."""
    details = error.errors()
    lines = [
        _write_sentence(detail, where, _list_allowed_keys(model, detail["loc"]))
        for detail in details[:_MOST_SENTENCES]
    ]
    left = len(details) - len(lines)
    return [*lines, f"… and {left:,} more of such errors."] if left else lines


def _write_sentence(detail: ErrorDetails, where: str, allowed: list[str]) -> str:
    key = ".".join([*([where] if where else []), *map(str, detail["loc"])]) or "the file"
    if detail["type"] == "extra_forbidden":
        name = str(detail["loc"][-1])
        close = difflib.get_close_matches(name, allowed, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"allowed here: {', '.join(allowed)}."
        return f"unknown key `{key}`: {hint}"
    if detail["type"] == "missing":
        return f"`{key}` is missing."
    message = detail["msg"].removeprefix("Value error, ")
    end = "" if message.endswith("?") else "."
    joint = ", " if message.startswith("which ") else ": "
    value = repr(detail["input"])
    if len(value) > _MOST_CHARACTERS:
        value = f"{value[:_MOST_CHARACTERS]}…"
    return f"`{key}` is {value}{joint}{message[0].lower()}{message[1:]}{end}"


def _list_allowed_keys(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at the parent of `location` knows."""
    for step in location[:-1]:
        if isinstance(step, str) and isinstance(model, type) and issubclass(model, BaseModel):
            model = _find_model(model.model_fields[step].annotation) if step in model.model_fields else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _find_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = (_find_model(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in models if model is not None), None)
