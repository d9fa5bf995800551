"""The answers of commands to programs: a command returns one of these, and `--json` prints it.

Each command names the type in its annotation; `curate.cli.reference` makes schemas/cli/*.json and the page
docs/reference/cli.md of it. A key that is there keeps its name and meaning; new ones may come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.data.rubric import Rubric
    from curate.deploy.doctor.findings import Finding
    from curate.judge.dry_run import CostEstimate
    from curate.lake.history import RunRecord
    from curate.rubric.combination import Combination
    from curate.rubric.verification import CriterionCheck
    from curate.stats.accuracy import MeanEstimate

Row = dict[str, Any]
"""A row of a table of the lake or of a query: column → value."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """The work of a stage: `rows_in = rows_kept + rows_duplicate + rows_dropped`.

    Attributes:
        stage: Name of the stage.
        rows_in: Rows that it looked at.
        rows_kept: Rows that it wrote.
        rows_duplicate: Rows that were there already.
        rows_dropped: Rows that it left out.
        dropped: Reason → rows that were left out for it.
        tokens_in: Tokens that models read.
        tokens_out: Tokens that models wrote.
        cost: What they cost, in the currency of the prices of curate.yaml.
        seconds: Time that it took.
        skipped: All of its work had been done before.
        note: Sentences for people.
    """

    stage: str
    rows_in: int
    rows_kept: int
    rows_duplicate: int
    rows_dropped: int
    dropped: dict[str, int]
    tokens_in: int
    tokens_out: int
    cost: float
    seconds: float
    skipped: bool
    note: str


@dataclass(frozen=True, slots=True)
class Stages:
    """The work of a command, stage by stage."""

    stages: list[StageResult]


@dataclass(frozen=True, slots=True)
class Estimates:
    """The effort of the pending questions, judge by judge (`--dry-run`)."""

    judges: list[CostEstimate]


@dataclass(frozen=True, slots=True)
class RankingDocument:
    """Models, the best first (columns: `curate.aggregate.ranking.models:ModelRanking`), and what they stand on."""

    models: list[Row]
    pairs: int
    connected: bool


@dataclass(frozen=True, slots=True)
class BenchmarkScore:
    """The share that a subject (the panel, a judge, a model) gets right on a benchmark.

    Attributes:
        benchmark: Name of the benchmark.
        subject: What was measured.
        all_pairs: Share right of all pairs; one that it does not judge counts one half.
        low: Lower end of its 95 % interval.
        high: Upper end.
        accuracy: Share right of the pairs that it judged.
        n: How many these are.
        best_of_n: Share of prompts of which it picks the best response.
        coverage: Share of pairs that it judged.
    """

    benchmark: str
    subject: str
    all_pairs: float
    low: float | None
    high: float | None
    accuracy: float
    n: int
    best_of_n: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class ProjectRun:
    """The work of the stages of curate.yaml, and the scores of the labels on its benchmarks."""

    stages: list[StageResult]
    scores: list[BenchmarkScore]


@dataclass(frozen=True, slots=True)
class AttackRate:
    """The success of an attack on a judge: its rate, the 95 % interval, pairs, and what it fell for most."""

    judge: str
    rate: float
    low: float | None
    high: float | None
    n: int
    most_by: str | None
    there: float | None


@dataclass(frozen=True, slots=True)
class AttackRun:
    """An attack on the judges, and its success with each."""

    stages: list[StageResult]
    attacks: list[AttackRate]


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One figure of a benchmark: `subset` is "all", a part of it, or "to MODEL" where it compares two models."""

    benchmark: str
    subject: str
    metric: str
    subset: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """Figures of models and judges on benchmarks that were named; `notes`: what they could not read whole."""

    stages: list[StageResult]
    metrics: list[MetricValue]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StatusDocument:
    """The content of the lake: rows of the queries `sql/queries/status_*`, and whether every count adds up."""

    snapshot: int
    reconciles: bool
    warnings: list[str]
    tables: list[Row]
    sources: list[Row]
    stages: list[Row]
    judges: list[Row]
    failures: list[Row]
    runs: list[Row]
    quarantine: list[Row]
    forgotten: list[Row]


