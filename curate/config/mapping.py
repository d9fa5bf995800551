"""The mapping language: where a foreign row keeps what `curate` needs, and what its values mean.

A path goes into objects by names (`meta.score`), into lists by numbers (`annotations.0.result`, `[0]`, `[-1]`) or into
all of their items (`annotations[*].label`), and into JSON that a cell holds as text. A name that itself has dots comes
first. Under `items`, paths start at the item, and with `$.` at the row; `.` is the item itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from curate.core.section import Section
from curate.records import Role

_RANKS = frozenset({"rank", "ranks", "ranking", "rankings", "position", "place", "placement"})

StatedKind = Literal["human", "llm", "reward-model", "rule", "reference", "verifier", "implicit", "imported"]
"""The kinds of annotators that a user may state; `imported` stands for an unknown kind."""

StatedOutcome = Literal["a", "b", "tie", "both_good", "both_bad", "abstain", "failed"]
"""What a verdict may say; `both_good` and `both_bad` are ties that keep what they are (`judgments.tied_as`)."""


def write_value(value: object) -> str:
    """Return a cell's value as text under which mappings know it: 1, 1.0 and "1.0" are "1", true is "true".

    >>> [write_value(value) for value in (1, 1.0, "1.0", True, "True", "model_a")]
    ['1', '1', '1', 'true', 'true', 'model_a']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)
    text = str(value).strip()
    if text in ("True", "False", "TRUE", "FALSE"):
        return text.lower()
    return text.removesuffix(".0") if text.endswith(".0") and re.fullmatch(r"-?\d+\.0", text) else text


def _write_keys(values: object) -> object:
    return {write_value(key): value for key, value in values.items()} if isinstance(values, dict) else values


ValueMeanings = Annotated[dict[str, StatedOutcome], BeforeValidator(_write_keys)]


def list_columns(columns: list[str] | dict[str, str] | None) -> list[str]:
    """Return columns that stand in a list or by model."""
    return list(columns.values() if isinstance(columns, dict) else columns or ())


def _check_rank(path: str | None, best: str | None) -> None:
    words = re.split(r"[^a-z]+", path.rsplit(".", 1)[-1].lower()) if path else []
    if best is None and _RANKS.intersection(words):
        raise ValueError(
            "by its name this is a rank, and numbers do not say which end of it is the best: "
            "write `best: low` beside it (1 is the best), or `best: high`"
        )


class Scale(Section):
    """A scale on which one number says which of two is better, and by how much: its middle is a tie."""

    a: float = Field(description="The end at which a is better by far.")
    b: float = Field(description="The end at which b is better by far.")

    @model_validator(mode="after")
    def _has_two_ends(self) -> Self:
        if self.a == self.b:
            raise ValueError("`a` and `b` are the two ends of the scale, and cannot be the same number")
        return self


class Verdicts(Section):
    """Verdicts of one annotator about the responses of a row."""

    winner: str | dict[str, StatedOutcome] | None = Field(
        None,
        description="What says which is better; or columns of which exactly one is true: `{a_won: a, tied: tie}`.",
    )
    winners: ValueMeanings = Field(
        default_factory=dict, description="What the values of `winner` mean, such as `model_a: a` or `1: b`."
    )
    scale: Scale | None = Field(
        None,
        description="`winner` is a number between these ends (`{a: -3, b: 3}`), or a word that has one under `scores`; "
        "the distance from the middle is the margin. What is on no scale stands under `winners`.",
    )
    score_a: str | None = Field(
        None, description="A number for a: without `winner`, the higher one wins (`best`)."
    )
    score_b: str | None = Field(None, description="A number for b.")
    scores: Annotated[dict[str, float], BeforeValidator(_write_keys)] = Field(
        default_factory=dict,
        description="What words at scores, or on a `scale`, mean, such as `{good: 1, bad: 0}`.",
    )
    margin: str | None = Field(None, description="By how much the winner is better: a number of at least 0.")
    ranking: str | None = Field(
        None,
        description="Names of responses (key, model, column), best first; a list for equals; `{value, rank}`; or text "
        "such as `x > y = z`.",
    )
    best_response: str | None = Field(
        None,
        description="The best of `responses`, by its name (key, model, column) or its text; it beats all others.",
    )
    worst_response: str | None = Field(
        None,
        description="The worst of `responses`, likewise; all others beat it. With `best_response`: best-worst scaling.",
    )
    places_from: Literal[0, 1] | None = Field(
        None,
        description="Numbers at `ranking`, `best_response` and `worst_response` are places in `responses`, counted "
        "from this one.",
    )
    p_a: str | None = None
    annotator: str | None = Field(
        None, description="Who says so; default: `name`, else the name of the source."
    )
    annotator_kind: str | None = None
    shown: str | None = Field(
        None, description="The order in which the two were shown: a path, or `ab` or `ba`."
    )
    rationale: str | None = None
    aspect: str | None = Field(
        None,
        description="The one criterion that this is about (`safety`); it is kept, and does not count for the label.",
    )
    unless: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Not where one of these paths has this value (`AssignmentStatus: Rejected`).",
    )

    @field_validator("annotator_kind")
    @classmethod
    def _kind_is_a_path(cls, path: str | None) -> str | None:
        if path in get_args(StatedKind):
            raise ValueError(
                "under `fields` this is the name of a column: "
                f"write `annotator_kind: {path}` beside `fields`, where it holds for the whole source"
            )
        return path

    @model_validator(mode="after")
    def _scores_come_in_pairs(self) -> Self:
        if (self.score_a is None) is not (self.score_b is None):
            raise ValueError("`score_a` and `score_b` go together: name both columns")
        if self.scale is not None and self.winner is None:
            raise ValueError("`scale` says what the numbers at `winner` mean: write `winner` too")
        return self


