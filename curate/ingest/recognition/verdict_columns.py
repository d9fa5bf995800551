"""Columns that say which of two answers is better: words, or a number for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.ingest.recognition import names as words
from curate.ingest.recognition.answers import ask_direction
from curate.ingest.recognition.content import Column
from curate.ingest.recognition.names import NamePair, find_pairs, has_word
from curate.ingest.recognition.proposal import Proposal, list_names
from curate.ingest.recognition.winners import WinnerValues, read_winner_values

_ORDERS = frozenset(
    {"order", "shown", "presented", "position", "swap", "swapped", "flipped", "first", "left"}
)


def read_verdict(proposal: Proposal, pair: NamePair, columns: Mapping[str, Column]) -> None:
    """Let the mapping read which side of a pair is better.

    Args:
        proposal: The mapping.
        pair: The columns of the answers.
        columns: Profiles of all columns.
    """
    _read_score_columns(proposal, pair, columns)
    if pair.decided:
        return
    candidates = find_candidates(proposal, pair, columns)
    named = [name for name in candidates if has_word(name, words.VERDICTS)]
    chosen = named if len(named) == 1 else list(candidates)
    if len(candidates) > 1 and (
        _read_judges(proposal, candidates, columns) or _read_criteria(proposal, candidates, columns)
    ):
        return
    if len(chosen) == 1:
        _read_winner(proposal, chosen[0], candidates[chosen[0]], is_named=bool(named))
        others = [name for name in candidates if name != chosen[0]]
        if others:
            proposal.problems.append(
                f"{list_names(others)} look like verdicts beside `{chosen[0]}`: write who says what under "
                f"`verdicts`, or `ignore: [{', '.join(others)}]`"
            )
    elif chosen:
        proposal.problems.append(
            f"several columns look like verdicts ({list_names(chosen)}): write one of them as `winner: COLUMN`, or "
            "who says what under `verdicts`"
        )
    else:
        _explain_unknown_winner(proposal, pair, columns)


def find_candidates(
    proposal: Proposal, pair: NamePair, columns: Mapping[str, Column]
) -> dict[str, WinnerValues]:
    """Find the columns whose few values all name a side, a tie or none; not the order in which answers were shown."""
    candidates = {}
    for column in columns.values():
        if column.name in proposal.used or column.values is None or has_word(column.name, _ORDERS):
            continue
        values = read_winner_values(column.values, pair, column.name)
        if not values.sides & {"a", "b"} or values.unknown:
            continue
        if has_word(column.name, words.WORSE):
            proposal.problems.append(
                f"`{column.name}` names the worse answer by its name: write `winner: {column.name}`, and `winners` "
                "with the other side for each of its values"
            )
            continue
        candidates[column.name] = values
    return candidates


def guess_kind(annotators: Column) -> str | None:
    """Return what a column's annotators are, by its name (`worker`: people) or by theirs (`gpt-4o`: models)."""
    if has_word(annotators.name, words.WORKERS):
        return "human"
    names = annotators.values or ()
    return "llm" if names and all(words.MODEL_NAMES.search(str(name)) for name in names) else None


def _read_winner(proposal: Proposal, name: str, values: WinnerValues, *, is_named: bool) -> None:
    proposal.read("winner", name)
    proposal.says_verdicts = True
    proposal.fields |= map_values(values)
    if values.steps:
        proposal.doubts.append(f"`{name}` says by how much one is better, by its words")
    proposal.doubts += values.doubts
    if not is_named:
        proposal.doubts.append(f"`{name}` is the verdict, by its values")


def map_values(values: WinnerValues) -> dict[str, Any]:
    """Return the keys of a mapping that say what the values mean: a scale of words, and `winners` for all others."""
    keys: dict[str, Any] = {}
    if values.steps:
        most = max(values.steps.values())
        keys |= {"scale": {"a": most, "b": -most}, "scores": values.steps}
    if others := {value: meaning for value, meaning in values.meanings.items() if value not in values.steps}:
        keys["winners"] = others
    return keys


