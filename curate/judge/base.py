"""What a judge is: it answers questions about the responses to a prompt, one answer per question.

A judge of your own is one small file beside curate.yaml:

    # shouting.py
    from curate.judge.base import Answer, Judge, Question, prefer

    class Quieter(Judge):
        kind = "rule"

        def answer(self, questions: list[Question]) -> list[Answer]:
            return [prefer(q.b.text.count("!") - q.a.text.count("!")) for q in questions]

    # curate.yaml
    judge:
      judges:
        - {name: quieter, kind: "./shouting.py:Quieter"}

Options of its own: a subclass of `JudgeOptions` as the class attribute `Options` (read as `self.options`). A model:
`self.engines.get(name, needs="choose")` in `__init__`, and its revision in `identity`. The file's own digest is part
of the judge's revision, so changed code asks anew.
"""

from __future__ import annotations

import itertools
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from curate import records
from curate.config.judge import Pairs
from curate.core.identity import content_id
from curate.core.section import Section
from curate.engine.base import Chat, Failure
from curate.engine.registry import Engines
from curate.records import Form, Outcome, Shown

# Options that say what is asked and when, and change no answer.
_OF_THE_STAGE = frozenset({"name", "engine", "attempts", "pairs", "max_pairs", "after", "uncertain"})
_DIGITS = 6  # of stored probabilities: beyond what any judge knows, and free of the last bits' noise


