"""Formats of well-known data sets: for each, its fields, what kind of annotator judged, and how a row is read.

A preset is an entry here, and a file beside this one where paths alone do not say how to read a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from curate.config.ingest import Fields, Format
from curate.ingest import mapped
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.presets import alpaca_eval, hh_rlhf, lmsys_arena, ultrafeedback
from curate.ingest.rows import Row
from curate.records import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is known of a format.

    `columns`: alternatives of top-level columns, one of which a table must have; `reads`: columns that `read` reads
    beside those of `fields`.
    """

    fields: Fields
    columns: tuple[frozenset[str], ...]
    reads: frozenset[str] = frozenset()
    kind: Kind = "imported"
    read: Callable[[ForeignRow, SourceSettings], Row] = mapped.read_mapped


PRESETS: Mapping[Format, Preset] = {
    "trl-preference": Preset(
        fields=Fields(prompt="prompt", system="system", chosen="chosen", rejected="rejected"),
        columns=(frozenset({"chosen", "rejected"}),),
    ),
    "hh-rlhf": Preset(
        fields=Fields(chosen="chosen", rejected="rejected"),
        columns=(frozenset({"chosen", "rejected"}),),
        kind="human",
        read=hh_rlhf.read,
    ),
    "ultrafeedback": Preset(
        fields=ultrafeedback.FIELDS,
        columns=(frozenset({"instruction", "completions"}),),
        kind="llm",
        read=ultrafeedback.read,
    ),
    "lmsys-arena": Preset(
        fields=lmsys_arena.FIELDS,
        columns=lmsys_arena.COLUMNS,
        reads=lmsys_arena.READS,
        kind="human",
        read=lmsys_arena.read,
    ),
    "alpaca-eval": Preset(
        fields=alpaca_eval.FIELDS, columns=alpaca_eval.COLUMNS, kind="llm", read=alpaca_eval.read
    ),
}
