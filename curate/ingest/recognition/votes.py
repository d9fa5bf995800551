"""Files of votes: each row names two responses of another file by their ids, and says which is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curate.ingest.recognition import names as words
from curate.ingest.recognition.content import Column
from curate.ingest.recognition.names import NamePair, find_pairs, has_word, join_name
from curate.ingest.recognition.proposal import Proposal, list_names
from curate.ingest.recognition.verdict_columns import read_verdict

PROMPT_IDS = frozenset(
    f"{what} id" for what in ("prompt", "question", "instruction", "query", "task", "item", "example")
) | {"qid"}
RESPONSE_IDS = frozenset(
    f"{what} id" for what in ("response", "answer", "output", "completion", "generation", "candidate")
)


def read_votes(proposal: Proposal, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Let a mapping of judgments read what was asked, two responses and a verdict; False where rows name no two.

    Args:
        proposal: The mapping.
        columns: Profiles of the columns by name.
        rows: Sampled rows.
    """
    asked = [name for name in columns if join_name(name) in PROMPT_IDS and _names_things(columns[name])]
    pairs = [
        pair
        for pair in find_pairs(columns)
        if set(pair.stem) & (words.ANSWERS | {"id", "ids"}) | set(pair.sides) & words.VERDICTS
        and all(_names_things(columns[name]) for name in (pair.a, pair.b))
    ]
    if len(asked) != 1 or len(pairs) != 1 or any(_is_prose(column) for column in columns.values()):
        return False
    pair = pairs[0]
    proposal.read("prompt", asked[0])
    proposal.read("a", pair.a)
    proposal.read("b", pair.b)
    proposal.doubts.append(f"{list_names([pair.a, pair.b])} name responses of another file by their ids")
    if pair.decided:
        proposal.fields["winner"] = pair.a
        proposal.says_verdicts = True
        proposal.doubts.append(f"`{pair.a}` is better than `{pair.b}` by their names")
    elif (winner := _find_winner(proposal, pair, columns, rows)) is not None:
        proposal.read("winner", winner)
        proposal.says_verdicts = True
    else:
        read_verdict(proposal, pair, columns)
    return True


def _find_winner(
    proposal: Proposal, pair: NamePair, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]
) -> str | None:
    """Find the column of verdicts whose values are the id of one of the two, or words for a tie."""
    for name, column in columns.items():
        if name in proposal.used or not has_word(name, words.VERDICTS) or has_word(name, words.WORSE):
            continue
        cells = [(row[name], {row.get(pair.a), row.get(pair.b)}) for row in rows if row.get(name) is not None]
        by_id = sum(value in ids for value, ids in cells)
        others = {str(value) for value, ids in cells if value not in ids}
        if by_id and others <= {"a", "b", "tie"} and column.content in ("text", "identifier", "number"):
            return name
    return None


def _names_things(column: Column) -> bool:
    """Tell whether the values are keys: single words or numbers."""
    return column.content in ("identifier", "number") or (column.content == "text" and column.words <= 1)


def _is_prose(column: Column) -> bool:
    """Tell whether a column may hold what was asked or answered, and no reasons for a verdict."""
    return (
        column.is_prose
        and column.words >= 3
        and column.values is None
        and not has_word(column.name, words.RATIONALES)
    )


def read_ids(proposal: Proposal, columns: Mapping[str, Column], rows: Sequence[Mapping[str, Any]]) -> None:
    """Let the mapping read ids of prompts and of single responses, by which files of votes name them.

    An id that sampled rows give to several prompts, or one of several that a prompt has, is no id of the prompt.
    """
    for key, known, text in (("id", PROMPT_IDS, "prompt"), ("response_id", RESPONSE_IDS, "response")):
        path = proposal.fields.get(text)
        named = [name for name in columns if join_name(name) in known and name not in proposal.used]
        if path is None or len(named) != 1 or not _names_things(columns[named[0]]):
            continue
        both = {
            (str(row.get(named[0])), repr(row.get(path))) for row in rows if row.get(named[0]) is not None
        }
        ids, texts = {identity for identity, _ in both}, {content for _, content in both}
        if len(ids) == len(both) and (key == "response_id" or len(texts) == len(both)):
            proposal.read(key, named[0])