@dataclass(frozen=True, slots=True)
class CandidateResponse:
    """A response as judges see it. `content`: its parts, where one of them is an image or video."""

    response_id: str
    text: str
    content: tuple[records.Part, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherJudgment:
    """What another annotator has said of two responses of a contest (for judges that `hear`).

    Its `rationale` speaks of them as it was `shown` them.
    """

    judgment_id: str
    annotator_id: str
    response_a: str
    response_b: str
    shown: Shown | None
    outcome: Outcome
    p_a: float | None = None
    rationale: str | None = None


@dataclass(frozen=True, slots=True)
class PromptItem:
    """A prompt with its responses in the order of their ids. `text_only`: nothing of it is an image or video.

    `meta` is the prompt's JSON object as text; `opinions` are filled in for judges that `hear` others.
    """

    prompt_id: str
    messages: Chat
    reference: str | None
    candidates: tuple[CandidateResponse, ...]
    text_only: bool = True
    meta: str | None = None
    opinions: tuple[OtherJudgment, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a contest, of one candidate (pointwise), two (pairwise) or several (listwise).

    `asked`: for a pair (a, b) in the order of their ids, with `shown` the order in which the judge is to see them
    (null where order has no meaning to it); for a list the candidates in the order shown.
    """

    contest: PromptItem
    asked: tuple[CandidateResponse, ...]
    form: Form = "pairwise"
    shown: Shown | None = None
    sample: int = 0

    @property
    def a(self) -> CandidateResponse:
        return self.asked[0]

    @property
    def b(self) -> CandidateResponse:
        return self.asked[1]

    @property
    def in_shown_order(self) -> tuple[CandidateResponse, CandidateResponse]:
        return (self.b, self.a) if self.shown == "ba" else (self.a, self.b)

    def judgment_id(self, *, annotator: str, revision: str) -> str:
        return records.judgment_id(
            prompt=self.contest.prompt_id,
            annotator=annotator,
            revision=revision,
            form=self.form,
            responses=[candidate.response_id for candidate in self.asked],
            shown=self.shown,
            sample=self.sample,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Speaks of a and b of the question, not of positions. `raw` is what the judge's engine said, or why it failed.

    About one response: the outcome "a", its rating as `score`, and `score_sd`, the standard deviation of the rating
    where the judge gives a distribution. About a list: the outcome "a", `scores` place by place with `asked`, or
    `ranking`, response ids from best to worst, or both.
    `permanent`: a failure that asking again cannot mend.
    """

    outcome: Outcome
    p_a: float | None = None
    score: float | None = None
    score_sd: float | None = None
    scores: tuple[float, ...] | None = None
    ranking: tuple[str, ...] | None = None
    rationale: str | None = None
    raw: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    permanent: bool = False


def from_margin(margin: float, *, tie: float = 0.0) -> Answer:
    """a where the margin is above `tie`, b where it is below −`tie`, else a tie; the margin is kept as the score.

    A margin that is no finite number is a failure, not a vote.
    """
    if not math.isfinite(margin):
        return fail(Failure(f"the margin is {margin}, and not a finite number"))
    outcome: Outcome = "tie" if abs(margin) <= tie else "a" if margin > 0 else "b"
    return Answer(outcome=outcome, score=float(margin))


def from_probability(p_a: float, *, tie: float = 0.0, **also: Any) -> Answer:
    """An answer from the probability that a is better: a tie where it is within `tie` of ½.

    A probability that is no finite number is a failure, not a vote.
    """
    if not math.isfinite(p_a):
        return _fail_not_finite("P(a)", p_a, also)
    rounded = round(min(max(p_a, 0.0), 1.0), _DIGITS)
    margin = rounded - 0.5
    outcome: Outcome = "tie" if abs(margin) <= tie else "a" if margin > 0 else "b"
    return Answer(outcome=outcome, p_a=rounded, **also)


def from_rating(score: float, *, sd: float | None = None, **also: Any) -> Answer:
    """An answer about one response: its rating, the higher the better; a failure where it is no finite number."""
    if not math.isfinite(score):
        return _fail_not_finite("the rating", score, also)
    spread = None if sd is None else round(sd, _DIGITS)
    return Answer(outcome="a", score=round(score, _DIGITS), score_sd=spread, **also)


def abstain(reason: str, **also: Any) -> Answer:
    return Answer(outcome="abstain", raw=reason, **also)


def fail(failure: Failure, **also: Any) -> Answer:
    raw = failure.reason if failure.raw is None else f"{failure.reason}\n{failure.raw}"
    return Answer(outcome="failed", raw=raw, permanent=failure.permanent, **also)


def _fail_not_finite(name: str, value: float, also: Mapping[str, Any]) -> Answer:
    kept = {field: also[field] for field in ("rationale", "tokens_in", "tokens_out") if field in also}
    return fail(Failure(f"{name} is {value}, and not a finite number", also.get("raw")), **kept)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


class JudgeOptions(Section):
    """What every judge has; each kind adds its own options."""

    name: str = Field(description="The annotator's name in all tables.")
    kind: str
    attempts: int = Field(3, ge=1, description="How often a question that fails is asked, over all runs.")
    pairs: Pairs | None = Field(None, description="Which pairs it compares; default: `judge.pairs`.")
    max_pairs: int | None = Field(None, ge=1, description="Pairs per prompt; default: `judge.max_pairs`.")
    after: tuple[str, ...] = Field(
        (), description="Judges before it in the list: it is asked only where they leave a pair uncertain."
    )
    uncertain: float = Field(
        0.2,
        gt=0.0,
        le=0.5,
        description="With `after`: a pair is uncertain where |mean P(a) − ½| is below this.",
    )


class Judge(ABC):
    """Made from its options; opens no model before the first `answer`.

    Class attributes: `kind` says what sort of annotator it is in the tables, `version` counts changes of its code
    that change answers, `hears` whether it is told what the judges before it on the panel have said, `quick` whether
    it answers in no time (its chunks are larger then).
    """

    kind: ClassVar[records.Kind] = "llm"
    version: ClassVar[int] = 1
    hears: ClassVar[bool] = False
    quick: ClassVar[bool] = False
    Options: ClassVar[type[JudgeOptions]] = JudgeOptions
    options: Any

    def __init__(self, options: JudgeOptions, engines: Engines) -> None:
        self.options = options
        self.engines = engines

    @property
    def identity(self) -> Sequence[object]:
        """Whatever can change an answer, apart from the options and the code: engine revisions, template texts."""
        return ()

    @property
    def sees_images(self) -> bool:
        """Whether it is asked about contests with images; else it abstains there."""
        return False

    def revision(self, code: str) -> str:
        """Identifies all that can change an answer; `code` is the digest of a user's own file, else ""."""
        ignored = {*_OF_THE_STAGE, *self.unessential()}
        options = self.options.model_dump(mode="json", exclude=ignored)
        return content_id(type(self).version, code, options, list(self.identity))

    def unessential(self) -> frozenset[str]:
        """Options that change no answer, or whose meaning is in `identity`."""
        return frozenset()

    def questions(self, contest: PromptItem) -> Iterator[Question]:
        """What there is to ask about a contest, by response ids alone: here every pair, order without meaning."""
        for a, b in itertools.combinations(contest.candidates, 2):
            yield Question(contest, (a, b))

    @abstractmethod
    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        """One answer per question, in their order. Questions about one contest stand together."""


def ask_both_orders(contest: PromptItem, *, samples: int = 1) -> Iterator[Question]:
    """Every pair twice, as (a, b) and as (b, a), and that `samples` times."""
    for a, b in itertools.combinations(contest.candidates, 2):
        for sample in range(samples):
            yield Question(contest, (a, b), shown="ab", sample=sample)
            yield Question(contest, (a, b), shown="ba", sample=sample)


def ask_each_response(contest: PromptItem, *, samples: int = 1) -> Iterator[Question]:
    """Every response alone, `samples` times."""
    for candidate in contest.candidates:
        for sample in range(samples):
            yield Question(contest, (candidate,), form="pointwise", sample=sample)


def ask_shuffled_lists(contest: PromptItem, *, samples: int = 1, size: int) -> Iterator[Question]:
    """All responses in `samples` random orders, each second one the reverse of the one before.

    More than `size` of them are cut into lists of nearly equal length, each a question of its own. What is drawn
    depends on the ids alone.
    """
    ids = [candidate.response_id for candidate in contest.candidates]
    if len(ids) < 2:
        return
    for sample in range(samples):
        order = list(contest.candidates)
        random.Random(content_id("shuffled", contest.prompt_id, ids, sample // 2)).shuffle(order)
        parts = -(-len(order) // size)
        for part in range(parts):
            listed = order[part * len(order) // parts : (part + 1) * len(order) // parts]
            asked = tuple(reversed(listed) if sample % 2 else listed)
            yield Question(contest, asked, form="listwise", sample=sample)
