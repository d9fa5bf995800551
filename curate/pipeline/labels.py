"""From votes or responses to labels in one call: the stages of the command line on frames instead of files.

labels = aggregate_votes(votes)
labels.preferences, labels.annotators, labels.guarantee
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import duckdb
import polars as pl

from curate.aggregate import aggregate_judgments
from curate.config.aggregate import AggregateSection
from curate.config.judge import JudgeSection
from curate.core.errors import CurateError
from curate.core.progress import no_progress, progress_bars
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.pipeline.frames import Frame, Row, derive_responses, read_responses, read_votes
from curate.pipeline.projects import Project, find_lake, ingest_rows, open_project
from curate.records import Assessment, Guarantee, Kind

Judge = Mapping[str, Any]
"""A judge as in curate.yaml: `name`, `kind`, and the options of that kind."""


class AggregateKeywords(TypedDict, total=False):
    """The options of the section `aggregate` of curate.yaml; what is left out has the same default as there."""

    annotator_model: Any
    vote: str
    method: str
    guarantee: Mapping[str, Any] | None
    calibration: str
    rewards: Mapping[str, Any] | None
    guard: Mapping[str, Any] | None
    aspects: Any


class JudgeKeywords(TypedDict, total=False):
    """The options of the section `judge` of curate.yaml but for the judges; the defaults are the same."""

    chunk: int
    pairs: str
    max_pairs: int | None
    max_cost: float | None
    max_tokens: int | None


class LabelKeywords(AggregateKeywords, JudgeKeywords, total=False):
    """The options of both sections."""


@dataclass(frozen=True, slots=True)
class GuaranteeReport:
    """The guarantee about the labels: the numbers of the lake's tables `assessments` and `guarantees`.

    `assessment` is about all labels; `strata` hold the guarantee about the accepted labels of each stratum, and are
    empty if there is none.
    """

    assessment: Assessment
    strata: tuple[Guarantee, ...]

    @property
    def holds(self) -> bool:
        """Tell whether there is a guarantee."""
        return self.assessment.holds

    @property
    def sentence(self) -> str:
        """The sentence that `curate aggregate` prints; it claims no more than people's labels have shown."""
        return self.assessment.claim

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels by the caller's keys (the lake's ids where there are none).

    | frame         | a row is     | columns |
    | ---           | ---          | --- |
    | `preferences` | a pair       | prompt, a, b (a before b as text), winner (a, b, tie), p_a, strength, confidence, status, reason, n_judgments, dropped_weight |
    | `rankings`    | a response   | prompt, response, model, rank (1 best, ties share), score, score_sd |
    | `annotators`  | an annotator | annotator, kind, n, ability, agreement, position_bias, length_bias, tie_rate, calibration_error, failure_rate, trust |

    `guarantee` is the guarantee about the labels, and `notes` are the remarks of the stages, which `curate` prints.
    """  # noqa: E501 (a table)

    preferences: pl.DataFrame
    rankings: pl.DataFrame
    annotators: pl.DataFrame
    guarantee: GuaranteeReport
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        pairs, prompts = len(self.preferences), self.preferences["prompt"].n_unique()
        return (
            f"{pairs:,} pairs of {prompts:,} prompts by {len(self.annotators):,} annotators. {self.guarantee}"
        )


def aggregate_votes(
    votes: Frame,
    *,
    responses: Frame | None = None,
    kind: Kind = "imported",
    workspace: Path | str | None = None,
    **options: Unpack[AggregateKeywords],
) -> Labels:
    """Turn votes into preferences, rankings, a profile of each annotator and a guarantee.

    As `curate ingest judgments` and `curate aggregate` do it: the numbers are the same.

    Args:
        votes: One row for each vote: `prompt`, `a`, `b`, `annotator`, `winner` (a, b, tie, abstain, failed), and if
            known `kind`, `shown` (ab, ba), `p_a` (0 … 1) and `rationale`. See `curate.pipeline.frames.read_votes`.
        responses: What the votes are about, as for `label_responses`. With it, habits such as the preference for long
            responses are measured; without, the keys are all that is known of them.
        kind: The annotators' kind where `votes` has no column `kind`. Of people say "human": what people say is the
            measure that all other annotators are held to.
        workspace: A project's folder. The votes join those of its lake, must be about its responses (or `responses`),
            and the labels are the project's. None: a lake that is deleted at the end.
        **options: Those of the section `aggregate`: `annotator_model`, `vote`, `method`, `guarantee`, `calibration`,
            `rewards`, `guard`.

    Returns:
        The labels. The same vote twice counts once, which `notes` says.

    Raises:
        CurateError: Something in the frames or options is not as it should be; one sentence says what and where.
    """
    rows = read_votes(votes, kind=kind)
    contents = None if responses is None else read_responses(responses)
    if contents is None and workspace is None:
        contents = derive_responses(rows)
    with open_project(workspace, _sort_options(options)) as project:
        if contents is not None:
            ingest_rows(project, contents, "responses")
        return _aggregate_project(project, _ingest_votes(project, rows))


def judge_responses(
    responses: Frame,
    judges: Sequence[Judge] | None = None,
    *,
    engines: Mapping[str, Mapping[str, Any]] | None = None,
    workspace: Path | str | None = None,
    progress: bool = False,
    **options: Unpack[JudgeKeywords],
) -> pl.DataFrame:
    """Ask judges about responses, as `curate judge` does.

    Args:
        responses: One row for each prompt (`id`, `prompt`, `responses`: a list of {id, text, model}) or for each
            response (`prompt`, `response`, `model`). See `curate.pipeline.frames.read_responses`.
        judges: As in curate.yaml: [{"name": "length", "kind": "rule", "rule": "length"}]. None: those of the project.
        engines: Model back ends by the names that judges give them, as in curate.yaml.
        workspace: A project's folder, in whose lake the judgments stay: what has been asked is not asked (nor paid
            for) again. None: a lake that is deleted at the end.
        progress: Whether to show a bar for each judge.
        **options: Those of the section `judge`: `pairs`, `max_pairs`, `max_cost`, `max_tokens`, `chunk`.

    Returns:
        One row for each judgment of these judges: prompt, annotator, kind, form, a, b (a before b as text; of a rating
        a alone), shown, winner, p_a, score, score_sd, listed, scores, ranking, rationale, raw, sample, tokens_in,
        tokens_out, seconds. A failure is a row with the winner "failed", and `raw` says why.

    Raises:
        CurateError: Something in the frame or options is not as it should be; one sentence says what and where.
    """
    rows = read_responses(responses)
    with open_project(workspace, _sort_options(options, judges, engines)) as project:
        _check_panel(project)
        ingest_rows(project, rows, "responses")
        for note in _run_judges(project, progress):
            warnings.warn(note, stacklevel=2)
        names = project.config.panel_names
        select_panel(project.lake, names)
        return project.lake.frame(read_query("labels_judgments"), [names])


def label_responses(
    responses: Frame,
    judges: Sequence[Judge] | None = None,
    *,
    votes: Frame | None = None,
    kind: Kind = "human",
    engines: Mapping[str, Mapping[str, Any]] | None = None,
    workspace: Path | str | None = None,
    progress: bool = False,
    **options: Unpack[LabelKeywords],
) -> Labels:
    """Ask judges about responses and turn what they say into labels, as `curate run` does.

    Args:
        responses: As for `judge_responses`.
        judges: As for `judge_responses`; with `votes` there may be none.
        votes: Votes of people (or of others) on the same responses, as for `aggregate_votes`.
        kind: The kind of those who voted, where `votes` has no column `kind`.
        engines: Model back ends by the names that judges give them, as in curate.yaml.
        workspace: A project's folder, in whose lake everything stays; the labels are the project's. None: a lake that
            is deleted at the end.
        progress: Whether to show a bar for each judge.
        **options: Those of the sections `judge` and `aggregate`.

    Returns:
        The labels.

    Raises:
        CurateError: Something in the frames or options is not as it should be; one sentence says what and where.
    """
    rows = read_responses(responses)
    voted = None if votes is None else read_votes(votes, kind=kind)
    with open_project(workspace, _sort_options(options, judges, engines)) as project:
        if voted is None:
            _check_panel(project)
        ingest_rows(project, rows, "responses")
        notes = [] if voted is None else _ingest_votes(project, voted)
        if project.config.panel_names:
            notes += _run_judges(project, progress)
        return _aggregate_project(project, notes)


def read_labels(lake: Lake) -> Labels:
    """Read the labels of a lake's last iteration. Raises CurateError where nothing has been aggregated yet."""
    iteration = "iteration = (SELECT assessed FROM final_iteration)"
    assessed = []
    if lake.has("assessments"):  # a lake that is opened for reading may be from before it
        assessed = lake.arrow(f"SELECT * FROM assessments WHERE {iteration}").to_pylist()
    if not assessed:
        raise CurateError("There are no labels in the lake yet: run `curate aggregate` first.")
    strata = lake.arrow(f"SELECT * FROM guarantees WHERE {iteration} ORDER BY stratum").to_pylist()
    annotators = lake.frame(read_query("labels_annotators"))
    order = ["annotator", "kind", "n", "ability", "agreement", "position_bias", "length_bias", "tie_rate"]
    return Labels(
        preferences=lake.frame(read_query("labels_preferences")),
        rankings=lake.frame(read_query("labels_rankings")),
        annotators=annotators.select(*order, pl.exclude(order)),
        guarantee=GuaranteeReport(
            Assessment.model_validate(assessed[0]), tuple(map(Guarantee.model_validate, strata))
        ),
    )


