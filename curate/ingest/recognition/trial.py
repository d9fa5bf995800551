"""A trial of one way to read an input: its format and fields, held against sampled rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from curate.config.ingest import Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.ingest.accounting import is_covered, says_something
from curate.ingest.context import ContextScan, check_source, is_context
from curate.ingest.decoders import make_judgments_decoder, make_responses_decoder
from curate.ingest.inputs import Input
from curate.ingest.recognition.content import classify_json
from curate.ingest.recognition.names import MODEL_NAMES, RANKS, SCORES, VERDICTS, has_word
from curate.ingest.recognition.sample import SAMPLE_ROWS, Sample, locate_same, read_sample
from curate.ingest.rejection import Rejection, RowError
from curate.ingest.rows import NativeRow, Row
from curate.ingest.shapes import open_shape
from curate.records import Message

AnyRow = Row | NativeRow

_MARKS = (
    *("<extra_id_0>", "<extra_id_1>", "<|begin_of_text|>", "<|start_header_id|>", "<s>[INST]", "[INST]"),
    *("<bos><start_of_turn>", "<start_of_turn>", "<|system|>", "<|user|>"),
)
"""What chat templates (NeMo, Llama, Mistral, Gemma, Zephyr) begin a rendered prompt with."""

_SPEAKER = re.compile(
    r"^(User|Human|Person [12AB]|Speaker [12AB]|Customer|Patient|Assistant|Bot|Chatbot|AI|Agent|Doctor|System)[ ]?:",
    re.MULTILINE | re.IGNORECASE,
)
"""Lines of conversations that are written as one text."""

MOSTLY = 0.8  # share of the rows that a mapping must read to be the right one without a doubt


@dataclass(frozen=True, slots=True)
class Trial:
    """Outcome of a trial.

    Attributes:
        source: The way to read the input.
        rows: What could be read.
        sound: How many sampled rows that is: a tree holds several.
        rejections: Reasons of those that could not → how many; `total` counts all.
        total: Sampled rows.
        covered: Columns that are read.
        unread: Columns that are not.
        problem: Why the rows must not be read so, in a sentence.
    """

    source: Source
    rows: tuple[AnyRow, ...]
    sound: int
    rejections: Mapping[str, int]
    total: int
    covered: frozenset[str]
    unread: tuple[str, ...]
    problem: str | None = None

    @property
    def share(self) -> float:
        """The share of the sampled rows that can be read."""
        return self.sound / self.total if self.total else 0.0

    @property
    def commonest(self) -> str:
        """The commonest reason why a row cannot be read."""
        return max(self.rejections, key=lambda reason: self.rejections[reason], default="")


def try_source(source: Source, sample: Sample, config: Config) -> Trial:
    """Read sampled rows by the format and fields of a source.

    Raises:
        CurateError: The format needs other columns, or the fields cannot be read together.
    """
    # Where rows are put together or taken out of a document, there are others than those of the sample.
    size = SAMPLE_ROWS if open_shape(source.format).gathers else max(len(sample.read), 1)
    again = read_sample(locate_same(sample.item, source, config), size=size)
    read = make_responses_decoder(source, name=source.name or sample.item.name)
    rows: list[AnyRow] = []
    sound, rejections = 0, Counter[str]()
    for _, raw in again.read:
        try:
            if isinstance(raw, Rejection):
                rejections[raw.reason] += 1
            else:
                result = read(raw)
                rows += result if isinstance(result, list) else [result]
                sound += 1
        except RowError as error:
            rejections[error.reason] += 1
    known = _list_known(source)
    covered = frozenset(name for name in again.columns if is_covered(name, known))
    unread = tuple(name for name in again.columns if name not in covered)
    problem = _find_json_text(rows) or _find_empty_answers(rows)
    if problem is None and rows:
        problem = _find_conflict(source, again)
    return Trial(source, tuple(rows), sound, rejections, len(again.read), covered, unread, problem)


def list_doubts(trial: Trial, sample: Sample) -> list[str]:
    """List what speaks against a named shape: columns that it does not read though they matter."""
    doubts = []
    matters = [name for name in trial.unread if is_context(name) or has_word(name, VERDICTS | SCORES | RANKS)]
    if unread := [name for name in matters if any(says_something(row.get(name)) for row in sample.rows)]:
        doubts.append("nothing reads " + ", ".join(f"`{name}`" for name in unread))
    if trial.share < MOSTLY:
        doubts.append(
            f"{trial.total - trial.sound} of {trial.total} rows cannot be read so: {trial.commonest}".rstrip(
                "."
            )
        )
    doubts += _doubt_people(trial)
    doubts += doubt_marks(trial)
    return doubts


def doubt_marks(trial: Trial) -> Iterator[str]:
    """Doubt that prompts are plain texts which begin with marks of a chat template, or have lines of two speakers."""
    texts = [text for row in trial.rows for text in _list_texts(row.prompt)[:1]]
    spoken = [list(dict.fromkeys(_SPEAKER.findall(text))) for text in texts]
    many = [speakers for speakers in spoken if len(speakers) > 1]
    if len(many) > MOSTLY * len(texts):
        first, second = many[0][:2]
        yield (
            f"prompts have lines of `{first}:` and `{second}:`, which stay in the text of one turn: where several are "
            "meant, write them as messages of `role` and `content`"
        )
    begins = [next((mark for mark in _MARKS if text.lstrip().startswith(mark)), None) for text in texts]
    if begins and begins[0] is not None and None not in begins:
        yield (
            f"every prompt begins with `{begins[0]}`, a mark of a chat template, which stays in the text: where "
            "turns are meant, write them as messages of `role` and `content`"
        )


def _doubt_people(trial: Trial) -> Iterator[str]:
    """Doubt that annotators are people whose names are models'."""
    own = trial.source.name or trial.source.source.rpartition("/")[2]
    people = {verdict.annotator for row in trial.rows for verdict in row.verdicts if verdict.kind == "human"}
    models = sorted(name for name in people - {own} if MODEL_NAMES.search(name))
    if models:
        yield f"{models[0]!r} is no person by its name: `annotator_kind: llm`"


