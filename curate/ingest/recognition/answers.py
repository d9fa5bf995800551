"""Columns that hold answers: two sides of a pair, a list, or one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from curate.ingest.context import is_context
from curate.ingest.recognition import names as words
from curate.ingest.recognition.content import Column, profile_columns
from curate.ingest.recognition.names import NamePair, find_pairs, has_word, join_name, split_name
from curate.ingest.recognition.proposal import Proposal, list_names

NO_ANSWERS = words.MODELS | words.SCORES | words.RANKS | words.ANNOTATORS | words.RATIONALES | words.VERDICTS
_KEYS = frozenset({"id", "ids", "uid", "hash", "url"})  # last words of names of columns that hold no text
_UP = frozenset({"up", "upvote", "upvoted", "like", "liked", "positive", "good", "helpful", "thumbsup", "👍"})
_DOWN = frozenset(
    {
        "down",
        "downvote",
        "downvoted",
        "dislike",
        "disliked",
        "negative",
        "bad",
        "unhelpful",
        "thumbsdown",
        "👎",
    }
)
_TINTS = re.compile("[\U0001f3fb-\U0001f3ff\ufe0f]")  # of emoji: skin, and that it is no letter
_ONE_WORD = 1.5  # words on average
_SENTENCE = 4.0  # words on average, from which a column holds no names
_FEW_ROWS = 4  # rows for each different answer, from which a column holds no answers
_TAKES_SIDES = words.SCORES | words.RANKS | words.VERDICTS


def find_answers(columns: Mapping[str, Column]) -> NamePair | None:
    """Find the two columns that hold answers: sides of one pair, both of prose, called as answers are."""
    pairs = [
        pair
        for pair in find_pairs(name for name in columns if split_name(name)[-1] not in _KEYS)
        if all(
            columns[name].is_prose
            or _may_be_short_answers(columns[name], pair)
            or (pair.decided and columns[name].content == "texts")
            for name in (pair.a, pair.b)
        )
        and (not set(pair.stem) & NO_ANSWERS or _are_of_models(pair) or _hold_what_models_said(pair, columns))
    ]
    named = [
        pair
        for pair in pairs
        if set(pair.stem) & (words.ANSWERS | words.MODELS) or not pair.stem or pair.decided
    ]
    candidates = named or pairs
    longest = sorted(candidates, key=lambda pair: (-columns[pair.a].length - columns[pair.b].length, pair.a))
    return longest[0] if longest else None


def _are_of_models(pair: NamePair) -> bool:
    """Tell whether two columns are called as what a model answered: `model1_response`."""
    *owner, thing = pair.stem or ("",)
    return bool(owner) and set(owner) <= words.MODELS and thing in words.ANSWERS


def _hold_what_models_said(pair: NamePair, columns: Mapping[str, Column]) -> bool:
    """Tell whether two columns called as models are, `model_a` and `model_b`, hold what these have said."""
    return set(pair.stem) <= words.MODELS and all(
        columns[name].content == "messages" or columns[name].words >= _SENTENCE for name in (pair.a, pair.b)
    )


def _may_be_short_answers(column: Column, pair: NamePair) -> bool:
    return column.content == "number" and bool(set(pair.stem) & words.ANSWERS) and column.length > 0


def read_pair(proposal: Proposal, pair: NamePair, columns: Mapping[str, Column]) -> None:
    """Let the mapping read two answers, and the models that wrote them.

    Args:
        proposal: The mapping.
        pair: The columns of the answers.
        columns: Profiles of all columns.
    """
    for key, name in zip(
        ("chosen", "rejected") if pair.decided else ("a", "b"), (pair.a, pair.b), strict=True
    ):
        proposal.read(key, name)
        note_json(proposal, columns[name])
        if columns[name].content == "texts":
            proposal.fields[key] = f"{name}[*]"
    if pair.decided:
        proposal.says_verdicts = True
        if pair.sides != ("chosen", "rejected"):
            proposal.doubts.append(f"`{pair.a}` is better than `{pair.b}` by their names")
    for other in find_pairs(columns):
        if (
            other.sides == pair.sides
            and other.a not in proposal.used
            and set(other.stem) & (words.MODELS | {"system"})
        ):
            proposal.read("model_a", other.a)
            proposal.read("model_b", other.b)
            break


def read_list(proposal: Proposal, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Read a column that holds a list of answers: texts, conversations, or objects with a text."""
    lists = [
        column
        for column in columns.values()
        if (column.content in ("texts", "objects", "conversations") or column.inner in ("texts", "objects"))
        and has_word(column.name, words.ANSWERS)
    ]
    if len(lists) != 1:
        return False
    column = lists[0]
    if column.content == "objects" and _are_turns(column.name, rows):
        return False
    proposal.read("responses", column.name)
    note_json(proposal, column)
    if column.content == "objects":
        return _read_objects(proposal, column.name, rows)
    for key, stems, contents in (
        ("response_score", words.SCORES | words.RANKS, {"numbers"}),
        ("response_model", words.MODELS, {"texts", "text", "identifier"}),
    ):
        beside = [
            other.name
            for other in columns.values()
            if other.content in contents and other.name not in proposal.used and has_word(other.name, stems)
        ]
        if len(beside) == 1 and key == "response_score" and _may_be_places(beside[0], rows):
            name = beside[0]
            proposal.problems.append(
                f"`{name}` may hold ranks beside the answers or places of answers, the best first: write "
                f"`response_score: {name}` with `best: low` for ranks (1 is the best), or `ranking: {name}` with "
                "`places_from: 0` (or 1) for places"
            )
        elif len(beside) == 1:
            proposal.read(key, beside[0])
    if "response_score" in proposal.fields:
        check_score(proposal, proposal.fields["response_score"])
    return True