class LakeReader:
    """A lake that is open for reading: SQL to polars frames, and its labels. Close it, or use it in a `with`."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def frame(self, query: str, parameters: Sequence[object] = ()) -> pl.DataFrame:
        """Run SQL (DuckDB's) over the lake's tables; `?` stands for a parameter.

        Raises CurateError where it is no query that can be run here, one that would write among them.
        """
        try:
            return self._lake.frame(query, parameters)
        except duckdb.Error as error:
            raise CurateError(str(error)) from error

    def labels(self) -> Labels:
        """Read the labels of the last iteration. Raises CurateError where nothing has been aggregated yet."""
        return read_labels(self._lake)

    def close(self) -> None:
        """Let go of the lake."""
        self._lake.close()


def open_lake(path: Path | str, *, snapshot: int | None = None) -> LakeReader:
    """Open a project's lake for reading.

    Args:
        path: A project's folder, its curate.yaml, a workspace (`.curate`) or a lake's folder.
        snapshot: Read everything as it was at this snapshot (`curate snapshot list`).

    Returns:
        The open lake.

    Raises:
        CurateError: There is no lake.
    """
    return LakeReader(Lake.open(find_lake(Path(path)), read_only=True, snapshot=snapshot))


def _sort_options(
    options: Mapping[str, Any],
    judges: Sequence[Judge] | None = None,
    engines: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Sort options into their sections of curate.yaml; options that were not given are left out."""
    sections: dict[str, dict[str, Any]] = {}
    known = {"judge": JudgeSection.model_fields, "aggregate": AggregateSection.model_fields}
    names = [name for fields in known.values() for name in fields]
    for name, value in options.items():
        home = next((section for section, fields in known.items() if name in fields), None)
        if home is None:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(names)}."
            raise CurateError(f"unknown option `{name}`: {hint}")
        sections.setdefault(home, {})[name] = value
    if judges is not None:
        sections.setdefault("judge", {})["judges"] = [
            _copy_options(judge, f"judges[{place}]", {"name": "length", "kind": "rule", "rule": "length"})
            for place, judge in enumerate(judges)
        ]
    if engines is not None:
        sections["engines"] = {
            name: _copy_options(
                engine, f"engines[{name!r}]", {"kind": "transformers", "model": "models/judge"}
            )
            for name, engine in engines.items()
        }
    return sections


def _copy_options(options: object, where: str, example: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise CurateError(f"{where} is {options!r}, but must be a dict of options, such as {dict(example)}.")
    return dict(options)


def _check_panel(project: Project) -> None:
    if not project.config.panel_names:
        raise CurateError(
            "There are no judges: give `judges`, such as "
            '[{"name": "length", "kind": "rule", "rule": "length"}], or a `workspace` whose curate.yaml has some.'
        )


def _ingest_votes(project: Project, rows: Sequence[Row]) -> list[str]:
    repeated = ingest_rows(project, rows, "judgments")
    return [f"{repeated:,} votes say what is in the lake already, and count once."] if repeated else []


def _run_judges(project: Project, progress: bool) -> list[str]:
    from curate.judge import judge_responses

    note = judge_responses(
        project.lake, project.config, track=progress_bars if progress else no_progress
    ).note
    return [note] if note else []


def _aggregate_project(project: Project, notes: Sequence[str]) -> Labels:
    note = aggregate_judgments(project.lake, project.config).note
    labels = read_labels(project.lake)
    lines = [line for line in note.splitlines() if line != labels.guarantee.sentence]
    return replace(labels, notes=(*notes, *lines))