class MoreVerdicts(Verdicts):
    """An entry of `verdicts`: one more annotator, criterion or order of a row, or a list of them."""

    items: str | None = Field(None, description="A list in the row, of which each item is a statement.")
    where: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Only where these paths have these values (`status: submitted`)."
    )
    name: str | None = Field(
        None, description="The annotator's name, where no path has it; items of `items` get numbers."
    )
    kind: StatedKind | None = Field(None, description="What the annotator is; default: as for the source.")
    response_score: str | None = Field(None, description="A number for each response, as in `fields`.")
    best: Literal["high", "low"] | None = None

    @model_validator(mode="after")
    def _rank_has_a_direction(self) -> Self:
        _check_rank(self.response_score, self.best)
        return self


class Fields(Verdicts):
    """Where a foreign row keeps what `curate` needs, as paths into the row.

    A row holds responses in one of four ways: a list of them (`responses`), preferred and other ones (`chosen`,
    `rejected`), two with a verdict (`a`, `b`, `winner`), or one (`response`). A row of judgments has the keys `prompt`,
    `a`, `b` and those of verdicts.
    """

    id: str | None = None
    prompt: str | None = Field(None, description="Text, or a list of messages.")
    system: str | None = Field(None, description="Text of a system message that stands before the prompt.")
    input: str | None = Field(
        None,
        description="Text that belongs to the prompt and follows it after a blank line (Alpaca's `input`).",
    )
    history: str | None = Field(
        None, description="Earlier turns: messages, or pairs of what was asked and answered."
    )
    images: str | None = Field(
        None,
        description="Images of the prompt, where its messages leave room for them, else before its first turn.",
    )
    tools: str | None = Field(
        None, description="JSON Schemas of the tools that models may call: an array, or its JSON text."
    )
    transcript: Literal["human-assistant", "chatml"] | None = Field(
        None,
        description="The prompt is one text with marks of its turns: `Human:` and `Assistant:`, or `<|im_start|>`.",
    )
    roles: dict[str, Role] = Field(
        default_factory=dict, description="What names of roles mean, such as `critic: assistant`."
    )
    json_columns: list[str] = Field(
        default_factory=list, description="Columns whose text is JSON: messages, or a list of one text."
    )
    responses: str | list[str] | dict[str, str] | None = Field(
        None,
        description="A list of responses (strings, messages, or objects with the keys below); or one column for each: "
        "`[answer_1, answer_2]`, or by model `{gpt-4: answer_gpt4}`.",
    )
    response: str | None = Field(None, description="The one response of a row.")
    response_id: str | None = Field(None, description="In each response, or a list beside `responses`.")
    response_text: str | None = None
    response_model: str | None = Field(None, description="In each response, or a list beside `responses`.")
    best: Literal["high", "low"] | None = Field(
        None, description="Which score wins; default: high. A rank has no default."
    )
    response_score: str | list[str] | dict[str, str] | None = Field(
        None,
        description="A number in each response, a list beside `responses`, or a column for each of its columns, in "
        "their order or by model: the higher one wins, or with `best: low` the lower one. Of a single `response` it is "
        "a rating.",
    )
    aspects: dict[str, str] = Field(
        default_factory=dict,
        description="Ratings of responses by one criterion each: `{honesty: annotations.honesty.Rating}`.",
    )
    chosen: str | None = None
    rejected: str | None = None
    score_chosen: str | None = Field(
        None, description="A number for `chosen`: equal to the other one it is a tie."
    )
    score_rejected: str | None = None
    a: str | None = None
    b: str | None = None
    model_a: str | None = None
    model_b: str | None = None
    verdicts: list[MoreVerdicts] = Field(
        default_factory=list,
        description="More statements of a row: several judges, people, criteria, orders.",
    )
    reference: str | None = None
    meta: list[str] = Field(
        default_factory=list, description='Fields to keep in `meta`; `["*"]`: all the rest.'
    )
    ignore: list[str] = Field(
        default_factory=list, description='Columns that do not matter; `["*"]`: all that nothing reads.'
    )
    optional: list[str] = Field(
        default_factory=list, description="Paths of this mapping that few rows have, or none."
    )

    @field_validator("response_score")
    @classmethod
    def _rank_has_a_direction(
        cls, path: str | list[str] | dict[str, str] | None, info: ValidationInfo
    ) -> str | list[str] | dict[str, str] | None:
        for column in [path] if isinstance(path, str) else list_columns(path):
            _check_rank(column, info.data.get("best"))
        return path

    @model_validator(mode="after")
    def _scores_of_columns(self) -> Self:
        scores, responses = self.response_score, self.responses
        if isinstance(scores, list) and not (isinstance(responses, list) and len(scores) == len(responses)):
            raise ValueError(
                "a list at `response_score` names a column for each of the columns of `responses`"
            )
        if isinstance(scores, dict) and not (isinstance(responses, dict) and set(scores) <= set(responses)):
            raise ValueError("`response_score` names a column by model: write `responses` by model, too")
        return self

    @model_validator(mode="after")
    def _scores_of_the_pair(self) -> Self:
        if (self.score_chosen is None) is not (self.score_rejected is None):
            raise ValueError("`score_chosen` and `score_rejected` go together: name both columns")
        return self

    def list_paths(self) -> dict[str, str]:
        """Return every path of the mapping that starts at the row: key → path."""
        return dict(_list_paths(self))


