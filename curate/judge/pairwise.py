"""A language model compares two responses, in both orders, and its verdict is read from its logits.

    - {name: smol, kind: pairwise, engine: smol, tie: true, reference: false}

Each pair is asked twice, as (a, b) and as (b, a): two judgments, whose difference is the position bias. The engine
gives the probabilities of the verdicts "A", "B" (and "C", a tie, with `tie: true`) as the next word; among
themselves they sum to one, and P(a) = P(verdict for a) + ½ P(tie). The outcome is a tie where "C" is the likeliest,
or where P(a) is within `tie_band` of ½. Where the verdicts together hold less than `min_mass` of all probability,
the model was about to say something else, and the judgment has failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pydantic import Field

from curate.engine.base import Choice, Choose, Failure, chat
from curate.engine.registry import Engines
from curate.judge.base import (
    Answer,
    Candidate,
    Contest,
    Judge,
    JudgeOptions,
    Question,
    believe,
    fail,
    in_both_orders,
)
from curate.judge.registry import judge_kind
from curate.judge.template import ChatTemplate, marker
from curate.records import plain

_VERDICTS = ("A", "B", "C")
_ASK = "Say A or B."
_ASK_TIE = "Say A, B, or C if they are equally good."
_TRIAL = Question(
    Contest("", chat(("user", "?")), "!", (Candidate("a", "1"), Candidate("b", "2"))),
    (Candidate("a", "1"), Candidate("b", "2")),
    shown="ab",
)


class PairwiseOptions(JudgeOptions):
    """A language model that compares two responses."""

    engine: str = Field(description="Name of an engine that can choose.")
    template: str = Field(
        "pairwise-v1", description="A template of the package, or a .jinja file of your own."
    )
    tie: bool = Field(False, description="Offer the verdict that both are equally good.")
    tie_band: float = Field(0.0, ge=0.0, lt=0.5, description="|P(a) − ½| up to which the outcome is a tie.")
    reference: bool = Field(False, description="Show the prompt's reference answer, where it has one.")
    min_mass: float = Field(0.01, ge=0.0, le=1.0, description="Least probability of the verdicts together.")


@judge_kind("pairwise")
class Pairwise(Judge):
    kind = "llm"
    Options = PairwiseOptions
    options: PairwiseOptions

    def __init__(self, options: PairwiseOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        where = f"judge.{options.name}"
        self._engine = engines.get(options.engine, where=f"{where}.engine", needs="choose")
        self._template = ChatTemplate.load(options.template, folder=engines.folder, where=f"{where}.template")
        self.ask(_TRIAL)  # a template that cannot be filled in shall say so now

    @property
    def identity(self) -> Sequence[object]:
        return (self._engine.revision, self._template.text)

    def unessential(self) -> frozenset[str]:
        return frozenset({"template"})  # its text counts, not its name

    def questions(self, contest: Contest) -> Iterator[Question]:
        return in_both_orders(contest)

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        found = self._engine.choose([self.ask(question) for question in questions])
        return [self._verdict(question, choice) for question, choice in zip(questions, found, strict=True)]

    def ask(self, question: Question) -> Choose:
        """The question as the engine gets it."""
        first, second = question.in_shown_order
        request, reference = _request(question.contest), question.contest.reference
        shown = reference if self.options.reference else None
        messages, prefill = self._template.render(
            marker=marker(question.contest.prompt_id, [request, first.text, second.text, shown or ""]),
            request=request,
            reference=shown,
            first=first.text,
            second=second.text,
            ask=_ASK_TIE if self.options.tie else _ASK,
        )
        return Choose(messages=messages, choices=_VERDICTS[: 3 if self.options.tie else 2], prefill=prefill)

    def _verdict(self, question: Question, choice: Choice | Failure) -> Answer:
        if isinstance(choice, Failure):
            return fail(choice)
        raw = json.dumps(
            {verdict: round(value, 4) for verdict, value in zip(_VERDICTS, choice.log_probs, strict=False)}
        )
        if choice.mass < self.options.min_mass:
            reason = f"the verdicts hold only {choice.mass:.2g} of the probability"
            return fail(Failure(reason, raw, permanent=True))
        first, second, *rest = choice.probabilities
        tie = rest[0] if rest else 0.0
        p_first = float(first + tie / 2)
        p_a = 1 - p_first if question.shown == "ba" else p_first
        band = 0.5 if tie > max(first, second) else self.options.tie_band
        tokens = {"tokens_in": choice.tokens_in, "tokens_out": choice.tokens_out}
        return believe(p_a, tie=band, raw=raw, **tokens)


def _request(contest: Contest) -> str:
    """The prompt as text: the question alone, or all turns with who said them."""
    if len(contest.messages) == 1:
        return plain(contest.messages[0].content)
    return "\n\n".join(f"[{turn.role}]\n{plain(turn.content)}" for turn in contest.messages)
