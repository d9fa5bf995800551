"""`aggregate`: from judgments to preferences, and what is promised of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from curate.core.section import Section


class GuaranteeSection(Section):
    """The guarantee of accepted labels: with confidence 1 - delta, at most alpha of them disagree with people."""

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
        "habits, and from people's labels; or a model of the literature: Dawid-Skene (one_coin, two_coin), glad, "
        "crowd_bt, ties as davidson or rao_kupper.",
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
