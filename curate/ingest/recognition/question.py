"""Columns that hold what was asked: the prompt, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping

from curate.ingest.context import HISTORY, IMAGES, INPUT, SYSTEM, TOOLS
from curate.ingest.recognition import names as words
from curate.ingest.recognition.answers import note_json
from curate.ingest.recognition.content import Column
from curate.ingest.recognition.names import has_word, join_name
from curate.ingest.recognition.proposal import Proposal, list_names


def read_prompt(proposal: Proposal, columns: Mapping[str, Column]) -> None:
    """Let the mapping read what was asked, unless the answers are conversations that begin with it."""
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
    note_json(proposal, prompt)
    if prompt.content in ("transcript", "chatml"):
        proposal.fields["transcript"] = "human-assistant" if prompt.content == "transcript" else "chatml"
    rivals = [column for column in by_name[1:] if not _is_part_of_question(column)]
    if rivals:
        proposal.doubts.append(
            f"`{prompt.name}` is what was asked, not {list_names([column.name for column in rivals])}"
        )


def _is_beside(column: Column) -> bool:
    return has_word(column.name, words.RATIONALES | words.REFERENCES | words.SCORES)


def _is_part_of_question(column: Column) -> bool:
    return _lower(column.name) in SYSTEM | INPUT | HISTORY | TOOLS | IMAGES


def _lower(name: str) -> str:
    return join_name(name).replace(" ", "_")


def read_context(proposal: Proposal, columns: Mapping[str, Column]) -> None:
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