_SETTINGS = frozenset(
    {
        "scores",
        "best",
        "transcript",
        "roles",
        "json_columns",
        "winners",
        "scale",
        "places_from",
        "meta",
        "ignore",
        "optional",
        "name",
        "kind",
    }
    | {"aspect", "where", "unless"}
)


def _list_paths(fields: Fields) -> Iterator[tuple[str, str]]:
    for key in fields.model_fields_set:
        value = getattr(fields, key)
        if key in _SETTINGS or (key == "shown" and value in ("ab", "ba")):
            continue
        if key == "aspects":
            yield from ((f"aspects.{name}", path) for name, path in value.items())
        elif key == "verdicts":
            for number, entry in enumerate(value):
                yield from _list_entry_paths(f"verdicts.{number}", entry)
        elif isinstance(value, str):
            yield key, value
        elif isinstance(value, list) or key == "winner":
            yield from ((f"{key}.{number}", path) for number, path in enumerate(value or ()))
        elif isinstance(value, dict):
            yield from ((f"{key}.{name}", path) for name, path in value.items())


def _list_entry_paths(place: str, entry: MoreVerdicts) -> Iterator[tuple[str, str]]:
    if entry.items is not None:
        yield f"{place}.items", entry.items
    for key in entry.model_fields_set - _SETTINGS - {"items"}:
        value = getattr(entry, key)
        for path in list(value) if isinstance(value, dict) else [value]:
            if not isinstance(path, str) or (key == "shown" and path in ("ab", "ba")):
                continue
            if path.startswith("$."):
                yield f"{place}.{key}", path[2:]
            elif entry.items is None:
                yield f"{place}.{key}", path
    for path in entry.where:
        if entry.items is None or path.startswith("$."):
            yield f"{place}.where", path.removeprefix("$.")
