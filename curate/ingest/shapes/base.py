"""The contract of shapes: the fields of foreign rows, and how a row is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from curate.config.ingest import Fields, StatedKind
from curate.core.section import Section
from curate.ingest import mapped
from curate.ingest.chunks import ReadRow
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rows import Row
from curate.records import Kind


class Shape:
    """A shape of rows, read by the paths of its fields. Derive from it where paths alone do not say how to read.

    Attributes:
        fields: Where a row keeps what is needed; `fields` of a source in curate.yaml overrides single ones.
        columns: Alternatives of top-level columns, one of which a table must have; empty: as the fields need them.
        reads: Columns that `read_row` reads beside those of `fields`.
        kind: What the annotators are, where no row says so.
        reads_json: Whether `read_row` reads JSON that cells hold as text.
        gathers: Whether a file's rows are put together before they are read (`gather_rows`); they are held in memory.
        version: Number that rises when the shape reads a row otherwise.
        description: What it is, in one sentence.
        example: A row, and what is read of it (`examples.py` says how).
    """

    Options: ClassVar[type[Section]] = Section
    fields: Fields = Fields()
    columns: tuple[frozenset[str], ...] = ()
    reads: frozenset[str] = frozenset()
    kind: Kind = "imported"
    reads_json: bool = False
    gathers: bool = False
    version: int = 1
    description: str = ""
    example: Mapping[str, Any] | None = None

    def __init__(self, options: Section | None = None) -> None:
        self.options = self.Options() if options is None else options

    def gather_rows(self, rows: Iterator[tuple[int, ReadRow]]) -> Iterator[tuple[int, ReadRow]]:
        """Put rows of a file together where one alone says nothing (`gathers`), each with the number of its first."""
        return rows

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a row.

        Args:
            row: Column → value.
            reading: The fields (those of the shape and of the source put together), and who judged.

        Raises:
            curate.ingest.rejection.RowError: The row cannot be used; it goes into quarantine with this reason.
        """
        return mapped.read_mapped(row, reading)

    def read_rows(self, row: ForeignRow, reading: SourceSettings) -> list[Row]:
        """Read a row that may hold several prompts; those of most shapes hold one (`read_row`)."""
        return [self.read_row(row, reading)]


class FileOptions(Fields):
    """A shape that is only data, as a YAML file: the keys of `fields`, and what its tables look like."""

    version: int = Field(1, ge=1, description="Rises when the shape reads a row otherwise.")
    description: str = Field("", description="What it is, in one sentence.")
    example: dict[str, Any] | None = Field(None, description="A row, and what is read of it, for a test.")
    kind: StatedKind = Field("imported", description="What the annotators are, where no row says so.")
    columns: list[str] | list[list[str]] = Field(
        default_factory=list,
        description="Columns that a table must have, or a list of alternatives; default: as the fields need them.",
    )


class FileShape(Shape):
    """The shape that a YAML file stands for."""

    Options = FileOptions

    def __init__(self, options: Section | None = None) -> None:
        super().__init__(options)
        assert isinstance(self.options, FileOptions)  # `open_shape` reads it as such
        own = {"kind", "columns", "version", "description", "example"}
        given = self.options.model_dump(exclude_unset=True, exclude=own)
        self.fields = Fields.model_validate(given)
        self.kind, self.version = self.options.kind, self.options.version
        self.description, self.example = self.options.description, self.options.example
        alternatives = [names for names in self.options.columns if not isinstance(names, str)]
        names = [name for name in self.options.columns if isinstance(name, str)]
        self.columns = tuple(map(frozenset, [*alternatives, *([names] if names else [])]))


class Native(Shape):
    """The native shape under other names of its columns."""

    description = "rows of `curate`'s own format; with `fields`, rows of any shape"
    fields = Fields(
        id="id",
        prompt="prompt",
        responses="responses",
        response_id="id",
        response_text="text",
        tools="tools",
        response_model="model",
        reference="reference",
    )
