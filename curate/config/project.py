"""`curate.yaml` as pydantic models; every error names the key, what was found and what is allowed."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from curate.config.train import TrainSection as TrainSection
from curate.config.validation import explained
from curate.config.verify import VerifySection
from curate.core.errors import CurateError
from curate.core.section import Section as Section
from curate.lake.lake import Location

HELD_OUT = "held-out labels"  # the benchmark under which `train` files its out-of-fold accuracy
GUARD = "guard"  # the benchmark under which the judges' false-positive rates are filed


class LakeSection(Section):
    """Where the tables live."""

    catalog: str | None = Field(
        None,
        description="PostgreSQL URL of the catalog; ${NAME} is read from the environment. Default: SQLite.",
    )
    data: str | None = Field(
        None, description="Folder or bucket of the Parquet files. Default: inside the workspace."
    )


_RANKS = frozenset({"rank", "ranks", "ranking", "rankings", "position", "place", "placement"})

StatedKind = Literal["human", "llm", "reward-model", "rule", "reference", "verifier", "implicit", "imported"]
"""What a user may say that the annotators of a source are; `imported` is what nobody knows anything about."""


class Fields(Section):
    """Where a foreign row keeps what `curate` needs: paths with dots (`meta.score`) into the row.

    A row of responses holds them in one of three ways: as a list (`responses`), as a preferred and another
    one (`chosen`, `rejected`), or as two with a verdict (`a`, `b`, `winner`). A row of judgments has the
    keys `prompt`, `a`, `b`, `annotator`, `annotator_kind`, `winner`, `shown`, `p_a` and `rationale`.
    """

    id: str | None = None
    prompt: str | None = Field(None, description="Text, or a list of messages.")
    system: str | None = Field(None, description="Text of a system message that stands before the prompt.")
    input: str | None = Field(
        None,
        description="Text that belongs to the prompt and follows it after a blank line (Alpaca's `input`).",
    )
    history: str | None = Field(
        None, description="Earlier turns: messages, or pairs of what was asked and answered."
    )
    responses: str | None = Field(
        None, description="A list of responses: strings, or objects with the three keys below."
    )
    response_id: str | None = None
    response_text: str | None = None
    response_model: str | None = None
    best: Literal["high", "low"] | None = Field(
        None, description="Which `response_score` wins; default: high. A rank has no default."
    )
    response_score: str | None = Field(
        None, description="A number in each response: the higher one wins, or with `best: low` the lower one."
    )
    chosen: str | None = None
    rejected: str | None = None
    a: str | None = None
    b: str | None = None
    model_a: str | None = None
    model_b: str | None = None
    winner: str | None = None
    winners: dict[str, Literal["a", "b", "tie", "abstain", "failed"]] = Field(
        default_factory=dict, description="What the values of `winner` mean, such as `model_a: a`."
    )
    annotator: str | None = Field(None, description="Who says so; default: the name of the source.")
    annotator_kind: str | None = None
    shown: str | None = None
    p_a: str | None = None
    rationale: str | None = None
    reference: str | None = None
    meta: list[str] = Field(default_factory=list, description="Fields to keep in `meta`.")
    ignore: list[str] = Field(
        default_factory=list,
        description="Columns that do not matter, though rows of one prompt differ in them and their names say context.",
    )

    @field_validator("response_score")
    @classmethod
    def _rank_has_a_direction(cls, path: str | None, info: ValidationInfo) -> str | None:
        words = re.split(r"[^a-z]+", path.rsplit(".", 1)[-1].lower()) if path else []
        if info.data.get("best") is None and _RANKS.intersection(words):
            raise ValueError(
                "by its name this is a rank, and numbers do not say which end of it is the best: "
                "write `best: low` beside it (1 is the best), or `best: high`"
            )
        return path

    @field_validator("annotator_kind")
    @classmethod
    def _kind_is_a_path(cls, path: str | None) -> str | None:
        if path in get_args(StatedKind):
            raise ValueError(
                "under `fields` this is the name of a column: "
                f"write `annotator_kind: {path}` beside `fields`, where it holds for the whole source"
            )
        return path


Format = Literal["native", "trl-preference", "ultrafeedback", "hh-rlhf", "lmsys-arena", "alpaca-eval"]


class Source(Section):
    """One thing to ingest."""

    source: str = Field(description="File, glob, `datasets` folder, or hf://owner/name[/config][@revision].")
    kind: Literal["responses", "judgments"] = "responses"
    format: Format = Field("native", description="native, or a preset for a foreign shape.")
    fields: Fields | None = Field(None, description="Overrides single fields of the format.")
    name: str | None = Field(None, description="Name in the `source` column; default: the file's name.")
    split: str | None = Field(
        None, description="Split of a data set; for a file, the value of the `split` column."
    )
    annotator: str | None = Field(
        None,
        description="Who made the verdicts of a foreign data set that does not say so; default: its name.",
    )
    annotator_kind: StatedKind | None = Field(
        None,
        description="What they are, where no row says so; `human` makes the verdicts people's. Default: by the format.",
    )
    chunk: int = Field(32_768, ge=1, description="Rows per committed chunk.")
    max_line_mib: int = Field(64, ge=1, description="A longer line is rejected without being read.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "judgments" and self.format != "native":
            raise ValueError(
                f"format {self.format!r} is for responses (its verdicts come along): leave out `kind: judgments`"
            )
        return self


Pairs = Literal["all", "round-robin", "swiss", "active"]


class JudgeSection(Section):
    """The panel. Each judge has a name, a kind, and the options of that kind."""

    judges: list[dict[str, Any]] = Field(default_factory=list)
    chunk: int = Field(64, ge=1, description="Prompts per committed chunk.")
    pairs: Pairs = Field("all", description="Which pairs are compared; each judge may say otherwise.")
    max_pairs: int | None = Field(
        None, ge=1, description="Pairs per prompt, for round-robin, swiss and active; default: N/2·⌈log₂ N⌉."
    )
    max_cost: float | None = Field(
        None, ge=0, description="What one run may spend, in the currency of the engines' prices."
    )
    max_tokens: int | None = Field(
        None, ge=0, description="Tokens, read and written, that one run may spend."
    )

    @model_validator(mode="after")
    def _limit_has_a_rule(self) -> Self:
        if self.max_pairs is not None and self.pairs == "all":
            raise ValueError("`max_pairs` needs `pairs`: say which ones (round-robin, swiss or active)")
        return self

    @field_validator("judges")
    @classmethod
    def _distinct(cls, judges: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [judge.get("name") for judge in judges]
        for name in names:
            if not isinstance(name, str) or not name:
                raise ValueError("every judge needs a `name`")
            if names.count(name) > 1:
                raise ValueError(f"two judges are called {name!r}")
        return judges


class GuaranteeSection(Section):
    """What accepted labels must keep to: with confidence 1 - delta, at most alpha of them disagree with people."""

    alpha: float = Field(0.1, gt=0, lt=1, description="Most disagreement with people among accepted labels.")
    delta: float = Field(0.1, gt=0, lt=1, description="Chance that the promise is broken all the same.")
    strata: Literal["none", "category", "agreement"] = Field(
        "none",
        description="A threshold for each value of a field of the prompts' `meta`, or for each pattern of the judges' "
        "agreement. All hold together, which costs labels.",
    )
    category: str = Field("category", description="With `strata: category`: the field of `meta`.")
    labels: Literal["auto", "random", "all"] = Field(
        "auto",
        description="People's labels that it stands on. random: of tasks drawn at random; all: every label, taken for "
        "a random sample; auto: random where the lake has verify tasks, else all.",
    )
    ties: Literal["ignore", "disagree"] = Field(
        "ignore",
        description="What it means when people see no difference: nothing, or that the label is wrong.",
    )
    learn: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="Share of these labels that an annotator model may learn from; the others only test it.",
    )


AnnotatorModel = Literal[
    "auto", "panel", "majority", "one_coin", "two_coin", "glad", "crowd_bt", "davidson", "rao_kupper"
]


class RewardsSection(Section):
    """Reward models that count as one annotator. The scale of each is its spread within prompts."""

    annotators: list[str] = Field(
        min_length=1, description="Judges, or imported annotators, that rate responses."
    )
    combine: Literal["mean", "median", "minimum", "mean-sd", "log-sigmoid"] = Field(
        "mean",
        description="The reward of a response. minimum: of the most critical model; mean-sd: less where they differ; "
        "log-sigmoid: a logical AND, good by every model.",
    )
    risk: float = Field(1.0, ge=0, description="With `mean-sd`: how many standard deviations are taken off.")
    agreement: float | None = Field(
        None,
        ge=0.5,
        le=1,
        description="Pairs on which a smaller share of the models agrees are routed; null: none for that.",
    )


class GuardSection(Section):
    """Which judges the guard set (`curate evaluate --judges guard`) takes the vote from."""

    most: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="A judge does not vote when its false-positive rate is above this with 95 % confidence.",
    )


class AggregateSection(Section):
    """From judgments to preferences."""

    annotator_model: AnnotatorModel = Field(
        "auto",
        description="auto: panel once people took a side on five pairs that judges voted on, before that majority, "
        "with a warning where the judges hold two opinions; majority: one vote each; panel: learns abilities and "
        "habits, and from people's labels; or a model of the literature: Dawid-Skene (one_coin, two_coin), glad, crowd_bt, "
        "ties as davidson or rao_kupper.",
    )
    method: Literal["ensemble-then-denoise", "denoise-then-ensemble"] = "ensemble-then-denoise"
    guarantee: GuaranteeSection | None = Field(
        GuaranteeSection(), description="null: labels are accepted without any."
    )
    calibration: Literal["none", "temperature", "isotonic", "auto"] = Field(
        "auto",
        description="How probabilities are fitted to people's labels. auto: isotonic from 300 labels on, temperature "
        "from 20 on.",
    )
    rewards: RewardsSection | None = Field(
        None, description="Reward models fused into one annotator; null: each is an annotator of its own."
    )
    guard: GuardSection | None = Field(
        None, description="Judges that hack answers fool do not vote; null: all do."
    )


class ExportEntry(Section):
    """One data set to write."""

    path: str = Field(description="Folder of the data set; only an earlier export is ever replaced.")
    format: Literal["trl-preference", "ranking", "judge-sft", "parquet"] = Field(
        "trl-preference",
        description="Pairs as TRL reads them, one ranking per prompt, judges' verdicts with their reasons for SFT, or "
        "the lake's tables as they are.",
    )
    license: str | None = Field(None, description="SPDX name for the dataset card.")
    min_confidence: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Least confidence of a pair, or mean over the pairs of a ranking. People's verdicts stay.",
    )
    routed: bool = Field(False, description="Take also what still waits for people's verdict.")
    split: str | None = Field(None, description="Only prompts of this split; default: all.")
    iteration: int | None = Field(None, ge=0, description="Of the loop; default: the last.")
    jsonl: bool = Field(False, description="Write the rows as JSON lines too.")


BenchmarkFormat = Literal[
    "lake", "auto", "native", "reward-bench", "reward-bench-2", "rm-bench", "judge-bench", "hh-rlhf"
]


class Benchmark(Section):
    """Gold about the lake's own responses (format `lake`), or a benchmark with responses of its own."""

    name: str = Field(min_length=1)
    source: str = Field(
        description="lake: JSONL of {prompt, ranking: [[best ids], …]} or {prompt, a, b, winner}, by keys of the data. "
        "Else a file, a folder, hf://owner/name[:split], the name of a format for the set on the hub, or guard."
    )
    format: BenchmarkFormat = Field(
        "lake",
        description="lake: it judges the panel and its labels; any other: the columns of a benchmark for "
        "`models` and `judges` (auto: by the first row).",
    )

    @model_validator(mode="after")
    def _not_reserved(self) -> Self:
        if self.name == HELD_OUT or (self.name == GUARD) != (self.source == GUARD):
            raise ValueError(
                "this name is kept for what `curate train` and `evaluate --judges guard` measure"
            )
        return self


