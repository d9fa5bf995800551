"""The interface of judges: a judge answers questions about the responses to a prompt, one answer per question.

A judge of your own is one small file beside curate.yaml:

    # shouting.py
    from curate.judge.base import Answer, Judge, Question, from_margin

    class Quieter(Judge):
        kind = "rule"

        def answer(self, questions: list[Question]) -> list[Answer]:
            return [from_margin(q.b.text.count("!") - q.a.text.count("!")) for q in questions]

    # curate.yaml
    judge:
      judges:
        - {name: quieter, kind: "./shouting.py:Quieter"}

A judge with options has a subclass of `JudgeOptions` as its class attribute `Options`, and reads `self.options`. A
judge with a model calls `self.engines.get(name, needs="choose")` in `__init__` and names the engine's revision in
`identity`. The digest of the file is part of the judge's revision: after a change of the code, all is asked again.
"""

from __future__ import annotations

import itertools
import math
import random
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import Field

from curate import records
from curate.config.judge import Pairs
from curate.core.identity import content_id
from curate.core.section import Section
from curate.data.conversation import (
    Conversation,
    get_final_text,
    get_spoken_text,
    is_plain,
    is_text,
    render_response,
    text_answer,
)
from curate.data.rubric import Rubric
from curate.engine.base import Chat, Failure
from curate.engine.registry import Engines
from curate.judge.criterion_answer import CriterionAnswer
from curate.judge.trajectory import (
    JudgedTexts,
    TextView,
    render_question,
    render_request,
)
from curate.records import Form, Outcome, Shown, plain_text

# Options that choose the questions and their time, and change no answer.
_STAGE_OPTIONS = frozenset({"name", "engine", "attempts", "pairs", "max_pairs", "after", "uncertain"})
RENAMED = {
    "Candidate": "CandidateResponse",
    "Contest": "PromptItem",
    "Opinion": "OtherJudgment",
    "believe": "from_probability",
    "in_both_orders": "ask_both_orders",
    "one_by_one": "ask_each_response",
    "prefer": "from_margin",
    "rate": "from_rating",
    "shuffled": "ask_shuffled_lists",
}  # names of before, which judges of users may import until the next release
_RENAMED_MEMBERS = {
    "hears": "sees_other_judgments",
    "quick": "is_cheap",
    "unessential": "non_identity_options",
}
_DIGITS = 6  # of stored probabilities: more than any judge knows, and without the noise of the last bits


@dataclass(frozen=True, slots=True)
class CandidateResponse:
    """A response as judges see it.

    Attributes:
        response_id: Id of the response in the lake.
        text: The response as text: calls and results between tags, reasoning only where there is nothing else.
        conversation: All its messages, where it is more than one plain text; else ().
    """

    response_id: str
    text: str
    conversation: Conversation = ()

    @classmethod
    def from_messages(cls, response_id: str, messages: Conversation) -> Self:
        """Make a candidate of the messages of a response."""
        if is_plain(messages):
            return cls(response_id, plain_text(messages[0].content))
        return cls(response_id, render_response(messages), messages)

    @property
    def messages(self) -> Conversation:
        """All messages of the response."""
        return self.conversation or text_answer(self.text)

    @property
    def final_text(self) -> str:
        """Text of the assistant's last message: the answer that a trajectory comes to."""
        return get_final_text(self.conversation) if self.conversation else self.text

    @property
    def spoken_text(self) -> str:
        """All that the assistant says, without reasoning, calls and results."""
        return get_spoken_text(self.conversation) if self.conversation else self.text


