"""Commit of prepared chunks: new rows go into the lake together with the counts, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from curate.core.identity import content_id
from curate.ingest.barred import REASON, drop_forgotten_people, drop_forgotten_rows
from curate.ingest.columns import Ids, parse_ids
from curate.ingest.inputs import Input
from curate.ingest.known import KnownIds, LakeIds, Mask
from curate.ingest.prepare import ChunkPlace, PreparedJudgments, PreparedResponses, reject_row
from curate.ingest.ratings import StatedRow
from curate.ingest.references import resolve_references
from curate.ingest.rejection import Rejection, RowError
from curate.ingest.repeats import RepeatedRows
from curate.ingest.rows import JudgmentRow
from curate.ingest.statements import SourceStatement, Statements
from curate.lake.forgotten import ForgottenNames
from curate.lake.lake import Lake
from curate.lake.runs import Counts, StageRun
from curate.lake.writer import Writer
from curate.records import Quarantined, arrow_schema

_NOTHING: Ids = np.empty((0, 2), np.uint64)


class _Batch:
    """The rows of one table in a chunk. Those that seem new are written to a file before the lock is taken."""

    def __init__(self, lake: Lake, table: str, rows: pa.Table, ids: Ids, known: KnownIds, part: str) -> None:
        self._lake = lake
        self._table = table
        self._rows = _name_part(rows, part)
        self._ids = ids
        self._known = known
        self.novel = known.find_new(ids)
        self._file = lake.stage(table, self._select_new())

    def look_again(self) -> None:
        """Look again which rows are new, after another process has written, and correct the file."""
        novel = self._known.find_new(self._ids)
        if not np.array_equal(novel, self.novel):
            self.novel = novel
            if self._file is not None:
                self._file.discard()
            self._file = self._lake.stage(self._table, self._select_new())

    def append(self, writer: Writer) -> None:
        if self._file is not None:
            writer.adopt(self._file)
        else:
            writer.append(self._table, self._select_new())

    def note_repeats(self, writer: Writer, repeated: RepeatedRows, columns: Sequence[str]) -> None:
        """Note the rows that the lake has from another input; `columns`: those that the table `repeats` keeps."""
        name = self._rows.column_names[0]
        repeated.append(writer, self._ids, self.novel, self._rows[name], self._rows.select(list(columns)))

    def _select_new(self) -> pa.Table:
        return _select_rows(self._rows, self.novel)


class Committer:
    """Writer of what is new in each chunk, by the ids that the lake holds."""

    def __init__(
        self, lake: Lake, run: StageRun, pseudonym: Callable[[str], str], forgotten: ForgottenNames
    ) -> None:
        """Start a run.

        Args:
            lake: The lake.
            run: The run that its chunks belong to.
            pseudonym: Returns the name under which the lake knows a person.
            forgotten: Names that may not come in again.
        """
        self._lake = lake
        self._run = run
        self._pseudonym = pseudonym
        self._known = LakeIds(lake)
        self._forgotten = forgotten
        self._repeated: dict[str, RepeatedRows] = {}

    def commit_responses(
        self, chunk: PreparedResponses, input: Input, fingerprint: str, *, refresh: bool
    ) -> int:
        """Commit a chunk of responses; returns the rows that were read."""
        chunk, forgotten = drop_forgotten_rows(chunk, self._forgotten)
        columns, known, part = chunk.columns, self._known, input.part
        batches = [
            _Batch(self._lake, "prompts", columns.prompts, columns.prompt_ids, known.prompts, part),
            _Batch(self._lake, "responses", columns.responses, columns.response_ids, known.responses, part),
        ]
        with self._run.chunk(
            input.part, fingerprint=fingerprint, index=chunk.place.index, status=_chunk_status(chunk.place)
        ) as (writer, counts):
            if known.catch_up():
                for batch in batches:
                    batch.look_again()
            for batch in batches:
                batch.append(writer)
            prompts, responses = batches
            prompts.note_repeats(writer, self._note_repeats(part), ["source", "split", "meta"])
            responses.note_repeats(writer, self._note_repeats(part), ["meta"])
            kept = np.zeros(chunk.rows, bool)
            kept[prompts.novel] = True
            kept[columns.owner[responses.novel]] = True
            judgments = self._append_judgments(writer, chunk.statements, kept, part)
            self._replace_rejections(writer, chunk.rejections, input, chunk.place, refresh=refresh)
            _count_rows(counts, kept, chunk.rejections, input, chunk.place, forgotten)
        known.learn_commit(
            columns.prompt_ids[prompts.novel], columns.response_ids[responses.novel], judgments
        )
        return chunk.rows + len(chunk.rejections) + forgotten

    def commit_judgments(
        self, chunk: PreparedJudgments, input: Input, fingerprint: str, *, refresh: bool
    ) -> int:
        """Commit a chunk of judgments, once their references are resolved; returns the rows that were read."""
        decoded = chunk.decoded
        resolved = resolve_references(self._lake, decoded.rows)
        statements, _ = drop_forgotten_people(
            Statements([item for item in resolved if isinstance(item, SourceStatement)], self._pseudonym),
            self._forgotten,
        )
        unresolved = [
            reject_row(number, raw, item)
            for number, raw, item, row in zip(
                decoded.numbers, decoded.raw, resolved, decoded.rows, strict=True
            )
            if isinstance(item, RowError) and not self._names_forgotten(row)
        ]
        rejections = sorted([*decoded.rejections, *unresolved], key=lambda rejection: rejection.line)
        with self._run.chunk(
            input.part, fingerprint=fingerprint, index=chunk.place.index, status=_chunk_status(chunk.place)
        ) as (writer, counts):
            self._known.catch_up()
            kept = np.zeros(len(decoded.rows), bool)
            judgments = self._append_judgments(writer, statements, kept, input.part)
            self._replace_rejections(writer, rejections, input, chunk.place, refresh=refresh)
            stated = [statement.row for statement in statements.statements]
            forgotten = len(decoded.rows) + len(decoded.rejections) - len(stated) - len(rejections)
            _count_rows(counts, kept[stated], rejections, input, chunk.place, forgotten)
        self._known.learn_commit(_NOTHING, _NOTHING, judgments)
        return len(decoded.rows) + len(decoded.rejections)

    def _note_repeats(self, part: str) -> RepeatedRows:
        if part not in self._repeated:
            self._repeated = {part: RepeatedRows(self._lake, part, self._run.run_id)}
        return self._repeated[part]

    def _names_forgotten(self, row: JudgmentRow | StatedRow) -> bool:
        """Tell whether a judgment is about a forgotten prompt or by a forgotten person: it is not quarantined then."""
        people = {row.annotator, self._pseudonym(row.annotator)} if self._forgotten.digests else set[str]()
        return (
            self._forgotten.has("prompt", row.prompt)
            or self._forgotten.has("key", row.prompt)
            or any(self._forgotten.has("person", name) for name in people)
        )

    def _append_judgments(self, writer: Writer, statements: Statements, kept: Mask, part: str) -> Ids:
        """Append the new statements, mark their rows as kept, and return the ids of the new ones."""
        if not statements.statements:
            return _NOTHING
        samples, ids, novel, supersedes = statements.number_samples(self._lake, self._known.judgments)
        table = statements.build_table(samples, ids, supersedes, self._run.run_id)
        writer.append("judgments", _select_rows(_name_part(table, part), novel))
        self._note_repeats(part).append(writer, parse_ids(ids), novel, ids)
        new = np.flatnonzero(novel)
        kept[[statements.statements[i].row for i in new]] = True
        return parse_ids([ids[i] for i in new])

    def _replace_rejections(
        self,
        writer: Writer,
        rejections: Sequence[Rejection],
        input: Input,
        place: ChunkPlace,
        *,
        refresh: bool,
    ) -> None:
        """Write rejected rows; with `refresh` they replace those that an earlier ingest of the input left."""
        if refresh:
            where, numbers = "source = ? AND line >= ?", [place.start]
            if not place.last:
                where, numbers = where + " AND line <= ?", [place.start, place.end]
            writer.delete("quarantine", where, [input.part, *numbers])
        records = [
            Quarantined(
                quarantine_id=content_id(input.part, rejection.line, rejection.reason, rejection.raw),
                source=input.part,
                line=rejection.line,
                reason=rejection.reason,
                raw=rejection.raw,
                run_id=self._run.run_id,
            )
            for rejection in rejections
        ]
        rows = pa.Table.from_pylist([record.model_dump() for record in records], arrow_schema(Quarantined))
        writer.append("quarantine", rows, unique="quarantine_id")


def _count_rows(
    counts: Counts,
    kept: Mask,
    rejections: Sequence[Rejection],
    input: Input,
    place: ChunkPlace,
    forgotten: int,
) -> None:
    counts.rows_in = len(kept) + len(rejections) + forgotten
    counts.rows_kept = int(kept.sum())
    counts.rows_duplicate = len(kept) - counts.rows_kept
    counts.dropped = dict(Counter(rejection.kind for rejection in rejections))
    if forgotten:
        counts.dropped[REASON] = forgotten
    if place.last:
        counts.details = {"input": input.identity}


def _chunk_status(place: ChunkPlace) -> Literal["chunk", "done"]:
    return "done" if place.last else "chunk"


def _name_part(rows: pa.Table, part: str) -> pa.Table:
    """Return rows with the input that brings them."""
    position = rows.column_names.index("part")
    return rows.set_column(position, "part", pa.repeat(part, rows.num_rows))


def _select_rows(table: pa.Table, mask: Mask) -> pa.Table:
    return table if mask.all() else table.filter(pa.array(mask))
