"""Targets of `curate forget`: the inputs of a source, prompts, or a person, as the lake knows them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.data.pseudonym import KEY_VARIABLE, Pseudonyms
from curate.lake.lake import Lake

_MANY = 8  # names that an error lists


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetTarget:
    """The rows that are to go, by what the lake knows them.

    Attributes:
        kind: What the user named; "replaced" is what remains of an input after `curate ingest --replace`.
        label: How records call it. It names no person.
        parts: The inputs.
        names: Data sets by whose name rows are known that an older `curate` took in.
        prompts: Ids of prompts.
        people: Names and pseudonyms of the person.
        quarantine: Ids of quarantined rows that repeat what is forgotten.
        anonymise: Keep the person's judgments under a name that leads to nobody.
    """

    kind: Literal["source", "prompt", "person", "replaced"]
    label: str
    parts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    quarantine: tuple[str, ...] = ()
    anonymise: bool = False


@contextlib.contextmanager
def select_target(lake: Lake, target: ForgetTarget) -> Iterator[None]:
    """Make the temporary tables of `forget_select.sql` for a target."""
    bound = {
        "target_parts": {"part": target.parts},
        "target_names": {"source": target.names},
        "target_prompts": {"prompt_id": target.prompts},
        "target_people": {"annotator_id": target.people},
        "target_quarantine": {"quarantine_id": target.quarantine},
    }
    with contextlib.ExitStack() as stack:
        for table, columns in bound.items():
            values = {name: pa.array(list(column), pa.string()) for name, column in columns.items()}
            stack.enter_context(lake.bind(table, pa.table(values)))
        lake.rows(read_query("forget_select"))
        yield


def find_source(lake: Lake, name: str) -> ForgetTarget:
    """Find a source by its name, or one of its inputs by its path.

    Raises:
        CurateError: The lake has no such source.
    """
    known = lake.rows(
        "SELECT part, source FROM sources UNION SELECT part, source FROM prompts WHERE part IS NOT NULL "
        "UNION SELECT part, source FROM repeats WHERE source IS NOT NULL UNION SELECT NULL, source FROM prompts "
        "UNION SELECT part, NULL FROM runs WHERE stage = 'ingest'"
    )
    matches = [(part, source) for part, source in known if name in (part, source)]
    if not matches:
        there = sorted({str(source or part) for part, source in known})
        listed = ", ".join(there[:_MANY]) + (", …" if len(there) > _MANY else "")
        raise CurateError(
            f"The lake has no source {name!r}: name one of those that it has ({listed or 'it has none'}), "
            "or an input by its path as `curate status` shows it."
        )
    parts = {part for part, _ in matches if part is not None}
    if name in {source for _, source in matches}:
        names = {name}
        # Runs of an older lake name an input by its path only.
        named = {part for part, source in known if source is not None}
        parts |= {part for part, _ in known if part and part not in named and part.rsplit("/", 1)[-1] == name}
    else:
        names = {source for _, source in matches if source is not None}
    return ForgetTarget(
        kind="source", label=f"source {name}", parts=tuple(sorted(parts)), names=tuple(sorted(names))
    )


def find_prompts(lake: Lake, ids: Sequence[str]) -> ForgetTarget:
    """Find prompts by the lake's ids or by the caller's own.

    Raises:
        CurateError: The lake does not have one of them, or an id of the caller's own stands for several.
    """
    with lake.bind("wanted", pa.table({"name": pa.array(list(ids), pa.string())})):
        rows = lake.rows(
            'SELECT name, prompt_id FROM wanted JOIN prompts ON name = prompt_id OR name = "key" ORDER BY ALL'
        )
    missing = [name for name in ids if name not in {row[0] for row in rows}]
    if missing:
        raise CurateError(
            f'The lake has no prompt {missing[0]!r}: give its id (`curate sql "SELECT prompt_id, key FROM prompts"`) '
            "or your own one."
        )
    for name in ids:
        several = [prompt for given, prompt in rows if given == name]
        if len(several) > 1:
            raise CurateError(
                f"{name!r} is the id of {len(several)} prompts: give the lake's ids of those that are meant "
                f"({', '.join(several[:_MANY])})."
            )
    prompts = tuple(dict.fromkeys(prompt for _, prompt in rows))
    label = "1 prompt" if len(prompts) == 1 else f"{len(prompts)} prompts"
    return ForgetTarget(kind="prompt", label=label, prompts=prompts, quarantine=_find_copies(lake, prompts))


def find_person(lake: Lake, config: Config, name: str, *, anonymise: bool = False) -> ForgetTarget:
    """Find a person by pseudonym, by the name that a file gave, or by the address that the pseudonym stands for.

    Raises:
        CurateError: No judgment of the lake is by that person.
    """
    candidates = [name]
    if KEY_VARIABLE in os.environ or (config.resolve(config.workspace) / "annotators.key").exists():
        candidates.append(Pseudonyms.open(config).of(name))
    people = tuple(
        annotator
        for (annotator,) in lake.rows(
            "SELECT DISTINCT annotator_id FROM judgments WHERE kind IN ('human', 'imported') "
            "AND list_contains(?, annotator_id) ORDER BY ALL",
            [candidates],
        )
    )
    if not people:
        raise CurateError(
            "No judgment of the lake is by that person: give the address or name by which they answered, or their "
            "pseudonym (`curate verify quality` lists them)."
        )
    copies = lake.rows("SELECT quarantine_id FROM quarantine WHERE contains(raw, ?)", [name])
    return ForgetTarget(
        kind="person",
        label="a person",
        people=people,
        quarantine=tuple(identity for (identity,) in copies),
        anonymise=anonymise,
    )


def count_mentions(lake: Lake, name: str) -> int:
    """Count the prompts and responses that hold a person's name in their texts or `meta`: these stay."""
    held = " OR ".join(f"contains({column}, $1)" for column in ("meta", "messages::VARCHAR"))
    return sum(
        int(lake.value(f"SELECT count(*) FROM {table} WHERE {held}", [name]))
        for table in ("prompts", "responses")
    )


def _find_copies(lake: Lake, prompts: Sequence[str]) -> tuple[str, ...]:
    """Find quarantined rows that hold the text of a message of these prompts, as it is or as JSON."""
    with lake.bind("wanted", pa.table({"prompt_id": pa.array(list(prompts), pa.string())})):
        rows = lake.rows(
            """
            WITH texts AS (
                SELECT DISTINCT part."text" AS "text"
                FROM (
                    SELECT unnest(message.content) AS part
                    FROM (SELECT unnest(messages) AS message FROM prompts SEMI JOIN wanted USING (prompt_id))
                )
                WHERE length(part."text") >= 12
            )
            SELECT DISTINCT quarantine_id FROM quarantine
            JOIN texts ON contains(raw, "text") OR contains(raw, trim(to_json("text")::VARCHAR, '"'))
            """
        )
    return tuple(identity for (identity,) in rows)
