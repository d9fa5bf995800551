"""Lists of votes in a row: `annotations: [{annotator: 3, label: A}, …]`, each about the two answers of the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curate.ingest.recognition import names as words
from curate.ingest.recognition.content import Column, profile_columns
from curate.ingest.recognition.names import NamePair, has_word, join_name
from curate.ingest.recognition.proposal import Proposal
from curate.ingest.recognition.verdict_columns import find_candidates, guess_kind, map_values


def read_vote_list(
    proposal: Proposal, pair: NamePair, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Let the mapping read a list of votes, where nothing says verdicts yet.

    A list in which several keys may be the verdict, or one names a criterion or the order in which the answers were
    shown, is left alone.

    Args:
        proposal: The mapping.
        pair: The columns of the two answers.
        columns: Profiles of all columns.
        rows: Sampled rows.
    """
    for column in columns.values():
        if (
            proposal.says_verdicts
            or proposal.problems
            or column.content != "objects"
            or column.name in proposal.used
        ):
            continue
        votes = profile_columns(
            [vote for row in rows for vote in row.get(column.name) or () if isinstance(vote, Mapping)]
        )
        candidates = find_candidates(Proposal(), pair, votes)
        if len(candidates) != 1 or any(has_word(name, words.SWAPS | words.CRITERIA) for name in votes):
            continue
        ((winner, values),) = candidates.items()
        entry: dict[str, Any] = {"items": column.name, "winner": winner, **map_values(values)}
        people = [vote for vote in votes.values() if has_word(vote.name, words.ANNOTATORS) and vote.words < 3]
        if len(people) == 1:
            entry["annotator"] = people[0].name
            if kind := guess_kind(people[0]):
                entry["kind"] = kind
        if reasons := [name for name in votes if join_name(name) in words.RATIONALES]:
            entry["rationale"] = reasons[0]
        proposal.fields["verdicts"] = [entry]
        proposal.used.add(column.name)
        proposal.says_verdicts = True
        proposal.doubts += [f"each of `{column.name}` is a vote, by its `{winner}`", *values.doubts]
