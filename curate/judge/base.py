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
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from curate import records
from curate.config import Section
from curate.engine.base import Chat, Failure
from curate.engine.registry import Engines
from curate.identity import content_id
from curate.records import Form, Outcome, Shown

_DIGITS = 6  # of stored probabilities: beyond what any judge knows, and free of the last bits' noise


@dataclass(frozen=True, slots=True)
class Candidate:
    """A response as judges see it."""

    response_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Contest:
    """A prompt with its responses in the order of their ids. `text_only`: nothing of it is an image or video."""

    prompt_id: str
    messages: Chat
    reference: str | None
    candidates: tuple[Candidate, ...]
    text_only: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a contest: `asked` are the candidates, for a pair (a, b) in the order of their ids, and
    `shown` the order in which the judge is to see them; null where order has no meaning to it.
    """

    contest: Contest
    asked: tuple[Candidate, ...]
    form: Form = "pairwise"
    shown: Shown | None = None
    sample: int = 0

    @property
    def a(self) -> Candidate:
        return self.asked[0]

    @property
    def b(self) -> Candidate:
        return self.asked[1]

    @property
    def in_shown_order(self) -> tuple[Candidate, Candidate]:
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

    `permanent`: a failure that asking again cannot mend.
    """

    outcome: Outcome
    p_a: float | None = None
    score: float | None = None
    rationale: str | None = None
    raw: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    permanent: bool = False


def prefer(margin: float, *, tie: float = 0.0) -> Answer:
    """a where the margin is above `tie`, b where it is below −`tie`, else a tie; the margin is kept as the score."""
    outcome: Outcome = "tie" if abs(margin) <= tie else "a" if margin > 0 else "b"
    return Answer(outcome=outcome, score=float(margin))


def believe(p_a: float, *, tie: float = 0.0, **also: Any) -> Answer:
    """An answer from the probability that a is better: a tie where it is within `tie` of ½."""
    rounded = round(min(max(p_a, 0.0), 1.0), _DIGITS)
    margin = rounded - 0.5
    outcome: Outcome = "tie" if abs(margin) <= tie else "a" if margin > 0 else "b"
    return Answer(outcome=outcome, p_a=rounded, **also)


def abstain(reason: str, **also: Any) -> Answer:
    return Answer(outcome="abstain", raw=reason, **also)


def fail(failure: Failure) -> Answer:
    raw = failure.reason if failure.raw is None else f"{failure.reason}\n{failure.raw}"
    return Answer(outcome="failed", raw=raw, permanent=failure.permanent)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


class JudgeOptions(Section):
    """What every judge has; each kind adds its own options."""

    name: str = Field(description="The annotator's name in all tables.")
    kind: str
    attempts: int = Field(3, ge=1, description="How often a question that fails is asked, over all runs.")


class Judge(ABC):
    """Made from its options; opens no model before the first `answer`.

    Class attributes: `kind` says what sort of annotator it is in the tables, `version` counts changes of its code
    that change answers, `sees_images` whether it is asked about contests with images (else it abstains there).
    """

    kind: ClassVar[records.Kind] = "llm"
    version: ClassVar[int] = 1
    sees_images: ClassVar[bool] = False
    Options: ClassVar[type[JudgeOptions]] = JudgeOptions
    options: Any

    def __init__(self, options: JudgeOptions, engines: Engines) -> None:
        self.options = options
        self.engines = engines

    @property
    def identity(self) -> Sequence[object]:
        """Whatever can change an answer, apart from the options and the code: engine revisions, template texts."""
        return ()

    def revision(self, code: str) -> str:
        """Identifies all that can change an answer; `code` is the digest of a user's own file, else ""."""
        ignored = {"name", "attempts", "engine", *self.unessential()}
        options = self.options.model_dump(mode="json", exclude=ignored)
        return content_id(type(self).version, code, options, list(self.identity))

    def unessential(self) -> frozenset[str]:
        """Options that change no answer, or whose meaning is in `identity`."""
        return frozenset()

    def questions(self, contest: Contest) -> Iterator[Question]:
        """What there is to ask about a contest, by response ids alone: here every pair, order without meaning."""
        for a, b in itertools.combinations(contest.candidates, 2):
            yield Question(contest, (a, b))

    @abstractmethod
    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        """One answer per question, in their order. Questions about one contest stand together."""


def in_both_orders(contest: Contest) -> Iterator[Question]:
    """Every pair twice, as (a, b) and as (b, a)."""
    for a, b in itertools.combinations(contest.candidates, 2):
        yield Question(contest, (a, b), shown="ab")
        yield Question(contest, (a, b), shown="ba")
