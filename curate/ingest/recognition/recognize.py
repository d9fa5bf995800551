"""Recognition of one input: a named shape, or a mapping by its columns; and how sure that is.

A named shape is certain where a table has its columns, nearly all sampled rows can be read so, and no column is left
over that says what was asked or which answer is better. Everything else is proposed. Where several shapes fit and read
the rows differently, or a name and its values do not decide what they mean, nothing is chosen.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from curate.config.ingest import Fields, Source
from curate.config.project import Config
from curate.config.validation import explain_errors
from curate.core.errors import CurateError
from curate.data.native import JudgmentsRow, ResponsesRow
from curate.data.native_ratings import RankingsRow, RatingsRow
from curate.ingest.context import is_context
from curate.ingest.decoders import make_judgments_decoder
from curate.ingest.inputs import Input
from curate.ingest.lines import holds_rows
from curate.ingest.native import make_native_responses_decoder
from curate.ingest.recognition.content import Column, profile_columns
from curate.ingest.recognition.proposal import Proposal, list_names
from curate.ingest.recognition.propose import propose_mapping, propose_votes
from curate.ingest.recognition.sample import Sample, read_sample
from curate.ingest.recognition.trial import Trial, doubt_marks, list_doubts, try_source
from curate.ingest.rejection import Rejection, RowError
from curate.ingest.shapes import SHAPES, open_shape

GENERAL = frozenset({"native", "trl-preference"})
"""Shapes that many data sets have; a named data set that reads the same rows goes before them."""

Statement = Literal["judgments", "ratings", "rankings"]
_STATEMENTS: dict[Statement, tuple[type[BaseModel], set[str]]] = {
    "judgments": (JudgmentsRow, {"prompt", "a", "b", "annotator", "winner"}),
    "ratings": (RatingsRow, {"prompt", "response", "annotator", "score"}),
    "rankings": (RankingsRow, {"prompt", "annotator", "ranking"}),
}
"""Native rows about responses that are in the lake, with the columns that tell them apart."""

_ANSWER_KEY = re.compile(r"(answer|response|completion|output)_?[\w]{0,2}_?id$", re.IGNORECASE)
_MOST_COLUMNS = 2_000  # each is looked at several times
_MOST_LISTED = 40
_FEWEST = 0.5  # share of the rows that a mapping must read to be proposed


@dataclass(frozen=True, slots=True)
class Recognition:
    """Result of recognition.

    Attributes:
        item: The input.
        source: The source as it would stand in `curate.yaml`; None where nothing can be proposed.
        certainty: `certain`; `likely`, with `doubts`; or `refused`, with `problems`.
        trial: What the rows are by this reading; None for statements about responses in the lake, and where nothing can
            be read.
        doubts: What is assumed.
        problems: What has to be written by hand, in sentences.
        sample: The rows that were looked at.
    """

    item: Input
    source: Source | None
    certainty: Literal["certain", "likely", "refused"]
    sample: Sample
    trial: Trial | None = None
    doubts: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())


def recognize_input(item: Input, source: Source, config: Config) -> Recognition:
    """Say what an input is.

    Args:
        item: The input, located without a format (`locate_without_format`).
        source: What the user said of it; a format or fields that are set are kept.
        config: The project's settings.

    Raises:
        CurateError: Nothing can be read.
    """
    sample = read_sample(item)
    if not sample.rows:
        reason = max(sample.broken, key=lambda text: sample.broken[text], default="it has no rows")
        problem = f"no row can be read: {reason.rstrip('.')}"
        if any(isinstance(raw, bytes) and raw.strip() == b"{" for _, raw in sample.read[:1]):
            problem = "its objects stand on several lines each: write one a line, with `jq -c .`"
        return Recognition(item, None, "refused", sample, problems=(problem,))
    if source.fields is not None or source.format != "auto":
        return _try_stated_source(source, sample, config)
    if len(sample.columns) > _MOST_COLUMNS:
        problem = (
            f"it has {len(sample.columns):,} columns, and only files of up to {_MOST_COLUMNS:,} are recognised: write "
            "`fields` (see docs/formats.md)"
        )
        return Recognition(item, None, "refused", sample, problems=(problem,))
    if (inside := _find_rows_inside(sample)) is not None:
        return Recognition(item, None, "refused", sample, problems=(inside,))
    native = _recognize_native(source, sample, config)
    if native is not None:
        return native
    named = _recognize_shape(source, sample, config)
    if named is not None and named.certainty == "certain":
        return named
    columns = profile_columns(sample.rows)
    if named is None and (votes := _recognize_votes(source, sample, columns)) is not None:
        return votes
    proposed = _recognize_columns(_start_with_shape(source, named), sample, columns, config)
    return _choose_reading(named, proposed, sample)


def _choose_reading(named: Recognition | None, proposed: Recognition | None, sample: Sample) -> Recognition:
    """Choose between a shape with doubts and a mapping by the columns: the one that leaves fewer columns unread."""
    if named is None or proposed is None:
        last = named or proposed
        if last is not None:
            return last
        names = sample.columns
        listed = list_names(names[:_MOST_LISTED]) + (" …" if len(names) > _MOST_LISTED else "")
        problem = (
            f"nothing among the columns {listed} looks like answers: write `fields` (see docs/formats.md)"
        )
        if {"question_id", "model_id"} <= set(sample.columns) and {"choices", "text"} & set(sample.columns):
            problem = (
                "these are answers by FastChat's columns, whose questions are in another file: `join` brings "
                '`question.jsonl` by `question_id` (docs/formats.md, "Two files", has the entry)'
            )
        elif (inside := _find_list_of_rows(sample)) is not None:
            problem = (
                f"it is one object, with rows in its `{inside}`: write them anew, with `jq '.[\"{inside}\"]'`"
            )
        elif keys := [name for name in sample.columns if _ANSWER_KEY.search(name)]:
            problem += f"; `{keys[0]}` may name answers of another file, which `join` brings"
        return Recognition(sample.item, None, "refused", sample, problems=(problem,))
    if named.certainty == "refused" and named.trial is not None and not named.trial.rows:
        return proposed  # by its columns alone it is that shape, and not by one row
    if named.certainty == "refused" or proposed.certainty == "refused":
        return proposed if named.certainty == "refused" and proposed.certainty == "likely" else named
    assert named.trial is not None  # only what is refused has none
    assert proposed.trial is not None
    return proposed if len(proposed.trial.unread) < len(named.trial.unread) else named


def _try_stated_source(source: Source, sample: Sample, config: Config) -> Recognition:
    """Try what the user wrote."""
    trial = try_source(source, sample, config)
    problems = [trial.problem] if trial.problem else []
    if not trial.rows:
        problems.append(f"no row can be read so: {trial.commonest}")
    certainty: Literal["certain", "refused"] = "refused" if problems else "certain"
    return Recognition(sample.item, source, certainty, sample, trial, problems=tuple(problems))


def _find_rows_inside(sample: Sample) -> str | None:
    """Find out that a file is one object whose values are the rows."""
    values = list(sample.rows[0].values())
    if (
        len(sample.rows) == 1
        and len(values) > 1
        and all(isinstance(value, dict) and len(value) > 1 for value in values)
        and holds_rows(sample.rows[0])
    ):
        return (
            "the file is one object whose values are the rows: write it anew as an array, with `jq '[.[]]'`"
        )
    return None


def _find_list_of_rows(sample: Sample) -> str | None:
    """Find the one list of objects in a file that is one object."""
    if len(sample.rows) != 1 or not sample.complete:
        return None
    lists = [
        name
        for name, value in sample.rows[0].items()
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value)
    ]
    return lists[0] if len(lists) == 1 else None


# Native rows ------------------------------------------------------------------------------------------------------


def is_native(sample: Sample) -> bool:
    """Tell whether a row of the sample is a native row of responses."""
    read = make_native_responses_decoder()
    for _, raw in sample.read:
        if not isinstance(raw, Rejection):
            try:
                read(raw)
            except RowError:
                continue
            return True
    return False


def _recognize_native(source: Source, sample: Sample, config: Config) -> Recognition | None:
    columns = set(sample.columns)
    for kind, (model, needed) in _STATEMENTS.items():
        if needed <= columns <= set(model.model_fields):
            return _recognize_statements(source, sample, kind)
    needed = {name for name, info in ResponsesRow.model_fields.items() if info.is_required()}
    if not (needed <= columns and is_native(sample)):
        return None
    native = source.model_copy(update={"format": "native"})
    if not columns <= set(ResponsesRow.model_fields):
        return None  # a table with more columns is refused, and rows with other keys are
    return Recognition(sample.item, native, "certain", sample, try_source(native, sample, config))


def _recognize_statements(source: Source, sample: Sample, kind: Statement) -> Recognition:
    stated = source.model_copy(update={"format": "native", "kind": kind})
    sound, reason = _count_sound(stated, sample)
    if sound:
        return Recognition(sample.item, stated, "certain", sample)
    if "kind" not in sample.columns and source.annotator_kind is None:
        problem = f"{kind} without a `kind`: write `kind: {kind}` and `annotator_kind: human` (or llm, …)"
        return Recognition(sample.item, stated, "refused", sample, problems=(problem,))
    return Recognition(
        sample.item,
        stated,
        "refused",
        sample,
        problems=(f"none of the {kind} can be read: {reason.rstrip('.')}",),
    )


def _count_sound(source: Source, sample: Sample) -> tuple[int, str]:
    """Return how many sampled rows can be read as statements, and why the last of the others cannot."""
    read = make_judgments_decoder(source, name=sample.item.name)
    reason, sound = "", 0
    for _, raw in sample.read:
        if not isinstance(raw, Rejection):
            try:
                read(raw)
                sound += 1
            except RowError as error:
                reason = error.reason
    return sound, reason


# Named shapes -----------------------------------------------------------------------------------------------------


def _recognize_shape(source: Source, sample: Sample, config: Config) -> Recognition | None:
    trials = _try_shapes(source, sample, config)
    if not trials:
        return None
    first = trials[0]
    if first.share < _FEWEST:
        shape = f"its columns are those of `{first.source.format}`"
        problem = f"{shape}, but most rows cannot be read so: {first.commonest}"
        return Recognition(
            sample.item, first.source, "refused", sample, first, problems=(problem.rstrip("."),)
        )
    name = first.source.format
    rivals = [
        trial.source.format
        for trial in trials[1:]
        if _rank_trial(trial)[:3] == _rank_trial(first)[:3] and trial.rows != first.rows
    ]
    if rivals:
        listed = " or ".join(f"`format: {other}`" for other in [name, *rivals])
        problem = f"the rows fit several shapes, which read them differently: write {listed}"
        return Recognition(sample.item, first.source, "refused", sample, first, problems=(problem,))
    if first.problem is not None:
        return Recognition(sample.item, first.source, "refused", sample, first, problems=(first.problem,))
    doubts = tuple(list_doubts(first, sample))
    return Recognition(sample.item, first.source, "likely" if doubts else "certain", sample, first, doubts)


def _try_shapes(source: Source, sample: Sample, config: Config) -> list[Trial]:
    """Try every shape whose columns are there; the best reading first."""
    columns = set(sample.columns)
    trials = []
    for name in SHAPES.names:
        trial_source = source.model_copy(update={"format": name})
        alternatives = open_shape(name).columns
        if name == "native" or not any(alternative <= columns for alternative in alternatives):
            continue
        with contextlib.suppress(CurateError):
            trial = try_source(trial_source, sample, config)
            trials.append(_keep_unread(trial, sample, config))
    return sorted(trials, key=_rank_trial, reverse=True)


def _keep_unread(trial: Trial, sample: Sample, config: Config) -> Trial:
    """Return the trial with columns that the shape does not read kept in `meta`, where they are not about the question.

    A pandas index is ignored. `unread` still lists all of them.
    """
    index = [name for name in trial.unread if name == "" or re.fullmatch(r"Unnamed: \d+", name)]
    rest = [name for name in trial.unread if name not in index and not is_context(name)]
    if trial.share < _FEWEST or not (index or rest):
        return trial
    added: dict[str, list[str]] = {"meta": rest} if rest else {}
    if index:
        added["ignore"] = index
    own = trial.source.fields.model_dump(exclude_unset=True) if trial.source.fields else {}
    source = trial.source.model_copy(update={"fields": Fields.model_validate({**added, **own})})
    unread = tuple(name for name in trial.unread if name not in index)
    return replace(try_source(source, sample, config), unread=unread, covered=trial.covered)


def _rank_trial(trial: Trial) -> tuple[Any, ...]:
    """Rank a reading: most rows at all, then the columns that it reads, then named data sets before general shapes."""
    name, fits = trial.source.format, trial.share >= _FEWEST
    return fits, len(trial.covered), (name in GENERAL) is not fits, round(trial.share, 1), name


# Any other columns ------------------------------------------------------------------------------------------------


def _start_with_shape(source: Source, named: Recognition | None) -> Source:
    """Return the source with its shape where that says who judged and what is bookkeeping, but not the answers."""
    if named is None or named.source is None or named.trial is None or named.trial.rows:
        return source
    fields = open_shape(named.source.format).fields
    says_answers = {"prompt", "chosen", "a", "response", "responses"} & fields.model_fields_set
    return named.source if fields.annotator is not None and not says_answers else source


def _recognize_votes(source: Source, sample: Sample, columns: Mapping[str, Column]) -> Recognition | None:
    """Recognise judgments about responses that another file holds."""
    proposal = propose_votes(columns, sample.rows)
    if proposal is None:
        return None
    stated: dict[str, Any] = {"kind": "judgments", "format": "native", "fields": proposal.fields}
    if proposal.kind is not None and source.annotator_kind is None:
        stated["annotator_kind"] = proposal.kind
    mapped = Source.model_validate({**source.model_dump(exclude_unset=True), **stated})
    problems = tuple(proposal.problems)
    if not problems:
        sound, reason = _count_sound(mapped, sample)
        if sound < _FEWEST * len(sample.read):
            problems = (
                f"most rows cannot be read as votes about responses of another file: {reason.rstrip('.')}",
            )
    if not problems and not proposal.says_verdicts:
        problems = ("no column says which response is better: write `winner: COLUMN`",)
    certainty: Literal["likely", "refused"] = "refused" if problems else "likely"
    return Recognition(
        sample.item, mapped, certainty, sample, doubts=tuple(proposal.doubts), problems=problems
    )


def _recognize_columns(
    source: Source, sample: Sample, columns: Mapping[str, Column], config: Config
) -> Recognition | None:
    shape = source.format if source.format != "auto" else "native"
    if shape != "native":
        known = open_shape(shape).fields
        columns = {name: column for name, column in columns.items() if name not in known.ignore}
    proposal = propose_mapping(columns, sample.rows)
    if proposal is None:
        return None
    if shape != "native" and (annotator := open_shape(shape).fields.annotator) is not None:
        proposal.fields.setdefault("annotator", annotator)
    stated: dict[str, Any] = {"format": shape, "fields": proposal.fields}
    if proposal.kind is not None and source.annotator_kind is None:
        stated["annotator_kind"] = proposal.kind
    given = source.model_dump(exclude_unset=True, exclude={"format", "fields"})
    try:
        mapped = Source.model_validate({**given, **stated})
        trial = try_source(mapped, sample, config)
    except ValidationError as error:
        problems = (*proposal.problems, *(line.rstrip(".") for line in explain_errors(error, Source)))
        return Recognition(sample.item, None, "refused", sample, problems=problems)
    except CurateError as error:
        problems = (*proposal.problems, str(error).rstrip("."))
        return Recognition(sample.item, None, "refused", sample, problems=problems)
    problems = tuple(_list_problems(proposal, trial))
    doubts = (
        "what the columns mean follows from their names and values",
        *proposal.doubts,
        *doubt_marks(trial),
    )
    certainty: Literal["likely", "refused"] = "refused" if problems else "likely"
    return Recognition(sample.item, mapped, certainty, sample, trial, doubts, problems)


def _list_problems(proposal: Proposal, trial: Trial) -> list[str]:
    problems = list(proposal.problems)
    if trial.problem is not None:
        problems.append(trial.problem)
    if trial.share < _FEWEST and not problems:
        problems.append(f"most rows cannot be read so: {trial.commonest.rstrip('.')}")
    says_something = any(row.verdicts or row.ratings for row in trial.rows)
    if proposal.says_verdicts and trial.rows and not says_something and not problems:
        problems.append("the verdicts of this shape cannot be read by a mapping")
    return problems