def _list_known(source: Source) -> frozenset[str]:
    if source.format == "native" and source.fields is None:
        return frozenset(NativeRow.__struct_fields__)
    scan = ContextScan.from_source(source)
    return scan.known.union(scan.kept, *open_shape(source.format).columns)


def _find_json_text(rows: list[AnyRow]) -> str | None:
    """Find what was read as text, though it is JSON of messages."""
    texts = {
        "the prompt": [text for row in rows for text in _list_texts(row.prompt)],
        "an answer": [
            text for row in rows for response in row.responses for text in _list_texts(response.answer)
        ],
    }
    for place, contents in texts.items():
        kinds = Counter(map(classify_json, contents))
        if kinds["messages"] + kinds["message"] > 0.05 * len(contents) or kinds["texts"] > MOSTLY * len(
            contents
        ):
            return (
                f"{place} is JSON text and would be taken for what was said: write `json_columns` with the names "
                "of such columns, or write the file anew with lists in their place"
            )
    return None


def _find_empty_answers(rows: list[AnyRow]) -> str | None:
    """Find out that a file has a column for answers, and none in it."""
    responses = [response for row in rows for response in row.responses]
    if (
        len(rows) > 1
        and responses
        and not any(
            response.answer if isinstance(response.answer, str) else response.answer != ()
            for response in responses
        )
    ):
        return "every answer is empty: name the column of the answers"
    return None


def _list_texts(turns: Any) -> list[str]:
    if isinstance(turns, str):
        return [turns]
    return [
        part.text
        for message in turns
        if isinstance(message, Message)
        for part in message.content
        if part.text is not None
    ]


def _find_conflict(source: Source, sample: Sample) -> str | None:
    """Find out, in the sampled rows, why the whole source would be refused."""
    try:
        check_source([replace(sample.limit_input(), source=source, columns=lambda: None)])
    except CurateError as error:
        return str(error).rstrip(".")
    return None


def read_all(item: Input) -> Iterator[str | None]:
    """Read every row of an input; yield None where it is sound, else under what it would be counted."""
    read: Any = (
        make_responses_decoder(item.source, name=item.name)
        if item.source.kind == "responses"
        else make_judgments_decoder(item.source, name=item.name)
    )
    check_source([item])
    for _, raw in item.read():
        if isinstance(raw, Rejection):
            yield raw.kind
            continue
        try:
            read(raw)
            yield None
        except RowError as error:
            yield error.kind