@dataclass(frozen=True, slots=True)
class OtherJudgment:
    """A judgment of another annotator about two responses, for judges with `sees_other_judgments`.

    Its `rationale` calls the responses A and B in the order in which they were `shown` to the other annotator.
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
    """A prompt with its responses in the order of their ids.

    Attributes:
        prompt_id: Id of the prompt in the lake.
        messages: The conversation that the responses answer.
        reference: Reference answer, where the data have one.
        candidates: The responses.
        text_only: No message and no response holds an image or a video.
        meta: The prompt's JSON object as text.
        tools: JSON text of the tools that models could call.
        other_judgments: Judgments of other annotators, for judges with `sees_other_judgments`.
        known_verdicts: Verdicts of the judge itself on criteria, for judges with `keeps_verdicts`.
    """

    prompt_id: str
    messages: Chat
    reference: str | None
    candidates: tuple[CandidateResponse, ...]
    text_only: bool = True
    meta: str | None = None
    other_judgments: tuple[OtherJudgment, ...] = ()
    tools: str | None = None
    known_verdicts: tuple[CriterionAnswer, ...] = ()

    def render_texts(self, asked: Sequence[CandidateResponse], view: TextView) -> JudgedTexts:
        """Return the request and the responses in question as text, as a judge with these options sees them."""
        if self.tools is None and is_text(self.messages) and not any(one.conversation for one in asked):
            return JudgedTexts(render_request(self.messages, view), tuple(one.text for one in asked))
        return render_question(
            self.messages, [candidate.messages for candidate in asked], view, tools=self.tools
        )


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one response (pointwise), two responses (pairwise) or several (listwise).

    Attributes:
        item: The prompt with all its responses.
        asked: The responses in question: a pair in the order of the ids, a list in the order shown.
        form: Form of the judgment.
        shown: Order in which the judge sees a pair; None where the order has no meaning for the judge.
        sample: Number of the repetition, from 0.
    """

    item: PromptItem
    asked: tuple[CandidateResponse, ...]
    form: Form = "pairwise"
    shown: Shown | None = None
    sample: int = 0

    @property
    def contest(self) -> PromptItem:
        """Return `item` under its old name, with a warning."""
        warn_old_name("question.contest", "question.item", stacklevel=3)
        return self.item

    @property
    def a(self) -> CandidateResponse:
        return self.asked[0]

    @property
    def b(self) -> CandidateResponse:
        return self.asked[1]

    def judgment_id(self, *, annotator: str, revision: str) -> str:
        return records.judgment_id(
            prompt=self.item.prompt_id,
            annotator=annotator,
            revision=revision,
            form=self.form,
            responses=[candidate.response_id for candidate in self.asked],
            shown=self.shown,
            sample=self.sample,
        )


@dataclass(frozen=True, slots=True)
class AspectRating:
    """A rating of one response in one aspect, beside that of the response as a whole."""

    aspect: str
    score: float
    score_sd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A judge's answer to a question. It names the responses a and b of the question, not the positions shown.

    An answer about one response has the outcome "a" and the rating as `score`. An answer about a list has the outcome
    "a" and `scores`, `ranking` or both.

    Attributes:
        outcome: The better response, a tie, an abstention or a failure.
        p_a: Probability that a is better.
        score: Margin of a over b, or the rating of one response.
        score_sd: Standard deviation of the rating, where the judge gives a distribution.
        scores: One score for each response of a list, in the order of `Question.asked`.
        ranking: Response ids from best to worst.
        rationale: Reasons that the judge wrote.
        raw: Output of the engine, or the reason of a failure.
        tokens_in: Tokens read.
        tokens_out: Tokens written.
        permanent: The question fails each time, so it is not asked again.
        verdicts: What was said now of single criteria; they become rows of `criterion_verdicts`.
        rubric: The rubric that the judge went by; it becomes a row of `rubrics`.
        aspects: Ratings of one response in single aspects; each becomes a judgment about that aspect.
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
    verdicts: tuple[CriterionAnswer, ...] = ()
    rubric: Rubric | None = None
    aspects: tuple[AspectRating, ...] = ()


