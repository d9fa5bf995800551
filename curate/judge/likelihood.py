"""Rewards from the likelihood of a response under language models; no judge has to write.

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
Of several turns, `ratio` adds up what the assistant says, each message after all before it. Calls and reasoning have no
text that all models would write alike: where there are any, `ratio` abstains; so does `pmi` where a response is more
than one text. `follow-up` shows trajectories whole, without reasoning.
`per_token: true` divides by the tokens of y (length normalisation, as in SimPO, Meng et al. 2024). The better
response has the higher score, with P(a) = σ((score_a − score_b) / temperature).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from curate.data.conversation import is_plain, is_text
from curate.engine.base import Continuation, Engine, Failure, LogLikelihood
from curate.engine.delimiter import draw_delimiter
from curate.engine.registry import Engines
from curate.engine.template import ChatTemplate
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
from curate.judge.language import DUMMY_ITEM
from curate.judge.registry import judge_kind
from curate.judge.trajectory import DEFAULT_VIEW
from curate.records import plain_text

_PLEASED = ("Thank you, that is exactly what I needed.", "Great answer, that helps a lot.")
_DISPLEASED = ("That is not what I asked for.", "This is wrong. You have not answered my question.")


class LikelihoodOptions(JudgeOptions):
    """Options of a judge by likelihood under language models."""

    method: Literal["ratio", "follow-up", "pmi"]
    engine: str = Field(description="Name of an engine that gives likelihoods.")
    baseline: str | None = Field(None, description="The weaker or untuned model's engine, for method: ratio.")
    per_token: bool = Field(True, description="Divide by the response's tokens; else long ones weigh more.")
    temperature: float = Field(1.0, gt=0.0, description="Divides the difference of scores.")
    tie_band: float = Field(0.0, ge=0.0, lt=0.5, description="|P(a) − ½| up to which the outcome is a tie.")
    pleased: tuple[str, ...] = Field(_PLEASED, min_length=1, description="Next turns of a pleased user.")
    displeased: tuple[str, ...] = Field(
        _DISPLEASED, min_length=1, description="Next turns of a displeased user."
    )
    template: str = Field(
        "follow-up-v1", description="Template that asks for the user's next turn, for method: follow-up."
    )

    @model_validator(mode="after")
    def _baseline_where_needed(self) -> Self:
        if (self.method == "ratio") != (self.baseline is not None):
            raise ValueError("`baseline` is needed for method: ratio, and for no other method")
        return self


Entry = tuple[PromptItem, CandidateResponse]
ScoreAndTokens = tuple[float, int]  # a score and the tokens it took


@judge_kind("likelihood")
class Likelihood(Judge):
    """A judge by likelihood. An empty response has none: the other response of its pair wins; two of them abstain."""

    kind = "implicit"
    Options = LikelihoodOptions
    options: LikelihoodOptions

    def __init__(self, options: LikelihoodOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        where = f"judge.{options.name}"
        self._engine = engines.get(options.engine, where=f"{where}.engine", needs="loglikelihood")
        self._baseline: Engine | None = None
        if options.baseline is not None:
            self._baseline = engines.get(options.baseline, where=f"{where}.baseline", needs="loglikelihood")
        self._template = ChatTemplate.load(options.template, folder=engines.folder, where=f"{where}.template")
        # A template that cannot be filled in is refused here, before any question.
        self._make_follow_ups((DUMMY_ITEM, DUMMY_ITEM.candidates[0]))

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
            if candidate.spoken_text.strip() and self._can_score(candidate)
        }
        measure = self._score_follow_ups if self.options.method == "follow-up" else self._score_responses
        scores = dict(zip(entries, measure(list(entries.values())), strict=True))
        unpaid = {key: score[1] for key, score in scores.items() if not isinstance(score, Failure)}
        answers = []
        for question in questions:
            if not all(map(self._can_score, question.asked)):
                answers.append(abstain(f"a response is more than method: {self.options.method} can measure"))
                continue
            keys = [(question.item.prompt_id, candidate.response_id) for candidate in question.asked]
            tokens = sum(unpaid.pop(key, 0) for key in keys)  # once per response, not once per pair
            answers.append(self._compare_pair(scores.get(keys[0]), scores.get(keys[1]), tokens))
        return answers

    def _can_score(self, candidate: CandidateResponse) -> bool:
        """Tell whether the method has a likelihood for a response."""
        if self.options.method == "follow-up" or not candidate.conversation:
            return True
        check = is_plain if self.options.method == "pmi" else is_text
        return check(candidate.conversation)

    def _compare_pair(
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

    def _score_responses(self, entries: Sequence[Entry]) -> list[ScoreAndTokens | Failure]:
        requests = [_split_turns(item, candidate) for item, candidate in entries]
        if self._baseline is not None:
            baseline = _add_up(self._baseline, requests)
        else:
            bare = [[Continuation(messages=(), continuation=candidate.text)] for _, candidate in entries]
            baseline = _add_up(self._engine, bare)
        return [
            self._subtract(one, other)
            for one, other in zip(_add_up(self._engine, requests), baseline, strict=True)
        ]

    def _subtract(
        self, one: LogLikelihood | Failure, other: LogLikelihood | Failure
    ) -> ScoreAndTokens | Failure:
        """Return the difference; two models may cut a text into different tokens, so each is divided by its own."""
        if isinstance(one, Failure):
            return one
        if isinstance(other, Failure):
            return other
        return self._scale(one) - self._scale(other), one.tokens_in + other.tokens_in

    def _scale(self, likelihood: LogLikelihood) -> float:
        value = likelihood.log_prob
        return value / likelihood.tokens if self.options.per_token else value

    def _score_follow_ups(self, entries: Sequence[Entry]) -> list[ScoreAndTokens | Failure]:
        requests = [self._make_follow_ups(entry) for entry in entries]
        likelihoods = iter(
            self._engine.loglikelihood([request for follow_ups in requests for request in follow_ups])
        )
        return [self._average([next(likelihoods) for _ in follow_ups]) for follow_ups in requests]

    def _make_follow_ups(self, entry: Entry) -> list[Continuation]:
        item, candidate = entry
        texts = item.render_texts([candidate], DEFAULT_VIEW)
        delimiter = draw_delimiter(self.engines, item.prompt_id, [texts.request, *texts.responses])
        messages, prefill = self._template.render(
            marker=delimiter.word,
            request=texts.request,
            answer=texts.responses[0],
        )
        prefix = f"{prefill}\n" if prefill else ""
        return [
            Continuation(messages=messages, prefill=prefix, continuation=follow_up, delimiter=delimiter)
            for follow_up in (*self.options.pleased, *self.options.displeased)
        ]

    def _average(self, likelihoods: Sequence[LogLikelihood | Failure]) -> ScoreAndTokens | Failure:
        values = []
        for likelihood in likelihoods:
            if isinstance(likelihood, Failure):
                return likelihood
            values.append(likelihood.log_prob / likelihood.tokens)
        split, tokens = len(self.options.pleased), sum(map(_count_tokens, likelihoods))
        pleased, displeased = values[:split], values[split:]
        return sum(pleased) / len(pleased) - sum(displeased) / len(displeased), tokens


def _split_turns(item: PromptItem, candidate: CandidateResponse) -> list[Continuation]:
    """Return what the assistant says as continuations, each of all that comes before it."""
    return [
        Continuation(
            messages=(*item.messages, *candidate.messages[:place]), continuation=plain_text(message.content)
        )
        for place, message in enumerate(candidate.messages)
        if message.role == "assistant" and plain_text(message.content).strip()
    ]


def _add_up(engine: Engine, requests: Sequence[Sequence[Continuation]]) -> list[LogLikelihood | Failure]:
    """Return the likelihood of each list of continuations together; its first failure where it has one."""
    parts = iter(engine.loglikelihood([one for continuations in requests for one in continuations]))
    sums: list[LogLikelihood | Failure] = []
    for continuations in requests:
        group = [next(parts) for _ in continuations]
        total = next((part for part in group if isinstance(part, Failure)), group[0])
        for part in group[1:]:
            if isinstance(total, LogLikelihood) and isinstance(part, LogLikelihood):
                total = LogLikelihood(
                    total.log_prob + part.log_prob,
                    total.tokens + part.tokens,
                    total.tokens_in + part.tokens_in,
                )
        sums.append(total)
    return sums


def _count_tokens(likelihood: LogLikelihood | Failure) -> int:
    return 0 if isinstance(likelihood, Failure) else likelihood.tokens_in