def _read_judges(
    proposal: Proposal, candidates: Mapping[str, WinnerValues], columns: Mapping[str, Column]
) -> bool:
    """Read a column of verdicts for each of several judges; what sums them up is no judge.

    False where a column is not called as judges are: it may be about another criterion.
    """
    sums = [name for name in candidates if has_word(name, words.SUMS)]
    judges = [name for name in candidates if name not in sums]
    models = [name for name in judges if words.MODEL_NAMES.search(name)]
    if len(judges) < 2 or not all(name in models or has_word(name, words.ANNOTATORS) for name in judges):
        return False
    verdicts = []
    for name in judges:
        entry: dict[str, Any] = {"winner": name, "name": name, **map_values(candidates[name])}
        if name in models:
            entry["kind"] = "llm"
        reasons = [f"{name}_{word}" for word in words.RATIONALES if f"{name}_{word}" in columns]
        if reasons:
            entry["rationale"] = reasons[0]
        verdicts.append(entry)
        proposal.used.update([name, *reasons])
    proposal.fields["verdicts"] = verdicts
    proposal.says_verdicts = True
    proposal.doubts.append(f"each of {list_names(judges)} is a judge")
    if sums:
        proposal.doubts.append(f"{list_names(sums)} sums them up")
        proposal.fields["ignore"] = sums
        proposal.used.update(sums)
    return True


def _read_criteria(
    proposal: Proposal, candidates: Mapping[str, WinnerValues], columns: Mapping[str, Column]
) -> bool:
    """Read a verdict on the whole, and beside it one for each criterion: `overall`, `helpfulness`, `safety`."""
    whole = [name for name in candidates if has_word(name, words.WHOLE)]
    others = [name for name in candidates if name not in whole]
    if len(whole) != 1 or any(
        words.MODEL_NAMES.search(name) or has_word(name, words.ANNOTATORS | words.SUMS | words.VERDICTS)
        for name in others
    ):
        return False
    _read_winner(proposal, whole[0], candidates[whole[0]], is_named=True)
    proposal.fields["verdicts"] = [
        {"winner": name, "aspect": name, **map_values(candidates[name])} for name in others
    ]
    proposal.used.update(others)
    proposal.doubts.append(f"`{whole[0]}` is the verdict, and {list_names(others)} are about single criteria")
    return True


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
            ends = _show_ends(column)
            proposal.problems.append(
                f"`{column.name}` holds numbers, and nothing says whether they are ranks, scores or a scale from "
                f"`{pair.a}` to `{pair.b}`: write `winner: {column.name}` with `winners`, or with "
                f"`scale: {{a: {ends[0]}, b: {ends[1]}}}` where {ends[0]} means that `{pair.a}` is better by far, or "
                f"`ignore: [{column.name}]`"
            )
            return


def _show_ends(column: Column) -> tuple[str, str]:
    """Return the least and the greatest number of a column, or letters for them where there are many numbers."""
    numbers = sorted({float(str(value)) for value in column.values or ()})
    return (f"{numbers[0]:g}", f"{numbers[-1]:g}") if numbers else ("LOW", "HIGH")


def _read_score_columns(proposal: Proposal, pair: NamePair, columns: Mapping[str, Column]) -> None:
    """Read a number for either side."""
    scores = [
        other
        for other in find_pairs(columns)
        if other.sides == pair.sides
        and other.a not in proposal.used
        and all(columns[name].content == "number" for name in (other.a, other.b))
        and not set(other.stem) & (words.ANNOTATORS | words.VERDICTS)
    ]
    if not scores:
        return
    if len(scores) > 1 or not set(scores[0].stem) & words.SCORES:
        listed = list_names([name for score in scores for name in (score.a, score.b)])
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
    if not ask_direction(proposal, scores[0].a, scores[0].b):
        proposal.doubts.append(f"the higher of `{scores[0].a}` and `{scores[0].b}` is the better one")