def from_margin(margin: float, *, tie: float = 0.0) -> Answer:
    """Return an answer from a margin: a above `tie`, b below −`tie`, else a tie; the margin becomes the score.

    A margin that is no finite number gives a failed answer.
    """
    if not math.isfinite(margin):
        return fail(Failure(f"the margin is {margin}, and not a finite number"))
    outcome: Outcome = "tie" if abs(margin) <= tie else "a" if margin > 0 else "b"
    return Answer(outcome=outcome, score=float(margin))


def from_probability(p_a: float, *, tie: float = 0.0, **also: Any) -> Answer:
    """Return an answer from the probability that a is better: a tie where it is within `tie` of ½.

    A probability that is no finite number gives a failed answer. `also`: more fields of the answer.
    """
    if not math.isfinite(p_a):
        return _fail_not_finite("P(a)", p_a, also)
    rounded = round(min(max(p_a, 0.0), 1.0), _DIGITS)
    margin = rounded - 0.5
    outcome: Outcome = "tie" if abs(margin) <= tie else "a" if margin > 0 else "b"
    return Answer(outcome=outcome, p_a=rounded, **also)


def from_rating(score: float, *, sd: float | None = None, **also: Any) -> Answer:
    """Return an answer about one response from its rating, the higher the better; a failed one if it is not finite."""
    if not math.isfinite(score):
        return _fail_not_finite("the rating", score, also)
    spread = None if sd is None else round(sd, _DIGITS)
    return Answer(outcome="a", score=round(score, _DIGITS), score_sd=spread, **also)


def abstain(reason: str, **also: Any) -> Answer:
    """Return an answer without a verdict."""
    return Answer(outcome="abstain", raw=reason, **also)


def fail(failure: Failure, **also: Any) -> Answer:
    """Return a failed answer; `raw` holds the reason and what the engine wrote."""
    raw = failure.reason if failure.raw is None else f"{failure.reason}\n{failure.raw}"
    return Answer(outcome="failed", raw=raw, permanent=failure.permanent, **also)


def _fail_not_finite(name: str, value: float, also: Mapping[str, Any]) -> Answer:
    other_fields = {name: also[name] for name in ("rationale", "tokens_in", "tokens_out") if name in also}
    return fail(Failure(f"{name} is {value}, and not a finite number", also.get("raw")), **other_fields)


