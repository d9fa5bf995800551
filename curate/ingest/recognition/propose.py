"""A mapping for rows of no known shape, proposed by the names of their columns and by what is in them.

What names and values do not decide is a problem with a sentence of what to write, and never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curate.ingest.context import is_context
from curate.ingest.recognition import names as words
from curate.ingest.recognition.answer_columns import read_columns, read_models, read_object
from curate.ingest.recognition.answers import (
    doubt_rivals,
    find_answers,
    read_list,
    read_pair,
    read_single,
)
from curate.ingest.recognition.best import read_best
from curate.ingest.recognition.content import Column, list_keys
from curate.ingest.recognition.names import has_word, join_name
from curate.ingest.recognition.proposal import Proposal
from curate.ingest.recognition.question import read_context, read_prompt
from curate.ingest.recognition.verdict_columns import guess_kind, read_verdict
from curate.ingest.recognition.vote_lists import read_vote_list
from curate.ingest.recognition.votes import read_ids, read_votes

_TAKES_SIDES = words.VERDICTS | words.SCORES | words.RANKS
_OVERALL = words.WHOLE | {"preference", "all"}  # values of a column of criteria that name none


def propose_mapping(columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> Proposal | None:
    """Propose a mapping, or return None where nothing looks like an answer.

    Args:
        columns: Profiles of the columns by name.
        rows: Sampled rows.
    """
    proposal = Proposal()
    pair = None if read_columns(proposal, columns) else find_answers(columns)
    if pair is not None:
        read_pair(proposal, pair, columns)
    elif not (
        proposal.used
        or read_models(proposal, columns)
        or read_object(proposal, columns, rows)
        or read_list(proposal, columns, rows)
        or read_single(proposal, columns, rows)
    ):
        return None
    read_prompt(proposal, columns, rows)
    read_context(proposal, columns, rows)
    if pair is not None:
        read_verdict(proposal, pair, columns)
        if not pair.decided:
            read_vote_list(proposal, pair, columns, rows)
    read_best(proposal, columns, rows)
    read_ids(proposal, columns, rows)
    _read_annotator(proposal, columns)
    _read_beside(proposal, columns)
    doubt_rivals(proposal, columns)
    _check_leftovers(proposal, columns, rows)
    if rest := [name for name in columns if name not in proposal.used and not is_context(name)]:
        proposal.fields["meta"] = rest
    return proposal


def propose_votes(columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> Proposal | None:
    """Propose a mapping of judgments about responses of another file, or return None where rows are none.

    Args:
        columns: Profiles of the columns by name.
        rows: Sampled rows.
    """
    proposal = Proposal()
    if not read_votes(proposal, columns, rows):
        return None
    _read_annotator(proposal, columns)
    _read_beside(proposal, columns)
    if rest := [name for name in columns if name not in proposal.used]:
        proposal.fields["meta"] = rest
    return proposal


def _read_annotator(proposal: Proposal, columns: Mapping[str, Column]) -> None:
    if not proposal.says_verdicts:
        return
    free = [
        column
        for column in columns.values()
        if column.name not in proposal.used and column.content in ("text", "identifier", "number")
    ]
    named = [
        column
        for column in free
        if has_word(column.name, words.ANNOTATORS | words.WORKERS) and column.words < 3
    ]
    winner = proposal.fields.get("winner")
    if isinstance(winner, str) and has_word(winner, words.PEOPLE):
        proposal.kind = "human"
        proposal.doubts.append(f"`{winner}` is what people said")
    if len(named) != 1:
        return
    proposal.read("annotator", named[0].name)
    kind = guess_kind(named[0])
    if kind == "human" or (kind is not None and proposal.kind is None):
        proposal.kind = kind
        meaning = "people" if kind == "human" else "language models"
        proposal.doubts.append(f"`{named[0].name}` names {meaning}")


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


def _check_leftovers(
    proposal: Proposal, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Make a problem of a column that says something of which answer is better, and that nothing reads."""
    if proposal.problems:
        return
    for column in columns.values():
        if column.name in proposal.used:
            continue
        if column.content in ("object", "objects", "mixed", "json"):
            inside = list_keys([row.get(column.name) for row in rows])
            if telling := [
                key for key in inside if has_word(key, _TAKES_SIDES) or has_word(column.name, _TAKES_SIDES)
            ]:
                proposal.problems.append(
                    f"`{column.name}` holds `{telling[0]}`, which may say which answer is better: write what reads it "
                    f"under `verdicts`, or `ignore: [{column.name}]`"
                )
                return
            continue
        if column.content not in ("number", "numbers", "flag", "text", "identifier"):
            continue
        is_verdict = column.content not in ("text", "identifier") or column.values is not None
        if proposal.says_verdicts and _names_criteria(column):
            first = next(iter(column.values or ()))
            proposal.problems.append(
                f"`{column.name}` names the one criterion that a verdict is about ({first!r}), and such "
                "verdicts are none on the whole: write each under `verdicts` with its `aspect`, and `where: "
                f"{{{column.name}: …}}` if there are several, or `ignore: [{column.name}]`"
            )
            return
        if "winner" in proposal.fields and is_verdict and has_word(column.name, words.SWAPS):
            proposal.problems.append(
                f"`{column.name}` may say that the two were shown in another order, and nothing says whether "
                f"`{proposal.fields['winner']}` speaks of places or of columns: write the mapping, with `verdicts` and "
                f"`where: {{{column.name}: …}}` for places, or `ignore: [{column.name}]` for columns"
            )
            return
        telling_words = (
            _TAKES_SIDES
            | words.REACTIONS
            | (words.CHANCES if "a" in proposal.fields and not proposal.says_verdicts else set())
        )
        if is_verdict and has_word(column.name, telling_words):
            proposal.problems.append(
                f"`{column.name}` may say which answer is better, and nothing says how: write what reads it (`winner`, "
                f"`response_score` with `best: high` or `best: low`, and `scores` where they are words), or "
                f"`ignore: [{column.name}]`"
            )
            return


def _names_criteria(column: Column) -> bool:
    """Tell whether a column says for each row what its verdict is about, as `axis: clarity` does."""
    return (
        column.content in ("text", "identifier")
        and bool(column.values)
        and has_word(column.name, words.CRITERIA)
        and not {str(value).lower() for value in column.values or ()} <= _OVERALL
    )
