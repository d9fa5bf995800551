"""Formats written in Python, row by row: the base class of formats of one's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar, Literal

import pyarrow as pa

from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.data.json_columns import build_table
from curate.data.preference_rows import Unusable
from curate.export.formats.base import PLAIN, Batches, ExportFormat, ExportTable, Layout, Transcriber
from curate.export.formats.conversations import (
    read_pair_rows,
    read_pass_fail_rows,
    read_prompt_rows,
    read_ranking_rows,
)
from curate.export.formats.queries import read_chats
from curate.export.hub_features import add_features
from curate.records import Record, arrow_schema

_ROWS_PER_BATCH = 1024
_SELECTIONS = {
    "pairs": ("pairs", "export_select_pairs"),
    "rankings": ("prompts", "export_select_rankings"),
    "judgments": ("judgments", "export_select_judge_sft"),
    "votes": ("votes", "export_select_votes"),
    "prompts": ("prompts", "export_select_prompts"),
    "pass-fail": ("responses", "export_select_pass_fail"),
}


class RowFormat(ExportFormat):
    """A format whose rows are made in Python from one kind of rows, which are dictionaries.

    | `rows` | keys of a row |
    |---|---|
    | pairs | prompt_id, prompt, tools, source, split, reference, chosen, rejected, confidence, strength, margin, \
n_judgments, iteration |
    | rankings | prompt_id, prompt, tools, source, key, responses (in the order of their ids), iteration |
    | judgments | prompt_id, prompt and completion (the judge's chat), messages (the user's prompt), judgment_id, \
annotator_id, response_a, response_b, shown, outcome, rationale, confidence, iteration |
    | votes | those of pairs without confidence, strength and iteration; annotator_id, kind, n_judgments, p_chosen |
    | prompts | prompt_id, prompt, tools, source, split, reference, key |
    | pass-fail | prompt_id, prompt, tools, source, split, reference, category, response (as `chosen`), passes; passed \
and failed (numbers of people) |

    `prompt` and `completion` are lists of {role, content}, with calls and reasoning where there are any
    (`curate.data.conversation.build_dicts`); `tools` is a list of JSON Schemas or None. `chosen`, `rejected` and each
    of `responses` are {response_id, model, text, messages, score, rank} (rank 1 is the best), those of a pair with the
    user's own `key` too. A column of type `dict[str, Any]` is JSON.

    Attributes:
        rows: Which rows the format is made from.
        Row: Columns of the rows that it writes, as a subclass of `curate.records.Record`.
        checks_rows: Hold each row against `Row` while it is written, for a better message.
        layout: What the conversations of this export need, once `list_tables` has been called.
        query: Name of the query of the rows, where it is another one than that of `rows`.
    """

    rows: Literal["pairs", "rankings", "judgments", "votes", "prompts", "pass-fail"] = "pairs"
    Row: ClassVar[type[Record]]
    checks_rows: ClassVar[bool] = True
    query: str | None = None

    def __init__(self, name: str, options: Any = None, *, code: str = "") -> None:
        super().__init__(name, options, code=code)
        if self.rows not in _SELECTIONS or not isinstance(getattr(self, "Row", None), type):
            raise CurateError(
                f"The export format {name!r} needs `rows` (one of {', '.join(_SELECTIONS)}) and `Row`, "
                "a class derived from curate.records.Record with the columns that it writes."
            )
        self.unit, self.selection = _SELECTIONS[self.rows]
        self.needs_transcripts = self.rows == "judgments"
        self.needs_judgments = self.rows in ("votes", "pass-fail")
        self.needs_labels = self.rows not in ("votes", "prompts", "pass-fail")
        if not self.needs_labels:
            self.selection_parameters = ("split",)
        self.about = type(self).about or (type(self).__doc__ or "").strip().split("\n")[0]
        self.layout = PLAIN
        self._dropped: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()

    @property
    def losses(self) -> Mapping[str, int]:
        """Return what written rows leave out → how often; `write_rows` counts it."""
        return self._losses

    @property
    def dropped(self) -> Mapping[str, int]:
        """Return reason → number of rows for which `write_row` raised `Unusable`."""
        return self._dropped

    def write_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row to write, with the columns of `Row`.

        Raises:
            curate.data.preference_rows.Unusable: The row is left out; the message says why, and is counted.
        """
        raise NotImplementedError(f"the export format {self.name!r} has neither write_row nor write_rows")

    def write_rows(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the rows to write, by default one for each row; override it where rows are put together or split."""
        for row in rows:
            try:
                written = self.write_row(row)
            except Unusable as reason:
                self._dropped[str(reason)] += 1
            else:
                yield written

    def list_tables(
        self, transcripts: Transcriber | None = None, *, layout: Layout = PLAIN
    ) -> tuple[ExportTable, ...]:
        """Return the one table of rows."""
        self.layout = layout
        reads: dict[str, tuple[str, Callable[[Batches], Iterable[dict[str, Any]]]]] = {
            "pairs": ("export_pairs", read_pair_rows),
            "votes": ("export_votes", read_pair_rows),
            "prompts": ("export_prompts", read_prompt_rows),
            "pass-fail": ("export_pass_fail", read_pass_fail_rows),
            "rankings": ("export_ranked", read_ranking_rows),
            "judgments": ("export_judge_sft", lambda batches: read_chats(batches, transcripts)),
        }
        name, read = reads[self.rows]
        query = read_query(self.query or name)
        schema = self.choose_schema(layout)

        def convert(batches: Batches) -> Iterator[pa.RecordBatch]:
            written = self.write_rows(iter(read(batches)))
            while rows := list(islice(written, _ROWS_PER_BATCH)):
                yield from self._check_rows(rows, schema).to_batches()

        parameters = ("iteration",) if self.needs_labels else ()
        return (ExportTable("train", query, schema, parameters, convert),)

    def choose_schema(self, layout: Layout) -> pa.Schema:
        """Return the columns: those of `ConversationRow` where conversations are more than texts and the format has it.

        A column `images` is there only where a prompt has an image.
        """
        is_rich = layout.as_messages and self.ConversationRow is not None
        schema = arrow_schema(self.ConversationRow if is_rich and self.ConversationRow else self.Row)
        for name in ("images", "rejected_images"):
            if name in schema.names and not layout.with_images:
                schema = schema.remove(schema.get_field_index(name))
        return add_features(schema) if is_rich else schema

    def _check_rows(self, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> pa.Table:
        if not self.checks_rows:
            return build_table(rows, schema)
        try:
            return build_table([self.Row.model_validate(row).model_dump() for row in rows], schema)
        except (ValueError, TypeError, pa.ArrowException) as error:
            problem = " ".join(str(error).split())
            raise CurateError(
                f"The export format {self.name!r} wrote a row that is no {self.Row.__name__}: {problem}."
            ) from error
