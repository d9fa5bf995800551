"""A check that different questions do not become one, because a column that tells them apart is not read.

A source is checked before any of it is committed: rows of one prompt may be far apart, and what is in the
lake stays there. Inputs without a column of such a name (nearly all) are decoded for this, or, where a file lists
its columns, not even that; rows are read twice only where there is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from curate.config.ingest import Fields, Source
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.data.preference_rows import NO_PROMPT
from curate.ingest import foreign
from curate.ingest.columns import compute_prompt_ids
from curate.ingest.decoders import decode_object, make_responses_decoder, resolve_fields
from curate.ingest.inputs import Input
from curate.ingest.rejection import Rejection, RowError
from curate.ingest.shapes import open_shape

SYSTEM = frozenset({"system", "system_prompt", "custom_system_prompt", "system_message"})
INPUT = frozenset(
    {
        "input",
        "inputs",
        "context",
        "contexts",
        "passage",
        "passages",
        "document",
        "documents",
        "article",
        "story",
    }
    | {"instruction", "question", "query", "options", "premise", "hypothesis"}
)
HISTORY = frozenset({"history", "chat_history", "dialogue", "dialog", "previous_turns"})
TOOLS = frozenset({"tools", "functions"})
IMAGES = frozenset({"image", "images"})
UNKEPT = frozenset(
    {"tool_calls", "function_call", "tool_choice", "turn", "video", "videos", "audio", "audios"}
)
CONTEXT = SYSTEM | INPUT | HISTORY | TOOLS | IMAGES | UNKEPT
"""Names of columns that belong to what was asked. `docs/formats.md` lists them."""

_SAMPLE = 1000  # rows from which a mapping is known to be wrong
_NOTHING: tuple[object, ...] = (None, "", [], {})


def check_source(inputs: Sequence[Input]) -> None:
    """Stop a source whose mapping gives no row a prompt, or makes one prompt of rows that differ in unread context.

    `inputs`: those of one source that are to be read.

    Raises CurateError with what to write under `fields`.
    """
    source = inputs[0].source
    if source.format == "native" and source.fields is None:
        return  # a native row has no unknown keys, and its prompt is where it must be
    for item in inputs:
        _check_prompts(item)
    scan = ContextScan.from_source(source)
    names = frozenset[str]().union(*(_find_context_names(item, scan) for item in inputs))
    if not names:
        return
    for item in inputs:
        for number, row in _read_objects(item):
            scan.add_row(f"row {number} of {item.part}", row, names)
    if scan.conflicts:
        raise CurateError(_explain_conflicts(scan.conflicts, source))


@dataclass(slots=True)
class ContextScan:
    """The contexts that have been read of each prompt, and the columns that contradict them.

    `responses`: the path of the list of responses; `known`: columns that are read or ignored; `seen`: of each prompt,
    for each column, what identifies its value and the first row that has it; `conflicts`: column → two rows.
    """

    responses: str | None
    known: frozenset[str]
    prompt: Callable[[Mapping[str, Any]], str]
    seen: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    conflicts: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def from_source(cls, source: Source) -> ContextScan:
        if source.kind != "responses":
            fields = source.fields or Fields()
            path = fields.prompt or "prompt"
            return cls(
                None, _list_read_columns(fields) | {"prompt"}, lambda row: foreign.get_key(row, path) or ""
            )
        fields, read = (
            resolve_fields(source),
            make_responses_decoder(source, name=source.name or source.source),
        )
        known = _list_read_columns(fields) | open_shape(source.format).reads
        return cls(fields.responses, known, lambda row: compute_prompt_ids([read(dict(row))])[0])

    def find_context(self, row: Mapping[str, Any]) -> dict[str, list[object]]:
        """Find the columns of a row that belong to what was asked and are not read: each value that they have."""
        columns = {name: [value] for name, value in row.items() if is_context(name)}
        listed = foreign.find_value(row, self.responses)
        responses = (
            [response for response in listed if isinstance(response, Mapping)]
            if isinstance(listed, list)
            else []
        )
        for name in {name for response in responses for name in response if is_context(name)}:
            path = f"{self.responses}.{name}"
            columns[name if name in self.known else path] = [response.get(name) for response in responses]
        return {
            name: values
            for name, values in columns.items()
            if name not in self.known and any(map(_says_something, values))
        }

    def add_row(self, place: str, row: Mapping[str, Any], names: frozenset[str]) -> None:
        try:
            prompt = self.prompt(row)
        except RowError:
            return  # that row goes into quarantine
        context = self.find_context(row)
        known = self.seen.setdefault(prompt, {})
        for name in names:
            values = {_digest_value(value) for value in context.get(name, [None])}
            digest, first = known.setdefault(name, (next(iter(values)), place))
            if values != {digest}:
                self.conflicts.setdefault(name, (first, place))


def _list_read_columns(fields: Fields) -> frozenset[str]:
    """List columns that the mapping reads or ignores; not what goes to `meta`, where the first row's would stay."""
    paths = [path for path in fields.model_dump(exclude={"best"}).values() if isinstance(path, str)]
    return frozenset([*fields.ignore, *paths, *(path.split(".")[0] for path in paths)])


