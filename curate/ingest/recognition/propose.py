"""A mapping for rows of no known shape, proposed by the names of their columns and by what is in them.

What names and values do not decide is a problem with a sentence of what to write, and never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.ingest.context import HISTORY, IMAGES, INPUT, SYSTEM, TOOLS, is_context
from curate.ingest.recognition import names as words
from curate.ingest.recognition.content import Column
from curate.ingest.recognition.names import NamePair, find_pairs, has_word, join_name
from curate.ingest.recognition.winners import read_winner_values


@dataclass(slots=True)
class Proposal:
    """A mapping under construction.

    Attributes:
        fields: Keys of `fields`.
        kind: What the annotators are, where a column says so by its name or values.
        says_verdicts: Rows should carry verdicts by this mapping.
        doubts: What is likely, and not certain.
        problems: What has to be written by hand, in sentences.
        used: Columns that the mapping reads.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    kind: str | None = None
    says_verdicts: bool = False
    doubts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def read(self, key: str, column: str) -> None:
        """Let a key read a column."""
        self.fields[key] = column
        self.used.add(column)


def propose_mapping(columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> Proposal | None:
    """Propose a mapping, or return None where nothing looks like an answer.

    Args:
        columns: Profiles of the columns by name.
        rows: Sampled rows.
    """
    proposal = Proposal()
    pair = _find_answers(columns)
    if pair is not None:
        _read_pair(proposal, pair, columns)
    elif not (
        _read_object(proposal, columns, rows)
        or _read_list(proposal, columns, rows)
        or _read_columns(proposal, columns)
        or _read_single(proposal, columns)
    ):
        return None
    _read_prompt(proposal, columns)
    _read_context(proposal, columns)
    if pair is not None:
        _read_verdict(proposal, pair, columns)
    _read_annotator(proposal, columns)
    _read_beside(proposal, columns)
    _check_leftovers(proposal, columns)
    if rest := [name for name in columns if name not in proposal.used and not is_context(name)]:
        proposal.fields["meta"] = rest
    return proposal


_NO_ANSWERS = words.MODELS | words.SCORES | words.RANKS | words.ANNOTATORS | words.RATIONALES | words.VERDICTS
_MOST_MODELS = 50  # that one row has answers of
_TAKES_SIDES = words.SCORES | words.RANKS | words.VERDICTS


# Answers ----------------------------------------------------------------------------------------------------------


def _find_answers(columns: Mapping[str, Column]) -> NamePair | None:
    """Find the two columns that hold answers: sides of one pair, both of prose, called as answers are."""
    pairs = [
        pair
        for pair in find_pairs(columns)
        if all(
            columns[name].is_prose or _may_be_short_answers(columns[name], pair) for name in (pair.a, pair.b)
        )
        and not set(pair.stem)
        & (words.MODELS | words.SCORES | words.RANKS | words.ANNOTATORS | words.RATIONALES)
    ]
    named = [pair for pair in pairs if set(pair.stem) & words.ANSWERS or not pair.stem or pair.decided]
    candidates = named or pairs
    longest = sorted(candidates, key=lambda pair: (-columns[pair.a].length - columns[pair.b].length, pair.a))
    return longest[0] if longest else None


def _may_be_short_answers(column: Column, pair: NamePair) -> bool:
    return column.content in ("number", "flag") and bool(set(pair.stem) & words.ANSWERS) and column.length > 0


def _read_pair(proposal: Proposal, pair: NamePair, columns: Mapping[str, Column]) -> None:
    for key, name in zip(
        ("chosen", "rejected") if pair.decided else ("a", "b"), (pair.a, pair.b), strict=True
    ):
        proposal.read(key, name)
        _note_json(proposal, columns[name])
    if pair.decided:
        proposal.says_verdicts = True
        if pair.sides != ("chosen", "rejected"):
            proposal.doubts.append(f"`{pair.a}` is better than `{pair.b}` by their names")
    for other in find_pairs(columns):
        if other.sides == pair.sides and other.a not in proposal.used and set(other.stem) & words.MODELS:
            proposal.read("model_a", other.a)
            proposal.read("model_b", other.b)
            break


def _read_list(proposal: Proposal, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> bool:
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
    proposal.read("responses", column.name)
    _note_json(proposal, column)
    if column.content == "objects":
        return _read_objects(proposal, column.name, rows)
    for key, stems in (("response_score", words.SCORES | words.RANKS), ("response_model", words.MODELS)):
        beside = [
            other.name
            for other in columns.values()
            if other.content == ("numbers" if key == "response_score" else "texts")
            and other.name not in proposal.used
            and has_word(other.name, stems)
        ]
        if len(beside) == 1:
            proposal.read(key, beside[0])
    _check_score(proposal, proposal.fields.get("response_score"))
    return True


def _read_objects(proposal: Proposal, name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    from curate.ingest.recognition.content import profile_columns

    items = [item for row in rows for item in row.get(name) or () if isinstance(item, Mapping)]
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
    numbers = [column.name for column in inside.values() if column.content == "number"]
    others = [
        c.name
        for c in inside.values()
        if c.content not in ("number", "text") and has_word(c.name, _TAKES_SIDES)
    ]
    scores = [number for number in numbers if has_word(number, words.SCORES | words.RANKS)]
    if len(scores) == 1:
        proposal.fields["response_score"] = scores[0]
        _check_score(proposal, scores[0])
    elif scores:
        proposal.problems.append(
            f"`{name}` has the numbers {_list_names(scores)}: write `response_score: COLUMN` for the one that says "
            "which answer is better, with `best: high` or `best: low`"
        )
    elif others:
        proposal.problems.append(
            f"{_list_names([f'{name}.{other}' for other in others])} may say which answer is better: write "
            f"`response_score: {others[0]}.KEY`, with `best: high` or `best: low`"
        )
    elif numbers:
        proposal.problems.append(
            f"nothing says what the numbers {_list_names(numbers)} in `{name}` are: if one of them says which answer is "
            f"better, write `response_score: {numbers[0]}` with `best: high` or `best: low`"
        )
    return True


def _check_score(proposal: Proposal, score: str | None) -> None:
    """Take a higher score for the better one, as a score or rating is by its name; a rank has no direction."""
    if score is None:
        return
    proposal.says_verdicts = True
    if has_word(score, words.RANKS):
        proposal.problems.append(
            f"`{score}` is a rank by its name, and numbers do not say which end is the best: write `best: low` where 1 "
            "is the best, or `best: high`"
        )
    else:
        proposal.doubts.append(f"the higher `{score}` is the better one")


def _read_columns(proposal: Proposal, columns: Mapping[str, Column]) -> bool:
    """Read answers that have a numbered column each: `answer_1`, `answer_2`, `answer_3`."""
    import re

    groups: dict[str, list[str]] = {}
    for column in columns.values():
        match = re.fullmatch(r"(.*?)[ _.-]?(\d+|[a-e])", column.name, re.IGNORECASE)
        if match and column.is_prose and has_word(match[1], words.ANSWERS):
            groups.setdefault(match[1], []).append(column.name)
    several = [group for group in groups.values() if len(group) > 2]
    if len(several) != 1:
        return False
    proposal.fields["responses"] = several[0]
    proposal.used.update(several[0])
    return True


def _read_object(
    proposal: Proposal, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]
) -> bool:
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


def _read_single(proposal: Proposal, columns: Mapping[str, Column]) -> bool:
    """Read the one answer of a row."""
    single = [
        column
        for column in columns.values()
        if column.is_prose
        and has_word(column.name, words.ANSWERS - {"text", "message", "messages", "conversation"})
        and join_name(column.name) not in words.REFERENCES
    ]
    if len(single) != 1:
        return False
    proposal.read("response", single[0].name)
    for column in columns.values():
        if (
            column.content == "text"
            and has_word(column.name, words.MODELS)
            and column.name not in proposal.used
        ):
            proposal.read("response_model", column.name)
            break
    return True


def _note_json(proposal: Proposal, column: Column) -> None:
    """Let a column be parsed whose cells hold messages as JSON text."""
    if column.content == "json":
        proposal.fields.setdefault("json_columns", []).append(column.name)


# What was asked ---------------------------------------------------------------------------------------------------


def _read_prompt(proposal: Proposal, columns: Mapping[str, Column]) -> None:
    free = [column for column in columns.values() if column.is_prose and column.name not in proposal.used]
    answers = [columns[name] for name in proposal.used if name in columns]
    if proposal.fields.get("chosen") and all(
        column.content in ("messages", "transcript") for column in answers
    ):
        free = [column for column in free if join_name(column.name) == "prompt"]
        if not free:
            return  # conversations begin with their prompt
    by_name = [column for name in words.PROMPTS for column in free if join_name(column.name) == name]
    if not by_name:
        by_name = [
            column for name in words.PROMPTS[:3] for column in free if name in words.split_name(column.name)
        ]
    if not by_name:
        likely = [
            column
            for column in free
            if column.words >= 3 and column.values is None and not _is_beside(column)
        ]
        if len(likely) != 1:
            proposal.problems.append("no column is called as a prompt is: write `prompt: COLUMN`")
            return
        by_name = likely
        proposal.doubts.append(f"`{likely[0].name}` is what was asked, by its texts")
    prompt = by_name[0]
    proposal.read("prompt", prompt.name)
    _note_json(proposal, prompt)
    if prompt.content in ("transcript", "chatml"):
        proposal.fields["transcript"] = "human-assistant" if prompt.content == "transcript" else "chatml"
    rivals = [column for column in by_name[1:] if not _is_part_of_question(column)]
    if rivals:
        proposal.doubts.append(
            f"`{prompt.name}` is what was asked, not {_list_names([column.name for column in rivals])}"
        )


def _is_beside(column: Column) -> bool:
    return has_word(column.name, words.RATIONALES | words.REFERENCES | words.SCORES)


def _is_part_of_question(column: Column) -> bool:
    return _lower(column.name) in SYSTEM | INPUT | HISTORY | TOOLS | IMAGES


def _lower(name: str) -> str:
    return join_name(name).replace(" ", "_")


def _read_context(proposal: Proposal, columns: Mapping[str, Column]) -> None:
    """Read columns that belong to what was asked, by names that say where they go."""
    for key, known in (
        ("system", SYSTEM),
        ("input", INPUT),
        ("history", HISTORY),
        ("tools", TOOLS),
        ("images", IMAGES),
    ):
        free = [name for name in columns if name not in proposal.used and _lower(name) in known]
        if len(free) == 1 and (key != "input" or columns[free[0]].content == "text"):
            proposal.read(key, free[0])
            if key in ("input", "history"):
                proposal.doubts.append(f"`{free[0]}` belongs to what was asked")


# Verdicts ---------------------------------------------------------------------------------------------------------


def _read_verdict(proposal: Proposal, pair: NamePair, columns: Mapping[str, Column]) -> None:
    _read_score_columns(proposal, pair, columns)
    if pair.decided:
        return
    candidates = {}
    for column in columns.values():
        if column.name in proposal.used or column.values is None:
            continue
        values = read_winner_values(column.values, pair, column.name)
        if values.sides & {"a", "b"} and not values.unknown:
            candidates[column.name] = values
    named = [name for name in candidates if has_word(name, words.VERDICTS)]
    chosen = named if len(named) == 1 else list(candidates)
    if len(chosen) == 1:
        proposal.read("winner", chosen[0])
        proposal.says_verdicts = True
        values = candidates[chosen[0]]
        if values.meanings:
            proposal.fields["winners"] = values.meanings
        proposal.doubts += values.doubts
        if not named:
            proposal.doubts.append(f"`{chosen[0]}` is the verdict, by its values")
        others = [name for name in candidates if name != chosen[0]]
        if others:
            proposal.problems.append(
                f"{_list_names(others)} look like verdicts beside `{chosen[0]}`: write who says what under `verdicts`, or "
                f"`ignore: [{', '.join(others)}]`"
            )
    elif chosen:
        proposal.problems.append(
            f"several columns look like verdicts ({_list_names(chosen)}): write one of them as `winner: COLUMN`, or who "
            "says what under `verdicts`"
        )
    else:
        _explain_unknown_winner(proposal, pair, columns)


def _explain_unknown_winner(proposal: Proposal, pair: NamePair, columns: Mapping[str, Column]) -> None:
    """Name the column that is called as verdicts are, with the values whose meaning has to be written."""
    for column in columns.values():
        if column.name in proposal.used or not has_word(
            column.name, words.VERDICTS | {"preference strength"}
        ):
            continue
        if column.values is not None and not (column.content == "number" and len(column.values) > 4):
            listed = ", ".join(repr(value) for value in column.values)
            meanings = ", ".join(f"{str(value)!r}: …" for value in column.values)
            proposal.problems.append(
                f"`{column.name}` holds {listed}, and nothing says which of them means `{pair.a}` or `{pair.b}`: write "
                f"`winner: {column.name}` and `winners: {{{meanings}}}` with a, b or tie in place of …"
            )
            return
        if column.content == "number":
            proposal.problems.append(
                f"`{column.name}` holds numbers, and nothing says whether they are ranks, scores or a scale from `{pair.a}` "
                f"to `{pair.b}`: write `winner: {column.name}` with `winners` or `scale`, or `ignore: [{column.name}]`"
            )
            return


def _read_score_columns(proposal: Proposal, pair: NamePair, columns: Mapping[str, Column]) -> None:
    """Read a number for either side."""
    scores = [
        other
        for other in find_pairs(columns)
        if other.sides == pair.sides
        and other.a not in proposal.used
        and all(columns[name].content == "number" for name in (other.a, other.b))
    ]
    if not scores:
        return
    if len(scores) > 1 or not set(scores[0].stem) & words.SCORES:
        listed = _list_names([name for score in scores for name in (score.a, score.b)])
        keys = ("score_chosen", "score_rejected") if pair.decided else ("score_a", "score_b")
        proposal.problems.append(
            f"nothing says what the numbers {listed} are: where two of them say which answer is better, write "
            f"`{keys[0]}: COLUMN` and `{keys[1]}: COLUMN`, with `best: high` or `best: low`"
        )
        return
    keys = ("score_chosen", "score_rejected") if pair.decided else ("score_a", "score_b")
    for key, name in zip(keys, (scores[0].a, scores[0].b), strict=True):
        proposal.read(key, name)
    proposal.says_verdicts = True
    proposal.doubts.append(f"the higher of `{scores[0].a}` and `{scores[0].b}` is the better one")


# What stands beside -----------------------------------------------------------------------------------------------


def _read_annotator(proposal: Proposal, columns: Mapping[str, Column]) -> None:
    if not proposal.says_verdicts:
        return
    free = [
        column
        for column in columns.values()
        if column.name not in proposal.used and column.content in ("text", "number")
    ]
    named = [
        column
        for column in free
        if has_word(column.name, words.ANNOTATORS | words.WORKERS) and column.words < 3
    ]
    if len(named) != 1:
        return
    proposal.read("annotator", named[0].name)
    if has_word(named[0].name, words.WORKERS):
        proposal.kind = "human"
        proposal.doubts.append(f"`{named[0].name}` names people")


def _read_beside(proposal: Proposal, columns: Mapping[str, Column]) -> None:
    for key, known in (("reference", words.REFERENCES), ("rationale", words.RATIONALES)):
        if key == "rationale" and ("winner" not in proposal.fields and "chosen" not in proposal.fields):
            continue
        free = [
            c.name
            for c in columns.values()
            if c.name not in proposal.used and c.content == "text" and join_name(c.name) in known
        ]
        if len(free) == 1:
            proposal.read(key, free[0])


def _check_leftovers(proposal: Proposal, columns: Mapping[str, Column]) -> None:
    """Make a problem of a column that says something of which answer is better, and that nothing reads."""
    if proposal.problems:
        return
    for column in columns.values():
        if column.name in proposal.used or column.content not in ("number", "numbers", "flag", "text"):
            continue
        is_verdict = column.content != "text" or column.values is not None
        if is_verdict and has_word(column.name, words.VERDICTS | words.SCORES | words.RANKS):
            proposal.problems.append(
                f"`{column.name}` may say which answer is better, and nothing says how: write what reads it (`winner`, "
                f"`response_score` with `best: high` or `best: low`), or `ignore: [{column.name}]`"
            )
            return


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
