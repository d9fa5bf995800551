"""The section `aggregate` of `curate.yaml`: from judgments to labels, and the guarantee on the labels."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from curate.core.registry import find_name_problem, split_choice
from curate.core.section import Section


class GuaranteeSection(Section):
    """The guarantee of accepted labels: with confidence 1 - delta, at most alpha of them disagree with people."""

    alpha: float = Field(
        0.1, gt=0, lt=1, description="Largest share of accepted labels that may disagree with people."
    )
    delta: float = Field(0.1, gt=0, lt=1, description="Probability that the guarantee fails all the same.")
    looks: Literal["any", "one"] = Field(
        "any",
        description="any: `curate aggregate` may be run after every label, and the chance that any promise it ever "
        "prints is false is delta; one: the promise holds for one look alone, with somewhat fewer labels.",
    )
    strata: Literal["none", "category", "agreement"] = Field(
        "none",
        description="Set a separate threshold for each value of a field of the prompts' `meta` (category), or for each "
        "level of the judges' agreement. All guarantees hold together, which costs labels.",
    )
    category: str = Field("category", description="With `strata: category`: the field of `meta`.")
    labels: Literal["auto", "random", "all"] = Field(
        "auto",
        description="Labels of people that the guarantee uses. random: of tasks drawn at random; all: every label, "
        "taken for a random sample; auto: random where the lake has verify tasks, else all.",
    )
    ties: Literal["ignore", "disagree"] = Field(
        "ignore",
        description="How to count a label where people see no difference: not at all, or as wrong.",
    )
    learn: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="Share of these labels that the annotator model may learn from; the others only test it. With "
        "`looks: any`: of the labels there are when a test begins; all later ones test.",
    )


ANNOTATOR_MODEL_NAMES = (
    *("panel", "majority", "one_coin", "two_coin", "glad", "crowd_bt", "davidson", "rao_kupper"),
)
"""The annotator models of the package; a test holds them against the registry `ANNOTATOR_MODELS`."""


class RewardsSection(Section):
    """Reward models that count as one annotator, each scaled by its spread within prompts."""

    annotators: list[str] = Field(
        min_length=1, description="Judges, or imported annotators, that rate responses."
    )
    combine: Literal["mean", "median", "minimum", "mean-sd", "log-sigmoid"] = Field(
        "mean",
        description="How the models' rewards are combined. minimum: that of the most critical model; mean-sd: lower "
        "where they differ; log-sigmoid: a logical AND, high only if every model rates high.",
    )
    risk: float = Field(1.0, ge=0, description="With `mean-sd`: number of standard deviations to subtract.")
    agreement: float | None = Field(
        None,
        ge=0.5,
        le=1,
        description="Send a pair to people if a smaller share of the models agrees on it; null: never for this reason.",
    )


class GuardSection(Section):
    """Judges that lose their vote by the adversarial set (`curate evaluate --judges guard`)."""

    most: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="A judge does not vote if its false-positive rate is above this with 95 % confidence.",
    )


class AggregateSection(Section):
    """The way from judgments to preferences."""

    annotator_model: str | dict[str, Any] = Field(
        "auto",
        description="auto: panel, or majority where there are fewer than 40 pairs to learn from, and, with a warning, "
        "where the judges hold two opinions; from people's sides on five judged pairs on it is panel always. "
        "majority: one vote each; panel: learns abilities and habits, and from people's labels; or a model of the "
        "literature: Dawid-Skene (one_coin, two_coin), glad, crowd_bt, ties as davidson or rao_kupper; "
        "./file.py:Class for one of your own; or {kind: name, option: value}.",
    )
    vote: Literal["soft", "hard"] = Field(
        "soft",
        description="soft: a vote counts by its probability, where the judge gives one, calibrated for each judge on "
        "people's labels as far as there are any; hard: verdicts count alike, whatever their probabilities.",
    )
    method: Literal["ensemble-then-denoise", "denoise-then-ensemble"] = "ensemble-then-denoise"
    guarantee: GuaranteeSection | None = Field(
        GuaranteeSection(), description="null: accept labels without a guarantee."
    )
    calibration: Literal["none", "temperature", "isotonic", "auto"] = Field(
        "auto",
        description="How probabilities are calibrated on people's labels. auto: isotonic from 300 labels on, "
        "temperature from 20 on, none below.",
    )
    rewards: RewardsSection | None = Field(
        None, description="Reward models fused into one annotator; null: each one is an annotator."
    )
    aspects: list[str] | Literal["all"] = Field(
        default_factory=list,
        description="Aspects that get labels of their own (tables `aspect_preferences` and `aspect_rankings`), from "
        "the judgments about each alone; all: every aspect that judgments are about.",
    )
    guard: GuardSection | None = Field(
        None, description="Judges that adversarial answers fool do not vote; null: all vote."
    )

    @field_validator("annotator_model")
    @classmethod
    def _check_annotator_model(cls, value: str | dict[str, Any]) -> str | dict[str, Any]:
        name, _ = split_choice(value)
        if not isinstance(name, str):
            raise ValueError("a model with options needs its name as `kind`")  # noqa: TRY004 (pydantic reads it)
        if isinstance(value, dict) and name == "auto":
            raise ValueError("auto has no options: name the model that they are for")
        known = ("auto", *ANNOTATOR_MODEL_NAMES)
        if problem := find_name_problem(name, known, "annotator_model", "annotator model"):
            raise ValueError(problem)
        return name if isinstance(value, dict) and len(value) == 1 else value

    @property
    def annotator_model_name(self) -> str:
        """The name of the annotator model, without its options."""
        return str(split_choice(self.annotator_model)[0])

    @property
    def annotator_model_options(self) -> dict[str, Any]:
        """The values of the annotator model's own options."""
        return split_choice(self.annotator_model)[1]
