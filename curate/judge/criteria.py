"""Hold responses against the criteria of a rubric: each criterion a verdict, by probability or as constrained JSON.

A verdict has an id that depends on the criterion's text, the response, and all that can change the answer (engine,
template, options) but not on the rubric around it. So a rubric that is edited is asked about what is new in it alone.
With several criteria in one request (`batch`) each may colour the others, so the others belong to the id too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from curate.core.identity import content_id
from curate.data.rubric import Criterion
from curate.engine.base import (
    Chat,
    Choice,
    Choose,
    Delimiter,
    Engine,
    Failure,
    Generate,
    Generation,
    Sampling,
    fill_slots,
)
from curate.engine.delimiter import draw_delimiter
from curate.engine.json_answer import build_object_schema, parse_json_object
from curate.engine.registry import Engines
from curate.engine.template import ChatTemplate
from curate.judge.base import Question
from curate.judge.criterion_answer import CriterionAnswer, VerdictOutcome
from curate.judge.media_marks import MediaMarks, UnreadableMediumError
from curate.judge.trajectory import JudgedTexts
from curate.records import verdict_id

_ANSWERS = ("Yes", "No")
_LONGEST_REASON = 200  # characters; a bound that the schema sets, so that no reason eats the verdict after it
_DIGITS = 6
_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")


@dataclass(frozen=True, slots=True)
class CriteriaBatch:
    """Criteria of one response that are asked in one request."""

    question: Question
    texts: JudgedTexts
    criteria: tuple[Criterion, ...]

    @property
    def response_id(self) -> str:
        return self.question.a.response_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CriteriaAsker:
    """Asks an engine about criteria.

    Attributes:
        annotator: Name of the judge.
        engine: The engine.
        engines: The engines of the workspace, which have the key of delimiters.
        template: Template of the request.
        by_probability: P(Yes) of one criterion a request; else JSON about up to `batch` criteria.
        batch: Criteria of a request.
        reasons: The JSON holds a reason for each verdict.
        persona: Role of the judge.
        reference: Show the prompt's reference answer.
        max_tokens: Longest JSON.
        min_mass: Least probability of Yes and No together.
        view: What identifies the view of trajectories, and of images and videos.
        marks: Images and videos of the texts, where the engine reads images.
    """

    annotator: str
    engine: Engine
    engines: Engines
    template: ChatTemplate
    by_probability: bool
    batch: int = 1
    reasons: bool = False
    persona: str | None = None
    reference: bool = False
    max_tokens: int = 1024
    min_mass: float = 0.01
    view: Sequence[object] = ()
    marks: MediaMarks | None = None

    def identify_asking(self) -> list[object]:
        """Return all that can change a verdict, but for the criteria and the response."""
        limit = self.min_mass if self.by_probability else self.max_tokens
        return [
            self.engine.revision, self.template.text, self.by_probability, self.reasons, self.persona,
            self.reference, limit, *self.view,
        ]  # fmt: skip

    def cut_batches(
        self, question: Question, texts: JudgedTexts, criteria: Sequence[Criterion]
    ) -> Iterator[CriteriaBatch]:
        """Cut the criteria of a question into batches; which ones share a request does not depend on what is known."""
        size = 1 if self.by_probability else self.batch
        for start in range(0, len(criteria), size):
            yield CriteriaBatch(question, texts, tuple(criteria[start : start + size]))

    def list_verdict_ids(self, batch: CriteriaBatch) -> list[str]:
        """Return the ids of a batch's verdicts, and so whether they are known."""
        revision = self._make_revision(batch)
        return [
            verdict_id(
                criterion=criterion.criterion_id,
                response=batch.response_id,
                annotator=self.annotator,
                revision=revision,
                sample=batch.question.sample,
            )
            for criterion in batch.criteria
        ]

    def ask(self, batches: Sequence[CriteriaBatch]) -> list[list[CriterionAnswer]]:
        """Return the verdicts of each batch, in the order of its criteria."""
        if self.by_probability:
            chosen = self._send(batches, self._build_choose, self.engine.choose)
            return [[self._read_choice(batch, choice)] for batch, choice in zip(batches, chosen, strict=True)]
        written = self._send(batches, self._build_generate, self.engine.generate)
        return [self._read_json(batch, output) for batch, output in zip(batches, written, strict=True)]

    def _send(
        self,
        batches: Sequence[CriteriaBatch],
        build: Callable[[CriteriaBatch], _Request | Failure],
        ask: Callable[[Sequence[_Request]], Sequence[_Reply | Failure]],
    ) -> list[_Reply | Failure]:
        """Ask about the batches whose images and videos can be read; the others are failures."""
        requests = [build(batch) for batch in batches]
        sent = [request for request in requests if not isinstance(request, Failure)]
        return list(fill_slots(requests, ask(sent) if sent else []))

    def _make_revision(self, batch: CriteriaBatch) -> str:
        others = [criterion.criterion_id for criterion in batch.criteria] if len(batch.criteria) > 1 else []
        return content_id("criteria", *self.identify_asking(), others)

    # Requests --------------------------------------------------------------------------------------------

    def _build_choose(self, batch: CriteriaBatch) -> Choose | Failure:
        rendered = self._render(batch)
        if isinstance(rendered, Failure):
            return rendered
        messages, prefill, delimiter = rendered
        return Choose(messages=messages, choices=_ANSWERS, prefill=prefill, delimiter=delimiter)

    def _build_generate(self, batch: CriteriaBatch) -> Generate | Failure:
        example = {key: self._make_example() for key in _number(batch.criteria)[:2]}
        rendered = self._render(batch, example=json.dumps(example))
        if isinstance(rendered, Failure):
            return rendered
        messages, prefill, delimiter = rendered
        schema = (
            json.dumps(self.build_schema(batch.criteria)) if "schema" in self.engine.capabilities else None
        )
        return Generate(
            messages=messages,
            prefill=prefill,
            delimiter=delimiter,
            sampling=Sampling(max_tokens=self.max_tokens),
            json_schema=schema,
        )

    def _make_example(self) -> object:
        return {"because": "…", "met": "yes"} if self.reasons else "yes"

    def build_schema(self, criteria: Sequence[Criterion]) -> dict[str, Any]:
        """Build the JSON Schema of verdicts on criteria."""
        verdict: dict[str, Any] = {"type": "string", "enum": ["yes", "no"]}
        if self.reasons:
            because = {"type": "string", "maxLength": _LONGEST_REASON}
            verdict = build_object_schema({"because": because, "met": verdict})
        return build_object_schema(dict.fromkeys(_number(criteria), verdict))

    def _render(self, batch: CriteriaBatch, *, example: str = "") -> tuple[Chat, str, Delimiter] | Failure:
        item, (answer,) = batch.question.item, batch.texts.responses
        reference = item.reference if self.reference else None
        shown = [text for criterion in batch.criteria for text in (criterion.text, *criterion.examples)]
        texts = [batch.texts.request, answer, *shown, reference or "", self.persona or ""]
        delimiter = draw_delimiter(self.engines, item.prompt_id, texts)
        messages, prefill = self.template.render(
            marker=delimiter.word,
            request=batch.texts.request,
            answer=answer,
            reference=reference,
            persona=self.persona,
            criteria=batch.criteria,
            example=example,
            reasons=self.reasons,
        )
        try:
            return messages if self.marks is None else self.marks.restore(messages), prefill, delimiter
        except UnreadableMediumError as error:
            return error.failure

    # Answers ---------------------------------------------------------------------------------------------

    def _read_choice(self, batch: CriteriaBatch, choice: Choice | Failure) -> CriterionAnswer:
        (identity,), (criterion,) = self.list_verdict_ids(batch), batch.criteria
        if isinstance(choice, Failure):
            return self._fail(batch, criterion, identity, choice)
        logs = dict(zip(_ANSWERS, (round(value, 4) for value in choice.log_probs), strict=True))
        raw, tokens = json.dumps(logs), (choice.tokens_in, choice.tokens_out)
        if not math.isfinite(choice.mass):
            failure = Failure("the probability of a verdict is not a finite number", raw)
            return self._fail(batch, criterion, identity, failure, tokens)
        if choice.mass < self.min_mass:
            reason = f"the verdicts hold too little of the probability: {choice.mass:.2g}"
            return self._fail(batch, criterion, identity, Failure(reason, raw, permanent=True), tokens)
        p = round(float(choice.probabilities[0]), _DIGITS)
        return self._make_answer(
            batch,
            criterion,
            identity,
            "satisfied" if p >= 0.5 else "violated",
            tokens,
            p_satisfied=p,
            raw=raw,
        )

    def _read_json(self, batch: CriteriaBatch, output: Generation | Failure) -> list[CriterionAnswer]:
        ids = self.list_verdict_ids(batch)
        shared = list(zip(batch.criteria, ids, strict=True))
        if isinstance(output, Failure):
            return [self._fail(batch, criterion, identity, output) for criterion, identity in shared]
        text = output.completions[0].text
        first = (output.tokens_in, output.tokens_out)  # the first verdict carries the tokens of the request
        tokens = [first, *[(0, 0)] * (len(ids) - 1)]
        given = self._check_json(batch, text)
        if isinstance(given, Failure):
            return [
                self._fail(batch, criterion, identity, given, cost)
                for (criterion, identity), cost in zip(shared, tokens, strict=True)
            ]
        return [
            self._make_answer(
                batch,
                criterion,
                identity,
                "satisfied" if verdict == "yes" else "violated",
                cost,
                rationale=reason,
                raw=text,
            )
            for (criterion, identity), (verdict, reason), cost in zip(shared, given, tokens, strict=True)
        ]

    def _check_json(self, batch: CriteriaBatch, text: str) -> list[tuple[str, str | None]] | Failure:
        """Return the verdict on each criterion and its reason, or why the text holds none."""
        value = parse_json_object(text)
        if isinstance(value, Failure):
            return value
        given: list[tuple[str, str | None]] = []
        for key in _number(batch.criteria):
            verdict, reason = value.get(key), None
            if self.reasons and isinstance(verdict, dict) and verdict.keys() == {"because", "met"}:
                verdict, reason = verdict["met"], str(verdict["because"])
            if verdict in ("yes", "no"):
                given.append((verdict, reason))
        if len(given) != len(batch.criteria) or len(value) != len(given):
            return Failure('the JSON does not hold "yes" or "no" for each criterion', text)
        return given

    def _make_answer(
        self,
        batch: CriteriaBatch,
        criterion: Criterion,
        identity: str,
        outcome: VerdictOutcome,
        tokens: tuple[int, int],
        **also: Any,
    ) -> CriterionAnswer:
        return CriterionAnswer(
            verdict_id=identity,
            criterion_id=criterion.criterion_id,
            criterion=criterion.name,
            response_id=batch.response_id,
            revision=self._make_revision(batch),
            outcome=outcome,
            tokens_in=tokens[0],
            tokens_out=tokens[1],
            **also,
        )

    def _fail(
        self,
        batch: CriteriaBatch,
        criterion: Criterion,
        identity: str,
        failure: Failure,
        tokens: tuple[int, int] = (0, 0),
    ) -> CriterionAnswer:
        raw = failure.reason if failure.raw is None else f"{failure.reason}\n{failure.raw}"
        return self._make_answer(
            batch, criterion, identity, "failed", tokens, raw=raw, permanent=failure.permanent
        )


def _number(criteria: Sequence[Criterion]) -> list[str]:
    """Return the keys of criteria in JSON: numbers, so that a name says nothing to the model and may change."""
    return [str(number) for number in range(1, len(criteria) + 1)]