def sigmoid(x: float) -> float:
    """Compute 1 / (1 + e^-x) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


class JudgeOptions(Section):
    """Options of every judge; each kind adds its own."""

    name: str = Field(description="The annotator's name in all tables.")
    kind: str
    attempts: int = Field(
        3, ge=1, description="How often a question that fails is asked, counted over all runs."
    )
    pairs: Pairs | None = Field(None, description="Which pairs it compares; default: `judge.pairs`.")
    max_pairs: int | None = Field(None, ge=1, description="Pairs per prompt; default: `judge.max_pairs`.")
    after: tuple[str, ...] = Field(
        (),
        description="Judges earlier in the list: this judge is asked only about pairs that they leave uncertain.",
    )
    uncertain: float = Field(
        0.2,
        gt=0.0,
        le=0.5,
        description="With `after`: a pair is uncertain where |mean P(a) − ½| is below this.",
    )


class Judge(ABC):
    """A judge, made from its options; it opens no model before the first `answer`.

    Attributes:
        kind: Kind of annotator in the tables.
        version: Number that counts changes of the code that change answers.
        sees_other_judgments: `item.other_judgments` holds the judgments of the judges before it on the panel.
        keeps_verdicts: `item.known_verdicts` holds what it has said of single criteria before.
        is_cheap: It answers in no time, so its chunks are larger.
        Options: Class of its options.
    """

    kind: ClassVar[records.Kind] = "llm"
    version: ClassVar[int] = 1
    sees_other_judgments: ClassVar[bool] = False
    keeps_verdicts: ClassVar[bool] = False
    is_cheap: ClassVar[bool] = False
    Options: ClassVar[type[JudgeOptions]] = JudgeOptions
    options: Any

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Give the members that were renamed their new names, in judges of users that have the old ones."""
        super().__init_subclass__(**arguments)
        for old, new in _RENAMED_MEMBERS.items():
            if old in vars(cls):
                warn_old_name(f"{cls.__name__}.{old}", f"{cls.__name__}.{new}", stacklevel=3)
                setattr(cls, new, vars(cls)[old])

    def __init__(self, options: JudgeOptions, engines: Engines) -> None:
        self.options = options
        self.engines = engines

    @property
    def identity(self) -> Sequence[object]:
        """Return all that can change an answer besides options and code: revisions of engines, texts of templates."""
        return ()

    @property
    def sees_images(self) -> bool:
        """Tell whether the judge reads images; if not, it abstains where there are some."""
        return False

    @property
    def note(self) -> str:
        """Return a sentence about what the judge could not read whole since it was made, for summaries; "" for none."""
        return ""

    def revision(self, code: str) -> str:
        """Return the id of all that can change an answer; `code`: digest of a user's own file, or ""."""
        ignored = {*_STAGE_OPTIONS, *self.non_identity_options()}
        options = self.options.model_dump(mode="json", exclude=ignored)
        return content_id(type(self).version, code, options, list(self.identity))

    def non_identity_options(self) -> frozenset[str]:
        """Return the options that change no answer, or whose meaning is in `identity`."""
        return frozenset()

    def questions(self, item: PromptItem) -> Iterator[Question]:
        """Yield the questions about an item; they depend on response ids alone. Here: every pair, without an order."""
        for a, b in itertools.combinations(item.candidates, 2):
            yield Question(item, (a, b))

    @abstractmethod
    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        """Return one answer for each question, in their order. Questions about one item are neighbours."""


def ask_both_orders(item: PromptItem, *, samples: int = 1) -> Iterator[Question]:
    """Yield every pair twice, as (a, b) and as (b, a), and that `samples` times."""
    for a, b in itertools.combinations(item.candidates, 2):
        for sample in range(samples):
            yield Question(item, (a, b), shown="ab", sample=sample)
            yield Question(item, (a, b), shown="ba", sample=sample)


def ask_each_response(item: PromptItem, *, samples: int = 1) -> Iterator[Question]:
    """Yield a question about each response alone, `samples` times."""
    for candidate in item.candidates:
        for sample in range(samples):
            yield Question(item, (candidate,), form="pointwise", sample=sample)


def ask_shuffled_lists(item: PromptItem, *, samples: int = 1, size: int) -> Iterator[Question]:
    """Yield questions about all responses in `samples` random orders; every second one reverses the order before it.

    The orders depend on the ids alone.

    Args:
        item: Prompt and responses.
        samples: Number of orders.
        size: Longest list; more responses are cut into lists of nearly equal length, each a question of its own.
    """
    ids = [candidate.response_id for candidate in item.candidates]
    if len(ids) < 2:
        return
    for sample in range(samples):
        order = list(item.candidates)
        random.Random(content_id("shuffled", item.prompt_id, ids, sample // 2)).shuffle(order)
        parts = -(-len(order) // size)
        for part in range(parts):
            listed = order[part * len(order) // parts : (part + 1) * len(order) // parts]
            asked = tuple(reversed(listed) if sample % 2 else listed)
            yield Question(item, asked, form="listwise", sample=sample)


def warn_old_name(old: str, new: str, *, stacklevel: int) -> None:
    """Warn the caller's caller that a name has changed."""
    warnings.warn(
        f"`{old}` is now called `{new}`: write that instead, for the next release drops the old name.",
        DeprecationWarning,
        stacklevel=stacklevel,
    )


def __getattr__(name: str) -> Any:
    """Return what is asked for under a name of before, with a warning."""
    if name not in RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn_old_name(name, RENAMED[name], stacklevel=3)
    return globals()[RENAMED[name]]
