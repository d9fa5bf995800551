"""The contract of export formats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import polars as pl
import pyarrow as pa

from curate.core.section import Section
from curate.records import Record

Batches = Iterable[pa.RecordBatch]
FILTERS = ("iteration", "split", "routed", "min_confidence")
"""Parameters of the queries that select pairs, rankings or judgments, in the order of their numbers."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Needs of the conversations of an export.

    Attributes:
        as_messages: A prompt or response is more than {role, content: text} can say, so all are written as messages
            with everything that they have.
        with_images: A prompt holds an image.
    """

    as_messages: bool = False
    with_images: bool = False


PLAIN = Layout()


class Transcriber(Protocol):
    """A maker of chats from judgments: see `curate.pipeline.transcripts`."""

    @property
    def judges(self) -> pl.DataFrame:
        """Return the judges whose chats it can make, as columns annotator_id and revision."""

    def chat(self, row: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Return the prompt and the completion of a judgment."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Columns that another query has by id: what is long is read once, and the database joins and sorts ids alone.

    Attributes:
        query: SQL of the values of the prompts in `selection`: `prompt_id`, and each id once.
        key: Column of `query` with the id.
        columns: Column of the export → the column of the rows with the id, and that of `query` with the value.
    """

    query: str
    key: str
    columns: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class ExportTable:
    """One table of an export.

    Attributes:
        name: Name of its files.
        query: SQL of its rows, in the order in which they are written.
        schema: Columns of the files.
        parameters: Parameters that `query` takes, in the order of their numbers.
        convert: Makes the query's rows into rows of `schema`, where SQL does not do that.
        lookups: Further columns of the query's rows.
    """

    name: str
    query: str
    schema: pa.Schema
    parameters: tuple[str, ...] = ()
    convert: Callable[[Batches], Iterator[pa.RecordBatch]] = iter
    lookups: tuple[Lookup, ...] = ()


class ExportFormat(ABC):
    """An export format. One whose rows are made in Python is a `RowFormat`.

    Attributes:
        Options: What curate.yaml can set, as `format: {kind: NAME, OPTION: VALUE}`.
        Row: Columns of the rows, where the format has one table of rows of its own.
        ConversationRow: Columns where conversations are more than texts; None: the format has one layout.
        reads_layout: The format itself looks at what conversations need.
        title: Title of the dataset card.
        about: Sentence of the dataset card about what a row is.
        unit: Name of what is selected, in the plural.
        selection: Name of the query that fills the temporary table `selection` (reason null: exported).
        selection_parameters: Parameters of that query, in the order of their numbers.
        selection_values: Values of those that no setting of the export gives.
        needs_labels: There is nothing to write before `aggregate` has run.
        needs_transcripts: Rows are judgments with the judge's chat, so new judgments make an export out of date.
        needs_judgments: Rows hold single judgments, so new ones make an export out of date too.
        reads_tables: Further tables that rows are made from: table → SQL of what a change shows in.
    """

    Options: ClassVar[type[Section]] = Section
    Row: ClassVar[type[Record] | None] = None
    ConversationRow: ClassVar[type[Record] | None] = None
    reads_layout: ClassVar[bool] = False
    reads_tables: ClassVar[Mapping[str, str]] = {}
    title: str = "Preference data"
    about: str = ""
    unit: str
    selection: str
    selection_parameters: tuple[str, ...] = FILTERS
    selection_values: Mapping[str, object] = MappingProxyType({})
    needs_labels: bool = True
    needs_transcripts: bool = False
    needs_judgments: bool = False

    def __init__(self, name: str, options: Any = None, *, code: str = "") -> None:
        """Open the format; `code` identifies the source of a user's own format."""
        self.name = name
        self.options: Any = self.Options() if options is None else options
        self.code = code

    @property
    def is_split(self) -> bool:
        """Tell whether the export is one training split; else it is several tables."""
        return True

    @property
    def dropped(self) -> Mapping[str, int]:
        """Return reason → number of selected rows that the format itself left out while it wrote."""
        return {}

    @property
    def losses(self) -> Mapping[str, int]:
        """Return what rows that were written do not say, though the lake does: what → how often."""
        return {}

    def write_files(self, folder: Path, parts: Mapping[str, Sequence[Path]]) -> Sequence[Path]:
        """Write the files that the consumer wants beside the tables, and return their paths.

        Args:
            folder: The folder of the export, with its tables.
            parts: Name of a table → its Parquet files, in order.
        """
        return ()

    @abstractmethod
    def list_tables(
        self, transcripts: Transcriber | None = None, *, layout: Layout = PLAIN
    ) -> tuple[ExportTable, ...]:
        """Return the tables to write.

        Args:
            transcripts: The judges' chats, for formats that need them.
            layout: What the selected conversations need.
        """