def is_context(name: str) -> bool:
    """Tell whether a column belongs to the question, by the last part of its name, in any case."""
    return name.rsplit(".", 1)[-1].strip().lower().replace(" ", "_").replace("-", "_") in CONTEXT


def _check_prompts(item: Input) -> None:
    """Stop where none of the first rows has a prompt: that is the mapping's fault, not the rows'."""
    if item.source.kind != "responses":
        return
    read = make_responses_decoder(item.source, name=item.name)
    kinds: Counter[str] = Counter()
    names: set[str] = set()
    for _, row in islice(_read_objects(item), _SAMPLE):
        try:
            read(dict(row))
        except RowError as error:
            kinds[error.kind] += 1
            names.update(row)
        else:
            return
    if kinds[NO_PROMPT] <= kinds.total() / 2:
        return
    fields = resolve_fields(item.source)
    near = [name for name in ("question", "instruction", "query", "input", "context") if name in names]
    hint = f" (perhaps `{near[0]}`)" if near else ""
    raise CurateError(
        f"{item.part}: no row has a `{fields.prompt or 'prompt'}`, and its answers are plain texts, whose common "
        f"beginning is not known to be one: write `fields: {{prompt: COLUMN}}`{hint}, or `format: hh-rlhf` where "
        "both texts are transcripts of Human: and Assistant:."
    )


def _find_context_names(item: Input, scan: ContextScan) -> frozenset[str]:
    """Find which columns of unread context an input has anywhere."""
    listed = item.columns()
    if listed is not None and not any(map(is_context, listed)):
        return frozenset()
    return frozenset(name for _, row in _read_objects(item) for name in scan.find_context(row))


def _read_objects(item: Input) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows that are objects; what is wrong with the others, and with the file, is said when it is read."""
    try:
        for number, raw in item.read():
            if not isinstance(raw, Rejection):
                try:
                    yield number, decode_object(raw)
                except RowError:
                    continue
    except CurateError:
        return


def _says_something(value: object) -> bool:
    return value not in _NOTHING


def _digest_value(value: object) -> str:
    return content_id(repr(value) if _says_something(value) else None)


def _explain_conflicts(conflicts: Mapping[str, tuple[str, str]], source: Source) -> str:
    name, (first, second) = next(iter(conflicts.items()))
    names = ", ".join(f"`{column}`" for column in sorted(conflicts))
    rows = f"in {first}" if first == second else f"in {first} and {second}"
    remedies = [*(_suggest_field(column, source) for column in sorted(conflicts))]
    fields = ", ".join(remedy for remedy in remedies if remedy)
    read = f"`fields: {{{fields}}}` to read what can be, or " if fields else ""
    ignored = ", ".join(sorted(conflicts))
    return (
        f"{source.source}: {names} would be dropped, but rows or responses of one prompt differ there "
        f"(`{name}` {rows}), so different questions would become one: "
        f"write {read}`fields: {{ignore: [{ignored}]}}` where that does not matter."
    )


def _suggest_field(column: str, source: Source) -> str | None:
    """Return the entry of `fields` that reads the column; None where there is none."""
    own = resolve_fields(source)
    if source.kind != "responses" or (own.responses and column.startswith(f"{own.responses}.")):
        return None
    for key, names in (
        ("system", SYSTEM),
        ("input", INPUT),
        ("history", HISTORY),
        ("tools", TOOLS),
        ("images", IMAGES),
    ):
        if column.lower() in names and getattr(own, key) is None:
            return f"{key}: {column}"
    return None