@dataclass(frozen=True, slots=True)
class RunsDocument:
    """Runs, the newest first; with a run named, its parts (rows of the query `runs_parts`)."""

    runs: list[RunRecord]
    parts: list[Row]


@dataclass(frozen=True, slots=True)
class InputCount:
    """The rows of an input that would be taken in, and the reasons of those that would not."""

    part: str
    sound: int
    refused: int
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True)
class Recognised:
    """The recognition of a file: the sentence for people, how certain that is, and the entry of curate.yaml."""

    source: str
    description: str
    certainty: str
    doubts: list[str]
    problems: list[str]
    entry: str | None


@dataclass(frozen=True, slots=True)
class IngestRun:
    """The work of `curate ingest`; where nothing is written, what files are (`--explain`) or hold (`--dry-run`)."""

    stages: list[StageResult] = field(default_factory=list)
    recognised: list[Recognised] = field(default_factory=list)
    inputs: list[InputCount] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Written:
    """Files or a folder that were written (with `--dry-run`: that would be), and what they hold."""

    path: str
    files: list[str] = field(default_factory=list)
    bytes: int | None = None
    rows: int | None = None
    snapshot: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """The check of a certificate; where it does not hold, the reasons, and exit code 1."""

    path: str
    hash: str
    claim: str
    holds: bool
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push to the hub: files that go up, that are there already, and that were of an earlier push."""

    repository: str
    url: str
    revision: str | None
    tag: str | None
    uploads: list[str]
    unchanged: list[str]
    removed: list[str]
    bytes: int


@dataclass(frozen=True, slots=True)
class Exported:
    """The work of exports, and with `--push` what went to the hub."""

    stages: list[StageResult]
    warnings: list[str]
    pushed: Pushed | None = None


@dataclass(frozen=True, slots=True)
class ForgottenUse:
    """Something that was made of rows which are forgotten; `rows`: how many, None where nobody can tell."""

    kind: str
    name: str
    snapshot: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Something that was forgotten (with `dry_run`: would be): rows by table, what was made of them, the receipt."""

    label: str
    removed: dict[str, int]
    uses: list[ForgottenUse]
    receipt: str | None
    erased_snapshots: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ForgetRun:
    """Receipts that were checked or made, one for each thing that was forgotten."""

    forgotten: list[Forgotten]
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Compaction:
    """Number of data files before and after `curate compact`."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class PersonFigures:
    """A person's work: answers, shares `[right, n]` on gold, beside others and when asked again, what to look at."""

    annotator: str
    answers: int
    skipped: int
    gold: tuple[int, int]
    peers: tuple[int, int]
    itself: tuple[int, int]
    seconds: float | None
    flags: list[str]


@dataclass(frozen=True, slots=True)
class AgreementFigure:
    """One measure of the agreement of people, with its 95 % interval, over `n` pairs."""

    measure: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class QualityDocument:
    """The quality of people's work, together and one by one; `disputed`: pairs without a majority."""

    agreement: list[AgreementFigure]
    people: list[PersonFigures]
    disputed: int


@dataclass(frozen=True, slots=True)
class LoopDocument:
    """A run of the loop, its turns, and the number of questions that wait for people."""

    stages: list[StageResult]
    turns: list[Row]
    waiting: int
    rules: dict[str, int] | None
    state: str


@dataclass(frozen=True, slots=True)
class SheetCount:
    """Verdicts of a CSV file: taken in, known already, rows without one, and mistakes with their line."""

    new: int
    known: int
    empty: int
    mistakes: list[str]


@dataclass(frozen=True, slots=True)
class Answered:
    """The number of questions that were answered in the terminal."""

    answered: int


@dataclass(frozen=True, slots=True)
class Serving:
    """Where a server listens, printed once it does, and what it serves."""

    model: str
    revision: str
    address: str


@dataclass(frozen=True, slots=True)
class ServingMedia:
    """Where the media of tasks are served, printed once they are, and where links to them lead."""

    address: str
    links: str


@dataclass(frozen=True, slots=True)
class AgentContext:
    """A page for coding agents: rules, commands, keys of curate.yaml, columns of tables, and this project's state."""

    rules: list[str]
    commands: dict[str, str]
    config_keys: dict[str, str]
    tables: dict[str, str]
    project: Row


