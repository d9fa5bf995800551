"""Columns that hold what was asked: the prompt, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curate.ingest.context import HISTORY, IMAGES, INPUT, SYSTEM, TOOLS
from curate.ingest.recognition import names as words
from curate.ingest.recognition.answers import names_systems, note_json
from curate.ingest.recognition.content import Column
from curate.ingest.recognition.names import has_word, join_name
from curate.ingest.recognition.proposal import Proposal, list_names

Rows = Sequence[Mapping[str, Any]]
_USERS = frozenset({"user", "human", "system", "developer", "prompter"})
_NOTHING = frozenset({"n/a", "na", "none", "null", "nan", "-"})  # in place of a prompt
_QUOTED = 40  # first characters of an answer, by which a prompt that quotes it is known


def read_prompt(proposal: Proposal, columns: Mapping[str, Column], rows: Rows) -> None:
    """Let the mapping read what was asked, unless the answers are conversations that begin with it.

    Args:
        proposal: The mapping.
        columns: Profiles of all columns.
        rows: Sampled rows.
    """
    free = [
        column
        for column in columns.values()
        if column.is_prose and column.name not in proposal.used and not _holds_nothing(column)
    ]
    answers = [columns[name] for name in proposal.used if name in columns]
    if (proposal.fields.get("chosen") or proposal.fields.get("response")) and all(
        column.content in ("messages", "transcript") and _begins_with_question(column, rows)
        for column in answers
    ):
        free = [column for column in free if join_name(column.name) == "prompt"]
        if not free:
            return  # conversations begin with their prompt
    by_name = [column for name in words.PROMPTS for column in free if join_name(column.name) == name]
    if not by_name:
        by_name = [
            column for name in words.PROMPTS[:3] for column in free if name in words.split_name(column.name)
        ]
    quoting = [column for column in by_name if _quotes_answers(column, answers, by_name, rows)]
    by_name = [column for column in by_name if column not in quoting]
    if quoting:
        proposal.doubts.append(f"{list_names([c.name for c in quoting])} is what a judge was asked")
    if not by_name:
        likely = [
            column
            for column in free
            if column.words >= 3
            and column.values is None
            and not _is_beside(column)
            and column not in quoting
        ]
        if len(likely) != 1:
            proposal.problems.append("no column is called as a prompt is: write `prompt: COLUMN`")
            return
        by_name = likely
        proposal.doubts.append(f"`{likely[0].name}` is what was asked, by its texts")
    prompt = by_name[0]
    proposal.read("prompt", prompt.name)
    note_json(proposal, prompt)
    if prompt.content in ("transcript", "chatml"):
        proposal.fields["transcript"] = "human-assistant" if prompt.content == "transcript" else "chatml"
    rivals = [column for column in by_name[1:] if not _is_part_of_question(column)]
    if rivals:
        proposal.doubts.append(
            f"`{prompt.name}` is what was asked, not {list_names([column.name for column in rivals])}"
        )


def _holds_nothing(column: Column) -> bool:
    return column.values is not None and {str(value).strip().lower() for value in column.values} <= _NOTHING


def _begins_with_question(column: Column, rows: Rows) -> bool:
    """Tell whether conversations begin with what was asked; where they begin with the answer, it stands elsewhere."""
    if column.content == "transcript":
        return True
    first = [value[0] for row in rows if isinstance(value := row.get(column.name), list) and value]
    return any(isinstance(item, Mapping) and item.get("role", item.get("from")) in _USERS for item in first)


def _quotes_answers(column: Column, answers: Sequence[Column], others: Sequence[Column], rows: Rows) -> bool:
    """Tell whether a column quotes the answers, as the question to a judge does.

    One answer alone may be a part of what was asked; it must begin a line, and another column's question be there too.
    """
    quoted = whole = 0
    for row in rows:
        text = row.get(column.name)
        begins = [
            answer.strip()[:_QUOTED]
            for answer in _list_texts(row, [answer.name for answer in answers])
            if len(answer.strip()) >= _QUOTED
        ]
        if not isinstance(text, str) or not begins:
            continue
        whole += 1
        if len(begins) > 1:
            quoted += all(answer in text for answer in begins)
            continue
        asked = _list_texts(row, [other.name for other in others if other is not column])
        quoted += f"\n{begins[0]}" in text and any(
            question.strip() and question.strip() in text for question in asked
        )
    return quoted > whole / 2


def _list_texts(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    values = [row.get(name) for name in names]
    listed = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [item for item in listed if isinstance(item, str)]


def _is_beside(column: Column) -> bool:
    return has_word(column.name, words.RATIONALES | words.REFERENCES | words.SCORES)


def _is_part_of_question(column: Column) -> bool:
    return _lower(column.name) in SYSTEM | INPUT | HISTORY | TOOLS | IMAGES


def _lower(name: str) -> str:
    return join_name(name).replace(" ", "_")


def read_context(proposal: Proposal, columns: Mapping[str, Column], rows: Rows) -> None:
    """Read columns that belong to what was asked, by names that say where they go."""
    for key, known in (
        ("system", SYSTEM),
        ("input", INPUT),
        ("history", HISTORY),
        ("tools", TOOLS),
        ("images", IMAGES),
    ):
        free = [name for name in columns if name not in proposal.used and _lower(name) in known]
        if key == "system" and len(free) == 1 and names_systems(columns[free[0]]):
            proposal.problems.append(
                f"`{free[0]}` holds single words, as names of models are and system prompts are not: write "
                f"`response_model: {free[0]}`, `system: {free[0]}` or `ignore: [{free[0]}]`"
            )
            continue
        if len(free) == 1 and key == "input" and _is_in_prompt(free[0], proposal, rows):
            continue
        if len(free) == 1 and (key != "input" or columns[free[0]].content == "text"):
            proposal.read(key, free[0])
            if key in ("input", "history"):
                proposal.doubts.append(f"`{free[0]}` belongs to what was asked")


def _is_in_prompt(name: str, proposal: Proposal, rows: Rows) -> bool:
    """Tell whether the prompt holds a column's text already: it would be asked twice."""
    prompts = [(row.get(proposal.fields.get("prompt", "")), row.get(name)) for row in rows]
    both = [
        (prompt, part)
        for prompt, part in prompts
        if isinstance(prompt, str) and isinstance(part, str) and part
    ]
    return bool(both) and all(part.strip() in prompt for prompt, part in both)