class EvaluateSection(Section):
    """Accuracy against gold, with intervals, beside baselines."""

    benchmarks: list[Benchmark] = Field(default_factory=list)
    models: list[str] = Field(
        default_factory=list,
        description="Reward models for the benchmarks that are not about the lake: folders or hub ids. Default: "
        "the one that `train` saved.",
    )
    judges: list[str] = Field(
        default_factory=list, description="Judges of the panel that are asked about these benchmarks too."
    )
    robustness: bool = Field(False, description="Ask about padded, dressed-up and reversed pairs as well.")
    bootstrap: int = Field(1000, ge=0, description="Resamples of the prompts for the intervals.")

    @field_validator("benchmarks")
    @classmethod
    def _distinct(cls, benchmarks: list[Benchmark]) -> list[Benchmark]:
        names = [benchmark.name for benchmark in benchmarks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two benchmarks are called {name!r}")
        return benchmarks


class ReportSection(Section):
    """The page that shows what happened."""

    path: str = Field("report.html", description="File of the HTML page.")
    title: str = Field("Preference data report", description="Its heading.")
    examples: int = Field(6, ge=0, le=100, description="Overruled judgments shown with their texts.")


class Config(Section):
    """The whole of `curate.yaml`. Relative paths start at the file's folder."""

    workspace: str = Field(".curate", description="Folder of the lake and of what `curate` keeps for itself.")
    lake: LakeSection = LakeSection()
    engines: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Named model back ends.")
    ingest: list[Source] = Field(default_factory=list)
    judge: JudgeSection = JudgeSection()
    aggregate: AggregateSection = AggregateSection()
    export: list[ExportEntry] = Field(default_factory=list)
    train: TrainSection | None = None
    evaluate: EvaluateSection = EvaluateSection()
    verify: VerifySection = VerifySection()
    report: ReportSection = ReportSection()

    _folder: Path = Path()

    def resolve(self, path: str) -> Path:
        """A path of the file as an absolute path."""
        return (self._folder / path).resolve()

    def model_name(self, name: str) -> str:
        """A model's name as engines take it: a folder of the file as an absolute path, anything else as it is."""
        return str(self.resolve(name)) if self.resolve(name).is_dir() else name

    @cached_property
    def location(self) -> Location:
        default = Location.under(self.resolve(self.workspace) / "lake")
        catalog = _environment(self.lake.catalog) if self.lake.catalog else default.catalog
        data = self.lake.data or default.data
        return Location(catalog, data if "://" in data else str(self.resolve(data)))


def load_config(path: Path) -> Config:
    """Read and check a `curate.yaml`."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CurateError(
            f"There is no {path}: write one with `curate init`, or name one with --config."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CurateError(f"Cannot read {path}: {error}.") from error
    except yaml.YAMLError as error:
        raise CurateError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(document, dict | None):
        raise CurateError(f"{path} must hold a mapping of sections, not a {type(document).__name__}.")
    try:
        config = Config.model_validate(document or {})
    except ValidationError as error:
        raise CurateError("\n".join(f"{path}: {line}" for line in explained(error, Config))) from None
    object.__setattr__(config, "_folder", path.parent)
    return config


def _environment(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise CurateError(
                f"lake.catalog names ${{{match[1]}}}, but that environment variable is not set."
            )
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, text)