@dataclass(frozen=True, slots=True)
class Examination:
    """Checks of `curate doctor`; `ok`: nothing that is needed is missing."""

    ok: bool
    checks: list[Finding]


@dataclass(frozen=True, slots=True)
class Deployed:
    """Deployments of a project on a Prefect server.

    Attributes:
        deployments: Name → its schedule, or null: on demand.
        changes: What was changed on the server; empty with --dry-run.
        omitted: What is not deployed, and why.
    """

    deployments: dict[str, str | None]
    changes: list[str]
    omitted: list[str]


@dataclass(frozen=True, slots=True)
class Service:
    """A program that `curate up` has started; `was_running`: whether `curate down` found it alive."""

    name: str
    url: str | None = None
    pid: int | None = None
    log: str | None = None
    was_running: bool | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """Programs of `curate up` that are running, or were.

    Attributes:
        services: The programs.
        notes: What was changed or not started, and why.
        environment: File with the variables that connect a terminal to them; null: nothing runs.
    """

    services: list[Service]
    notes: list[str] = field(default_factory=list)
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class RubricFeatures:
    """Report of what labels reward, by features; `curate.rubric.feature_report.FeatureReport` says what the keys mean.

    Attributes:
        pairs: Pairs.
        prompts: Their prompts.
        ties: Pairs that are ties.
        dropped: Reason → rows that were left out.
        by_prompt: Whether prompts, not pairs, are what is held out.
        evidence: One object a feature, with pairs that it won and lost.
        accuracy: What decides → share of held-out pairs that it gets right.
        gain: Of the criteria over what, on the same pairs.
        findings: Sentences for people.
        combination: What the criteria add to a reward model, where one was named.
    """

    pairs: int
    prompts: int
    ties: int
    dropped: dict[str, int]
    by_prompt: bool
    evidence: list[Row]
    accuracy: dict[str, MeanEstimate]
    gain: dict[str, MeanEstimate]
    findings: list[str]
    combination: Combination | None = None


@dataclass(frozen=True, slots=True)
class RubricVerification:
    """Worth of a rubric's criteria; `curate.rubric.verification.RubricCheck` says what the keys mean."""

    pairs: int
    prompts: int
    ties: int
    criteria: tuple[CriterionCheck, ...]
    accuracy: dict[str, MeanEstimate]
    gain: MeanEstimate
    findings: list[str]


@dataclass(frozen=True, slots=True)
class RubricSelection:
    """The few criteria that predict; `curate.rubric.selected.SelectedRubric` says what the keys mean."""

    pairs: int
    proposed: int
    rows: list[Row]
    accuracy: dict[str, MeanEstimate]
    gain: MeanEstimate
    findings: list[str]
    rubric: Rubric | None
    combination: Combination | None = None


@dataclass(frozen=True, slots=True)
class RubricExtraction:
    """Criteria that a language model wrote about labels.

    Attributes:
        path: The rubric's file, or the folder of the prompts' rubrics.
        rubrics: The rubrics.
        pairs: Pairs that were read.
        pairs_found: Labelled pairs that there are.
        rows_dropped: Reason → rows of labels that were left out.
        calls: Step → state of a call → how many.
        proposed: Criteria that were proposed.
        dropped: Reason → criteria that were left out.
        notes: Method → what else there is to say of it.
    """

    path: str
    rubrics: list[Rubric]
    pairs: int
    pairs_found: int
    rows_dropped: dict[str, int]
    calls: dict[str, dict[str, int]]
    proposed: int
    dropped: dict[str, int]
    notes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RubricFinding:
    """A flaw of a rubric's file; `criterion` is null where all of it has the flaw."""

    file: str
    criterion: str | None
    problem: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class RubricFindings:
    """Flaws of the files of rubrics."""

    findings: list[RubricFinding]


@dataclass(frozen=True, slots=True)
class Guideline:
    """A rubric as Markdown for people."""

    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed, in place of its own answer: the sentence of standard error, and the exit code."""

    error: str
    exit_code: int
