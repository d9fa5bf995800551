"""How likely language models find a response: rewards that need no judge's words.

    - {name: dpo, kind: likelihood, method: ratio, engine: tuned, baseline: base, per_token: true, temperature: 0.1}
    - {name: thanks, kind: likelihood, method: follow-up, engine: m}
    - {name: informative, kind: likelihood, method: pmi, engine: m}

With x the prompt and y a response, the score is
    ratio      log p(y|x) − log p_baseline(y|x): of a stronger over a weaker model (density ratio, Xu et al. 2024,
               arXiv 2411.02481), or of a tuned model over what it was tuned from, which is the implicit reward of DPO
               (Rafailov et al. 2023) with β = 1 / `temperature`
    follow-up  mean log p(f|x, y) per token over pleased follow-ups f of the user, less that over displeased ones (FLR,
               Zhang et al. 2024, arXiv 2409.13948)
    pmi        log p(y|x) − log p(y): pointwise mutual information of prompt and response
`per_token: true` divides by the tokens of y (length normalisation, as in SimPO, Meng et al. 2024). The better
response has the higher score, with P(a) = σ((score_a − score_b) / temperature).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from curate.engine.base import Continuation, Engine, Failure, LogLikelihood
from curate.engine.registry import Engines
from curate.judge.base import (
    Answer,
    CandidateResponse,
    Judge,
    JudgeOptions,
    PromptItem,
    Question,
    abstain,
    fail,
    from_probability,
    sigmoid,
)
from curate.judge.language import DUMMY_ITEM, format_request
from curate.judge.registry import judge_kind
from curate.judge.template import ChatTemplate, make_delimiter

_PLEASED = ("Thank you, that is exactly what I needed.", "Great answer, that helps a lot.")
_DISPLEASED = ("That is not what I asked for.", "This is wrong. You have not answered my question.")


class LikelihoodOptions(JudgeOptions):
    """The likelihood of responses under language models."""

    method: Literal["ratio", "follow-up", "pmi"]
    engine: str = Field(description="Name of an engine that gives likelihoods.")
    baseline: str | None = Field(None, description="The weaker or untuned model's engine, for method: ratio.")
    per_token: bool = Field(True, description="Divide by the response's tokens; else long ones weigh more.")
    temperature: float = Field(1.0, gt=0.0, description="Divides the difference of scores.")
    tie_band: float = Field(0.0, ge=0.0, lt=0.5, description="|P(a) − ½| up to which the outcome is a tie.")
    pleased: tuple[str, ...] = Field(_PLEASED, min_length=1, description="What a pleased user says next.")
    displeased: tuple[str, ...] = Field(_DISPLEASED, min_length=1, description="What a displeased one says.")
    template: str = Field("follow-up-v1", description="How method: follow-up asks what the user says next.")

    @model_validator(mode="after")
    def _baseline_where_needed(self) -> Self:
        if (self.method == "ratio") != (self.baseline is not None):
            raise ValueError("`baseline` is needed for method: ratio, and for no other method")
        return self


Entry = tuple[PromptItem, CandidateResponse]
ScoreAndTokens = tuple[float, int]  # a score and the tokens it took


@judge_kind("likelihood")
class Likelihood(Judge):
    """An empty response has no likelihood: a pair with one is judged for the other, two of them are a tie."""

    kind = "implicit"
    Options = LikelihoodOptions
    options: LikelihoodOptions

    def __init__(self, options: LikelihoodOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        where = f"judge.{options.name}"
        self._engine = engines.get(options.engine, where=f"{where}.engine", needs="loglikelihood")
        self._baseline: Engine | None = None
        if options.baseline is not None:
            at = f"{where}.baseline"
            self._baseline = engines.get(options.baseline, where=at, needs="loglikelihood")
        self._template = ChatTemplate.load(options.template, folder=engines.folder, where=f"{where}.template")
        self._follow_ups(
            (DUMMY_ITEM, DUMMY_ITEM.candidates[0])
        )  # a template that cannot be filled in shall say so now

    @property
    def identity(self) -> Sequence[object]:
        return (
            self._engine.revision,
            self._baseline.revision if self._baseline is not None else None,
            self._template.text if self.options.method == "follow-up" else None,
        )

    def non_identity_options(self) -> frozenset[str]:
        return frozenset({"template", "baseline"})

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        entries = {
            (question.item.prompt_id, candidate.response_id): (question.item, candidate)
            for question in questions
            for candidate in question.asked
            if candidate.text.strip()
        }
        measure = self._follow_up if self.options.method == "follow-up" else self._of_response
        found = dict(zip(entries, measure(list(entries.values())), strict=True))
        unpaid = {key: each[1] for key, each in found.items() if not isinstance(each, Failure)}
        answers = []
        for question in questions:
            keys = [(question.item.prompt_id, candidate.response_id) for candidate in question.asked]
            tokens = sum(unpaid.pop(key, 0) for key in keys)  # once per response, not once per pair
            answers.append(self._compare(found.get(keys[0]), found.get(keys[1]), tokens))
        return answers

    def _compare(
        self, a: ScoreAndTokens | Failure | None, b: ScoreAndTokens | Failure | None, tokens: int
    ) -> Answer:
        for side in (a, b):
            if isinstance(side, Failure):
                return fail(side)
        if isinstance(a, tuple) and isinstance(b, tuple):
            margin = a[0] - b[0]
            p_a = sigmoid(margin / self.options.temperature)
            return from_probability(p_a, tie=self.options.tie_band, score=round(margin, 6), tokens_in=tokens)
        if a is None and b is None:
            return abstain("both responses are empty")
        return Answer(outcome="a" if b is None else "b", raw="the other response is empty", tokens_in=tokens)

    def _of_response(self, entries: Sequence[Entry]) -> list[ScoreAndTokens | Failure]:
        given = [
            Continuation(messages=item.messages, continuation=candidate.text) for item, candidate in entries
        ]
        if self._baseline is not None:
            less = self._baseline.loglikelihood(given)
        else:
            less = self._engine.loglikelihood(
                [Continuation(messages=(), continuation=candidate.text) for _, candidate in entries]
            )
        return [
            self._less(one, other) for one, other in zip(self._engine.loglikelihood(given), less, strict=True)
        ]

    def _less(self, one: LogLikelihood | Failure, other: LogLikelihood | Failure) -> ScoreAndTokens | Failure:
        """Two models may cut a text into different tokens: each is divided by its own."""
        if isinstance(one, Failure):
            return one
        if isinstance(other, Failure):
            return other
        return self._scaled(one) - self._scaled(other), one.tokens_in + other.tokens_in

    def _scaled(self, found: LogLikelihood) -> float:
        return found.log_prob / found.tokens if self.options.per_token else found.log_prob

    def _follow_up(self, entries: Sequence[Entry]) -> list[ScoreAndTokens | Failure]:
        asked = [self._follow_ups(entry) for entry in entries]
        found = iter(self._engine.loglikelihood([each for follow_ups in asked for each in follow_ups]))
        return [self._pleasure([next(found) for _ in follow_ups]) for follow_ups in asked]

    def _follow_ups(self, entry: Entry) -> list[Continuation]:
        item, candidate = entry
        request = format_request(item)
        messages, prefill = self._template.render(
            marker=make_delimiter(item.prompt_id, [request, candidate.text]),
            request=request,
            answer=candidate.text,
        )
        opened = f"{prefill}\n" if prefill else ""
        return [
            Continuation(messages=messages, prefill=opened, continuation=said)
            for said in (*self.options.pleased, *self.options.displeased)
        ]

    def _pleasure(self, found: Sequence[LogLikelihood | Failure]) -> ScoreAndTokens | Failure:
        values = []
        for each in found:
            if isinstance(each, Failure):
                return each
            values.append(each.log_prob / each.tokens)
        split, tokens = len(self.options.pleased), sum(_count_tokens(each) for each in found)
        pleased, displeased = values[:split], values[split:]
        return sum(pleased) / len(pleased) - sum(displeased) / len(displeased), tokens


def _count_tokens(found: LogLikelihood | Failure) -> int:
    return 0 if isinstance(found, Failure) else found.tokens_in