def _may_be_places(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a column called as ranks are holds the numbers from 0 or 1 on in some order, in all rows."""
    lists = [value for row in rows if isinstance(value := row.get(name), list)]
    return has_word(name, words.RANKS) and all(
        sorted(value) in (list(range(len(value))), list(range(1, len(value) + 1))) for value in lists
    )


def _are_turns(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the objects of a list are the turns of one conversation: each says who speaks."""
    keys = {key for items in _list_objects(name, rows) for item in items for key in item}
    return any(has_word(key, words.SPEAKERS) for key in keys)


def _list_objects(name: str, rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """List the objects in a column of lists, row by row; a few rows may hold something else."""
    lists = [value for row in rows if isinstance(value := row.get(name), list)]
    return [[item for item in items if isinstance(item, Mapping)] for items in lists]


def _is_place(name: str, key: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a number of the objects of a list is only their place in it."""
    if not has_word(key, {"index", "idx"}):
        return False
    lists = [[item.get(key) for item in items] for items in _list_objects(name, rows)]
    return all(places in (list(range(len(places))), list(range(1, len(places) + 1))) for places in lists)


def _read_objects(proposal: Proposal, name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    items = [item for items in _list_objects(name, rows) for item in items]
    inside = profile_columns(items)
    texts = [
        column.name
        for column in inside.values()
        if column.is_prose and has_word(column.name, words.ANSWERS | {"content"})
    ]
    if not texts:
        return False
    proposal.fields["response_text"] = max(texts, key=lambda text: inside[text].length)
    models = [
        column.name
        for column in inside.values()
        if column.content == "text" and has_word(column.name, words.MODELS)
    ]
    if models:
        proposal.fields["response_model"] = models[0]
    numbers = [
        column.name
        for column in inside.values()
        if column.content == "number" and not _is_place(name, column.name, rows)
    ]
    others = [
        c.name
        for c in inside.values()
        if c.content not in ("number", "text") and has_word(c.name, _TAKES_SIDES)
    ]
    scores = [number for number in numbers if has_word(number, words.SCORES | words.RANKS)]
    if len(scores) == 1:
        proposal.fields["response_score"] = scores[0]
        check_score(proposal, scores[0])
    elif scores:
        proposal.problems.append(
            f"`{name}` has the numbers {list_names(scores)}: write `response_score: COLUMN` for the one that says "
            "which answer is better, with `best: high` or `best: low`"
        )
    elif others:
        proposal.problems.append(
            f"{list_names([f'{name}.{other}' for other in others])} may say which answer is better: write "
            f"`response_score: {others[0]}.KEY`, with `best: high` or `best: low`"
        )
    elif numbers:
        proposal.problems.append(
            f"nothing says what the numbers {list_names(numbers)} in `{name}` are: if one of them says which answer is "
            f"better, write `response_score: {numbers[0]}` with `best: high` or `best: low`"
        )
    return True


def check_score(proposal: Proposal, *scores: str) -> None:
    """Take a higher score for the better one, as a score or rating is by its name; a rank has no direction."""
    proposal.says_verdicts = True
    if any(has_word(score, words.RANKS) for score in scores):
        proposal.problems.append(
            f"{list_names(scores)} is a rank by its name, and numbers do not say which end is the best: write "
            "`best: low` where 1 is the best, or `best: high`"
        )
    elif not ask_direction(proposal, *scores):
        proposal.doubts.append(f"the higher {list_names(scores)} is the better one")


def ask_direction(proposal: Proposal, *scores: str) -> bool:
    """Make a problem of scores that count faults by their names, as toxicity does; returns whether they do."""
    if not any(has_word(score, words.FAULTS) for score in scores):
        return False
    proposal.problems.append(
        f"less of {list_names(scores)} seems to be better, by the name: write `best: low` where that is so, or "
        "`best: high`"
    )
    return True


def read_single(proposal: Proposal, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Read the one answer of a row, or a whole conversation, which ends with it."""
    names = words.ANSWERS - {"text", "message", "messages", "conversation"}
    single = _list_single(columns, names)
    asked = any(join_name(name) in words.PROMPTS[:6] for name in columns)
    if not single and asked and any(has_word(name, words.MODELS) for name in columns):
        single = _list_single(
            columns, {"text"}
        )  # of a model, beside what was asked, as FastChat writes answers
    if not single:
        single = _list_single(columns, names, may_be_references=True)
        proposal.doubts += [f"`{c.name}` is an answer, though it is called as right ones are" for c in single]
    if not single:
        single = [c for c in columns.values() if c.content == "messages" and _end_with_answers(c.name, rows)]
        if len(single) == 1:
            proposal.doubts.append(
                f"the last answer in `{single[0].name}` is the response, and what comes before it was asked"
            )
    if len(single) != 1:
        return False
    column = single[0]
    proposal.read("response", column.name)
    if column.values is not None and len(rows) >= _FEW_ROWS * len(column.values):
        listed = ", ".join(repr(value) for value in column.values)
        proposal.problems.append(
            f"`{column.name}` holds only {listed}, as a verdict does and an answer does not: name the column of the "
            f"answers (`response: COLUMN`), or write `response: {column.name}` where these are the answers"
        )
    for other in columns.values():
        if other.name not in proposal.used and (
            (other.content in ("text", "identifier") and has_word(other.name, words.MODELS))
            or names_systems(other)
        ):
            proposal.read("response_model", other.name)
            break
    _read_rating(proposal, columns)
    return True


def _read_rating(proposal: Proposal, columns: Mapping[str, Column]) -> None:
    """Read the one number that rates the one answer of a row."""
    ratings = [
        column.name
        for column in columns.values()
        if column.content == "number"
        and column.name not in proposal.used
        and has_word(column.name, words.SCORES)
    ]
    if len(ratings) == 1:
        proposal.read("response_score", ratings[0])
        check_score(proposal, ratings[0])
        return
    for column in columns.values():
        if (
            column.name in proposal.used
            or column.values is None
            or not has_word(column.name, words.REACTIONS)
        ):
            continue
        scores = {str(value): _score_reaction(value) for value in column.values}
        if None not in scores.values():
            proposal.read("response_score", column.name)
            proposal.fields["scores"] = scores
            proposal.kind = "implicit"
            proposal.says_verdicts = True
            proposal.doubts.append(f"`{column.name}` is how users of an application rated the answer")
            return


def _score_reaction(value: object) -> int | None:
    """Return 1 for a thumb up and 0 for one down, by the word; a flag or number may stand for no reaction at all."""
    plain = _TINTS.sub("", str(value))
    stated = set(split_name(plain)) - {"thumb", "thumbs", "vote", "voted"}
    return next((score for names, score in ((_UP, 1), (_DOWN, 0)) if stated and stated <= names), None)


def _list_single(
    columns: Mapping[str, Column], names: Collection[str], *, may_be_references: bool = False
) -> list[Column]:
    return [
        column
        for column in columns.values()
        if column.is_prose
        and split_name(column.name)[-1] not in _KEYS
        and has_word(column.name, names)
        and words.is_reference(column.name) is may_be_references
        and join_name(column.name) not in words.REFERENCES
    ]


def _end_with_answers(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the conversations of a column end with what an assistant says."""
    last = [value[-1] for row in rows if isinstance(value := row.get(name), list) and value]
    roles = {item.get("role", item.get("from")) for item in last if isinstance(item, Mapping)}
    return bool(roles) and roles <= {"assistant", "gpt", "model", "bot"}


def doubt_rivals(proposal: Proposal, columns: Mapping[str, Column]) -> None:
    """Doubt that the one answer of a row is the right one of several columns of prose."""
    rivals = [
        column.name
        for column in columns.values()
        if column.name not in proposal.used
        and column.is_prose
        and column.words >= 3
        and column.values is None
        and not is_context(column.name)
        and not has_word(column.name, words.RATIONALES)
        and not words.is_reference(column.name)
    ]
    if "response" in proposal.fields and rivals:
        proposal.doubts.append(f"`{proposal.fields['response']}` is the answer, not {list_names(rivals)}")


def names_systems(column: Column) -> bool:
    """Tell whether a column `system` names the system that answered: one word, which no system prompt is."""
    return join_name(column.name) == "system" and (
        column.content == "identifier" or (column.content == "text" and column.words < _ONE_WORD)
    )


def note_json(proposal: Proposal, column: Column) -> None:
    """Let a column be parsed whose cells hold messages as JSON text."""
    if column.content == "json":
        proposal.fields.setdefault("json_columns", []).append(column.name)
