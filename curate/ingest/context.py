"""A check of a source's mapping against its rows, before any of them is committed.

Different questions must not become one, and nothing that differs between rows of one prompt may be lost, because a
column is not read: every column is mapped, kept in `meta`, or named under `ignore`. Rows of one prompt may be far
apart, and what is in the lake stays there; so a source with a column that nothing reads is read twice.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any

from curate.config.ingest import Fields, Source
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.data.preference_rows import NO_PROMPT
from curate.ingest import foreign
from curate.ingest.accounting import PathCount, is_covered, leads_into, list_columns, says_something
from curate.ingest.columns import compute_prompt_ids
from curate.ingest.decoders import decode_object, make_responses_decoder, resolve_fields
from curate.ingest.inputs import Input
from curate.ingest.paths import find_list, find_value, parse_json_text
from curate.ingest.rejection import Rejection, RowError
from curate.ingest.rows import NativeRow, Row
from curate.ingest.shapes import open_shape
from curate.ingest.turns import CHATML_MARK, TRANSCRIPT_MARK
from curate.ingest.verdicts import names_people

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
_MOST_NAMES = 10_000  # of columns that are remembered


def check_source(inputs: Sequence[Input]) -> list[str]:
    """Stop a source whose mapping gives no row a prompt, or makes one prompt of rows that differ in unread context.

    `inputs`: those of one source that are to be read.

    Returns the columns that nothing reads, in which rows of one prompt do not differ.

    Raises CurateError with what to write under `fields`.
    """
    source = inputs[0].source
    if source.format == "native" and source.fields is None:
        return []  # a native row has no unknown keys, and its prompt is where it must be
    for item in inputs:
        _check_prompts(item)
        _check_texts(item)
    _check_paths(inputs)
    scan = ContextScan.from_source(source)
    names = frozenset[str]().union(*(_find_unread_names(item, scan) for item in inputs))
    if not names:
        return []
    scan.names = tuple(sorted(names))
    for item in inputs:
        for number, row in _read_objects(item):
            scan.add_row(f"row {number} of {item.part}", row)
    if scan.conflicts:
        raise CurateError(_explain_conflicts(scan.conflicts, source))
    return sorted(names)


@dataclass(slots=True)
class ContextScan:
    """Values of unread columns for each prompt, and the columns in which rows of one prompt differ.

    `responses`: the path of the list of responses; `known`: paths that are read or ignored; `kept`: those that go to
    `meta`; `names`: the unread columns; `only_context`: whether only those count that belong to the question by their
    names (rows of judgments are each about something else); `seen`: of each prompt, digests of its first row's values;
    `conflicts`: column → two rows.
    """

    responses: str | None
    known: frozenset[str]
    kept: frozenset[str]
    prompt: Callable[[Mapping[str, Any]], Sequence[str]]
    names: tuple[str, ...] = ()
    only_context: bool = False
    seen: dict[bytes, tuple[str, bytes]] = field(default_factory=dict)
    conflicts: dict[str, tuple[str, str]] = field(default_factory=dict)
    memory: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def from_source(cls, source: Source) -> ContextScan:
        if source.kind != "responses":
            fields = source.fields or Fields()
            path = fields.prompt or "prompt"
            own = frozenset({"prompt", "a", "b", "winner", "shown", "p_a", "rationale", "annotator", "kind"})
            return cls(
                None,
                _list_known(fields) | own,
                frozenset(fields.meta),
                lambda row: [content_id(foreign.get_key(row, path) or "")],
                only_context=True,
            )
        fields, read = (
            resolve_fields(source),
            make_responses_decoder(source, name=source.name or source.source),
        )
        known = _list_known(fields) | open_shape(source.format).reads
        responses = fields.responses if isinstance(fields.responses, str) else None
        return cls(
            responses,
            known,
            frozenset(fields.meta),
            lambda row: compute_prompt_ids(_list_rows(read(dict(row)))),
        )

    def find_unread(self, row: Mapping[str, Any]) -> dict[str, list[object]]:
        """Find the columns of a row that nothing reads or keeps: each value that they have.

        Of single responses, only what belongs to the question by its name counts: the rest is about the response.
        """
        columns = {name: [value] for name, value in list_columns(row, self._enters) if self._is_unread(name)}
        listed = find_list(row, self.responses)
        responses = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
        for name in {name for response in responses for name in response if is_context(name)}:
            path = f"{self.responses}.{name}"
            if name not in self.known and path not in self.known:
                columns[path] = [response.get(name) for response in responses]
        return {name: values for name, values in columns.items() if any(map(says_something, values))}

    def _enters(self, name: str) -> bool:
        return self._look_up("enter " + name, lambda: leads_into(name, self.known))

    def _is_unread(self, name: str) -> bool:
        return self._look_up(name, lambda: self._find_out(name))

    def _find_out(self, name: str) -> bool:
        if is_covered(name, self.known) or (self.only_context and not is_context(name)):
            return False
        return (is_context(name) and "*" not in self.kept) or not is_covered(name, self.kept)

    def _look_up(self, key: str, find_out: Callable[[], bool]) -> bool:
        if key not in self.memory:
            if len(self.memory) > _MOST_NAMES:  # names that are data
                self.memory.clear()
            self.memory[key] = find_out()
        return self.memory[key]

    def add_row(self, place: str, row: Mapping[str, Any]) -> None:
        try:
            prompts, unread = self.prompt(row), self.find_unread(row)
        except RowError:
            return  # that row goes into quarantine
        digests = []
        for name in self.names:
            values = [_digest_value(value) for value in unread.get(name, [None])]
            if any(value != values[0] for value in values):
                self.conflicts.setdefault(name, (place, place))
            digests.append(values[0])
        for prompt in prompts:
            first, before = self.seen.setdefault(bytes.fromhex(prompt), (place, b"".join(digests)))
            for number, name in enumerate(self.names):
                if before[8 * number : 8 * number + 8] != digests[number]:
                    self.conflicts.setdefault(name, (first, place))


def _list_rows(read: NativeRow | list[Row]) -> list[NativeRow | Row]:
    return [*read] if isinstance(read, list) else [read]


def _list_known(fields: Fields) -> frozenset[str]:
    """List the paths that the mapping reads, and what it ignores."""
    used = Fields.model_construct(**{
        name: getattr(fields, name) for name in type(fields).model_fields if getattr(fields, name) not in (None, [], {})
    })  # fmt: skip
    paths = list(used.list_paths().values())
    entries = [entry for entry in fields.verdicts if entry.items is None]
    conditions = [path for entry in entries for path in (*entry.where, *entry.unless)]
    conditions += list(fields.unless)
    steps = [path.replace("[*]", "").replace("[", ".").replace("]", "") for path in paths]
    return frozenset([*fields.ignore, *paths, *steps, *conditions])


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


def _check_texts(item: Input) -> None:
    """Stop where all texts of a column are JSON, or all prompts hold marks of turns: they are no plain text."""
    if item.source.kind != "responses" or open_shape(item.source.format).reads_json:
        return
    fields = resolve_fields(item.source)
    paths = [
        path
        for path in (fields.prompt, fields.chosen, fields.rejected, fields.a, fields.b, fields.response)
        if path
    ]
    texts: dict[str, list[str]] = {path: [] for path in paths if path not in fields.json_columns}
    for _, row in islice(_read_objects(item), _SAMPLE // 10):
        for path, values in texts.items():
            with contextlib.suppress(RowError):  # that row goes into quarantine
                value = find_value(row, path)
                if isinstance(value, str) and value.strip():
                    values.append(value)
    held = [path for path, values in texts.items() if values and all(map(_is_json_list, values))]
    if held and (fields.prompt in held or len(held) == len(paths)):
        raise CurateError(
            f"{item.part}: the texts at {', '.join(f'`{path}`' for path in held)} are all JSON: "
            f"write `fields: {{json_columns: [{', '.join(held)}]}}` to read what is inside."
        )
    asked = texts.get(fields.prompt or "", [])
    for mark, name in ((CHATML_MARK, "chatml"), (TRANSCRIPT_MARK, "human-assistant")):
        if asked and fields.transcript is None and all(text.startswith(mark) for text in asked):
            raise CurateError(
                f"{item.part}: every text at `{fields.prompt}` begins with the mark of a turn, {mark.strip()!r}: "
                f"write `fields: {{transcript: {name}}}` to read the turns."
            )


def _is_json_list(text: str) -> bool:
    parsed = parse_json_text(text)
    return isinstance(parsed, list) and bool(parsed)


def _check_paths(inputs: Sequence[Input]) -> None:
    """Stop where the mapping names a path that less than 1 % of the rows have: by all rows, if the first have not."""
    source = inputs[0].source
    for item in inputs:
        named = item.columns() or frozenset()
        own = resolve_fields(source) if source.format.endswith((".yaml", ".yml")) else source.fields
        count = PathCount.from_fields(own, named)
        if not count.paths:
            continue
        listed = None if source.kind != "responses" else resolve_fields(source).responses
        rows = _read_objects(item)
        for number, (_, row) in enumerate(rows, 1):
            with contextlib.suppress(RowError):  # that row goes into quarantine
                responses = find_list(row, listed) if isinstance(listed, str) else None
                count.add_row(row, responses if isinstance(responses, list) else ())
            if number % _SAMPLE == 0 and not count.list_missing():
                break
        missing = count.list_missing() if count.rows else []
        if missing:
            raise CurateError(f"{item.part}: {count.explain(missing)}")


def _find_unread_names(item: Input, scan: ContextScan) -> frozenset[str]:
    """Find which columns that nothing reads an input has anywhere."""
    listed = item.columns()
    if listed is not None and all(is_covered(name, scan.known) for name in listed):
        return frozenset()
    names = set[str]()
    for _, row in _read_objects(item):
        with contextlib.suppress(RowError):  # that row goes into quarantine
            names.update(scan.find_unread(row))
    return frozenset(names)


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


def _digest_value(value: object) -> bytes:
    text = repr(value) if says_something(value) else ""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _explain_conflicts(conflicts: Mapping[str, tuple[str, str]], source: Source) -> str:
    name, (first, second) = next(iter(conflicts.items()))
    names = ", ".join(f"`{column}`" for column in sorted(conflicts))
    rows = f"in {first}" if first == second else f"in {first} and {second}"
    remedies = [_suggest_field(column, source) for column in sorted(conflicts)]
    fields = ", ".join(remedy for remedy in remedies if remedy)
    read = f"`fields: {{{fields}}}` to read what can be, or " if fields else ""
    ignored = ", ".join(sorted(conflicts))
    if not any(map(is_context, conflicts)) and source.kind != "judgments":
        read += f"`fields: {{meta: [{ignored}]}}` to keep them with the verdicts, or "
    consequence = (
        "so different questions would become one"
        if any(map(is_context, conflicts))
        else "and nothing says what the difference means"
    )
    return (
        f"{source.source}: {names} would be dropped, but rows or responses of one prompt differ there "
        f"(`{name}` {rows}), {consequence}: "
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
    return f"annotator: {column}" if names_people(column) and own.annotator is None else None
