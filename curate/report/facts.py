"""The numbers of the page: one frozen class per query of `sql/queries/report_*.sql`, with the columns in order."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from curate import __version__
from curate.config.project import Config
from curate.core.machine_paths import shorten_path
from curate.core.resources import read_query
from curate.lake.explain import Explanation, explain_prompt
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.report.people import PeopleFacts, gather_people
from curate.report.pictures import PicturedPair, gather_pictures
from curate.report.rubrics import RubricFacts, gather_rubrics
from curate.stats.aspects import AspectReport, measure_aspects
from curate.stats.intervals import mean_interval, wilson_interval

MIN_BIN_LABELS = 5  # in a bin of the reliability diagram
ANNOTATORS_SHOWN = 40  # in charts and the matrix; tables of more are of no use on a page
MODELS_SHOWN = 40
REASONS_SHOWN = 20
BIN = 0.05  # width of the confidence histogram's bins
_PATHS = ("part", "subject")  # fields that may be the path of a file or of a model
_PAIRS_COMPARED = 100_000  # enough for the matrix: ± 0.3 points at worst

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Headline:
    """The counts at the top of the report."""

    prompts: int
    responses: int
    models: int
    annotators: int
    judgments: int
    failed: int
    by_people: int
    pairs: int
    ties: int
    confidence: float | None
    iteration: int | None


@dataclass(frozen=True, slots=True)
class StageWork:
    """Rows of one part of a stage by what became of them, with time, tokens and cost."""

    stage: str
    part: str
    rows_in: int
    kept: int
    duplicates: int
    dropped: int
    seconds: float
    tokens_in: int
    tokens_out: int
    cost: float

    @property
    def rate(self) -> float | None:
        return self.rows_in / self.seconds if self.seconds > 0 and self.rows_in else None


@dataclass(frozen=True, slots=True)
class DropReason:
    """Why rows were dropped in a stage, and how many."""

    stage: str
    reason: str
    number: int


@dataclass(frozen=True, slots=True)
class Panelist:
    """One annotator.

    `swapped`: pairs that it judged in both orders; on `follow` of them the same position won twice.
    `trust`: weight of a person's votes among those of all people.
    """

    name: str
    kind: str
    judgments: int
    failed: int
    seconds: float
    answered: int
    ties: int
    labelled: int
    agreed: int
    positioned: int
    first_won: int
    swapped: int
    follow: int
    ability: float | None
    trust: float | None = None

    @property
    def is_down_weighted(self) -> bool:
        return self.trust is not None and self.trust < 1.0

    @property
    def agreement(self) -> float | None:
        return self.agreed / self.labelled if self.labelled else None

    @property
    def agreement_interval(self) -> tuple[float, float]:
        return wilson_interval(self.agreed, self.labelled)

    @property
    def first_rate(self) -> float | None:
        return self.first_won / self.positioned if self.positioned else None

    @property
    def first_interval(self) -> tuple[float, float]:
        return wilson_interval(self.first_won, self.positioned)

    @property
    def follow_rate(self) -> float | None:
        return self.follow / self.swapped if self.swapped else None

    @property
    def tie_rate(self) -> float | None:
        return self.ties / self.answered if self.answered else None

    @property
    def failure_rate(self) -> float:
        return self.failed / self.judgments


@dataclass(frozen=True, slots=True)
class AnnotatorFailures:
    """`example`: the beginning of an answer that could not be used."""

    name: str
    reason: str
    failed: int
    judgments: int
    example: str | None

    @property
    def share(self) -> float:
        return self.failed / self.judgments


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Common pairs of two annotators, and on how many of them they agree."""

    one: str
    other: str
    pairs: int
    alike: int

    @property
    def share(self) -> float:
        return self.alike / self.pairs


@dataclass(frozen=True, slots=True)
class CycleCounts:
    """Prompts whose votes went in circles, before and after denoising."""

    part: str
    prompts: int
    before: int
    after: int
    ties: int | None


@dataclass(frozen=True, slots=True)
class DroppedArc:
    """A vote that denoising dropped, with the places that its two responses got."""

    prompt_id: str
    prompt: str | None
    weight: float
    winner: str | None
    winner_model: str | None
    loser: str | None
    loser_model: str | None
    winner_rank: int | None
    loser_rank: int | None
    arcs: int
    total: float


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Labels of one status with a confidence from `low` on."""

    low: float
    status: str
    labels: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Mean confidence and accuracy of the labels of one bin."""

    confidence: float
    accuracy: float
    count: int

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(round(self.accuracy * self.count), self.count)


