"""Answers that have a column each: numbered ones, one for each model, or an object of answers by model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from curate.ingest.recognition import names as words
from curate.ingest.recognition.answers import NO_ANSWERS, check_score, find_answers
from curate.ingest.recognition.content import Column
from curate.ingest.recognition.names import has_word, split_name
from curate.ingest.recognition.proposal import Proposal, list_names

_FEW_WORDS = 3  # that answers have at least
_MOST_MODELS = 50  # that one row has answers of
_AROUND_MODEL = re.compile(
    r"^(response|answer|output|completion)s?[ _.:-]|[ _.:-](response|answer|output|completion|text)s?$",
    re.I,
)


def read_columns(proposal: Proposal, columns: Mapping[str, Column]) -> bool:
    """Read answers that have a numbered column each: `answer_1`, `answer_2`, `answer_3`.

    The two that `find_answers` would take for a pair are two of several where a third column is called so.
    """
    groups: dict[str, list[str]] = {}
    for column in columns.values():
        match = re.fullmatch(r"(.*?)[ _.-]?(\d+|[a-e])", column.name, re.IGNORECASE)
        if match and column.is_prose:
            groups.setdefault(match[1], []).append(column.name)
    pair = find_answers(columns)
    several = [
        group
        for stem, group in groups.items()
        if len(group) > 2
        and (has_word(stem, words.ANSWERS) or (pair is not None and {pair.a, pair.b} <= set(group)))
    ]
    if len(several) != 1:
        return False
    proposal.fields["responses"] = several[0]
    proposal.used.update(several[0])
    return True


def read_models(proposal: Proposal, columns: Mapping[str, Column]) -> bool:
    """Read answers that have a column for each model: `gpt-4o`, `claude-3`, with `gpt-4o_rating` beside them."""
    named = [
        column.name
        for column in columns.values()
        if column.is_prose and column.words >= _FEW_WORDS and words.MODEL_NAMES.search(column.name)
        and not has_word(column.name, NO_ANSWERS - words.MODELS)
    ]  # fmt: skip
    models = {_AROUND_MODEL.sub("", name).strip(" _.:-"): name for name in named}
    if not 2 <= len(models) <= _MOST_MODELS or len(models) < len(named):
        return False
    proposal.fields["responses"] = models
    proposal.used.update(named)
    proposal.doubts.append(f"{list_names(named)} are what models of these names answered")
    scores = {
        model: column.name
        for model in models
        for column in columns.values()
        if column.content == "number" and _rates(column.name, model)
    }
    if scores.keys() == models.keys():
        proposal.fields["response_score"] = scores
        proposal.used.update(scores.values())
        check_score(proposal, *scores.values())
    return True


def _rates(name: str, model: str) -> bool:
    """Tell whether a column is called as a model is, and a score: `gpt-4o_rating`."""
    rest = name.replace(model, "", 1)
    return model in name and bool(set(split_name(rest)) & words.SCORES) and len(split_name(rest)) == 1


def read_object(proposal: Proposal, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Read answers by model from one object: `{gpt-4: …, claude: …}`."""
    named = [c.name for c in columns.values() if c.content == "object" and has_word(c.name, words.ANSWERS)]
    if len(named) != 1:
        return False
    objects = [row[named[0]] for row in rows if isinstance(row.get(named[0]), Mapping)]
    keys = dict.fromkeys(key for answers in objects for key in answers)
    if not 2 <= len(keys) <= _MOST_MODELS or not all(
        isinstance(text, str) for o in objects for text in o.values()
    ):
        return False
    proposal.fields["responses"] = {key: f"{named[0]}.{key}" for key in keys}
    proposal.used.add(named[0])
    proposal.doubts.append(f"the keys of `{named[0]}` are names of models")
    return True