@dataclass(frozen=True, slots=True)
class AssessmentFacts:
    """Proof that people's labels give of the label set."""

    holds: bool
    claim: str
    labels: int
    learnt: int
    tested: int
    drawn: bool
    pairs: int
    accepted: int
    delta: float | None
    error: float | None
    error_low: float | None
    error_high: float | None
    calibration: str
    ece_before: float | None
    ece: float | None
    bin_confidence: list[float]
    bin_accuracy: list[float]
    bin_count: list[int]

    @property
    def bins(self) -> list[ReliabilityBin]:
        rows = zip(self.bin_confidence, self.bin_accuracy, self.bin_count, strict=True)
        return [ReliabilityBin(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class StratumGuarantee:
    """The guarantee of one stratum."""

    stratum: str
    pairs: int
    accepted: int
    threshold: float | None
    alpha: float
    delta: float
    labels: int
    tested: int
    errors: int
    upper: float | None
    labels_needed: int | None

    @property
    def share(self) -> float | None:
        return self.accepted / self.pairs if self.pairs else None


@dataclass(frozen=True, slots=True)
class ModelWins:
    """Wins of one model's responses."""

    name: str
    prompts: int
    pairs: int
    win_rate: float
    deviation: float | None
    responses: int | None
    mean_rank: float | None
    first_share: float | None
    models: int

    @property
    def interval(self) -> tuple[float, float] | None:
        return mean_interval(self.win_rate, self.deviation, self.prompts)


@dataclass(frozen=True, slots=True)
class BenchmarkScore:
    """One figure of an evaluation, with its interval."""

    benchmark: str
    subset: str
    metric: str
    subject: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class QuarantineReason:
    """Why rows were rejected, with an example."""

    reason: str
    number: int
    sources: int
    example: dict[str, Any]
    reasons: int
    total: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """The runs of one stage."""

    stage: str
    runs: int
    run_id: str
    code_version: str
    config_hash: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the report says."""

    title: str
    version: str
    snapshot: int
    config_hash: str
    headline: Headline
    work: list[StageWork]
    reasons: list[DropReason]
    panel: list[Panelist]
    failures: list[AnnotatorFailures]
    agreements: list[PairAgreement]
    agreement_step: int  # the matrix looks at one pair in so many
    cycles: list[CycleCounts]
    dropped_arcs: list[DroppedArc]
    explanations: dict[str, Explanation]  # of the prompts of the dropped arcs
    confidence: list[ConfidenceBin]
    assessment: AssessmentFacts | None
    guarantees: list[StratumGuarantee]
    models: list[ModelWins]
    scores: list[BenchmarkScore]
    rejected: list[QuarantineReason]
    provenance: list[Provenance]
    people: PeopleFacts | None = None
    pictures: tuple[PicturedPair, ...] = ()
    rubrics: tuple[RubricFacts, ...] = ()
    aspects: AspectReport | None = None
    warnings: tuple[str, ...] = ()  # doubts of the aggregation about its labels
    certificate: tuple[str, int] | None = (
        None  # hash of the newest certificate, and the snapshot that it is about
    )


def gather_facts(reader: Lake, config: Config) -> Facts:
    """Read all facts from the lake; `reader` gets temporary tables, so it must not be shared."""
    select_panel(reader, config.panel_names)
    reader.rows(read_query("report_votes"))
    arcs = _read_facts(reader, "report_dropped_arcs", DroppedArc, config.report.examples)
    tested = reader.has("assessments")  # not in a snapshot from before
    assessment = _read_facts(reader, "report_assessment", AssessmentFacts) if tested else []
    folder = config.resolve(".")
    step = max(1, int(reader.value("SELECT count(DISTINCT pair) FROM votes")) // _PAIRS_COMPARED)
    return Facts(
        title=config.report.title,
        version=__version__,
        snapshot=reader.snapshot(),
        config_hash=config.digest,
        headline=_read_facts(reader, "report_headline", Headline)[0],
        work=_shorten_paths(_read_facts(reader, "report_flow", StageWork), folder),
        reasons=_read_facts(reader, "report_reasons", DropReason),
        panel=_read_facts(reader, "report_panel", Panelist),
        failures=_read_facts(reader, "report_failures", AnnotatorFailures),
        agreements=_read_facts(reader, "report_agreement", PairAgreement, step, ANNOTATORS_SHOWN),
        agreement_step=step,
        cycles=_shorten_paths(_read_facts(reader, "report_cycles", CycleCounts), folder),
        dropped_arcs=arcs,
        explanations={
            arc.prompt_id: explain_prompt(reader, arc.prompt_id) for arc in arcs if arc.prompt is not None
        },
        confidence=_read_facts(reader, "report_confidence", ConfidenceBin, round(1 / BIN)),
        assessment=assessment[0] if assessment else None,
        guarantees=_read_facts(reader, "report_guarantees", StratumGuarantee) if tested else [],
        models=_read_facts(reader, "report_models", ModelWins, MODELS_SHOWN),
        scores=_shorten_paths(_read_facts(reader, "report_evaluations", BenchmarkScore), folder),
        rejected=_read_facts(reader, "report_quarantine", QuarantineReason, REASONS_SHOWN),
        provenance=_read_facts(reader, "report_provenance", Provenance),
        people=gather_people(reader, config),
        pictures=tuple(gather_pictures(reader, config)),
        rubrics=tuple(gather_rubrics(reader)),
        aspects=measure_aspects(reader),
        warnings=tuple(sentence for (sentence,) in reader.rows(read_query("doubts"))),
        certificate=next(
            ((str(name), int(number)) for name, number in reader.rows(read_query("certificate_newest"))), None
        ),
    )


def _read_facts(reader: Lake, query: str, row: type[RowT], *parameters: object) -> list[RowT]:
    return [row(*values) for values in reader.rows(read_query(query), parameters)]


def _shorten_paths(rows: list[RowT], folder: Path) -> list[RowT]:
    """Make the paths of rows relative: a report is shown to others."""
    return [
        dataclasses.replace(  # type: ignore[type-var]
            row,
            **{
                name: shorten_path(getattr(row, name), folder)
                for name in _PATHS
                if isinstance(getattr(row, name, None), str)
            },
        )
        for row in rows
    ]
