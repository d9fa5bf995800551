"""What judges that are language models have in common: what they are told, and that they may think first.

A judgment is made in up to three steps, each of which an option turns on:

    criteria: true         once per prompt: write down what a good answer to it must do (CARMO, Gupta et al. 2024)
    reference: write       once per prompt: answer the request oneself (LLMBar, Zeng et al. 2024)
    reasoning: true        per question: think aloud, up to the template's word for the verdict
                           … and then the verdict, read from probabilities or as JSON

`principles` and `persona` stand in every question, and `examples`, pairs that people have judged, before it. What a
judge writes is kept in the judgment's `rationale`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from curate.core.errors import CurateError
from curate.engine.base import Chat, Failure, Generate, Generation, Sampling, build_chat
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
)
from curate.judge.examples import Example, Examples, ExamplesOptions, format_turns
from curate.judge.template import ChatTemplate, make_delimiter
from curate.records import plain_text

_REMEMBERED = 4096  # prompts whose criteria are kept in memory, for judges that come back to a prompt
DUMMY_ITEM = PromptItem("", build_chat(("user", "?")), "!", (CandidateResponse("a", "1"), CandidateResponse("b", "2")))


class LanguageOptions(JudgeOptions):
    """A judge that is a language model."""

    engine: str = Field(description="Name of an engine.")
    template: str = Field(description="A template of the package, or a .jinja file of your own.")
    persona: str | None = Field(None, description="Who the judge is to be: “You are …”.")
    principles: tuple[str, ...] = Field(
        (), description="Principles or rubrics to judge by, first things first."
    )
    examples: ExamplesOptions | None = Field(
        None, description="Pairs that people have judged, to be shown before each question."
    )
    criteria: bool = Field(False, description="Write criteria for each prompt first, and judge by them.")
    reference: bool | Literal["required", "write"] = Field(
        False,
        description="Show the prompt's reference answer, where it has one; required: abstain without one; "
        "write: show an answer that the judge writes itself.",
    )
    reasoning: bool = Field(False, description="Think aloud before the verdict.")
    max_tokens: int = Field(512, ge=1, description="Of reasoning, criteria, or JSON.")
    samples: int = Field(1, ge=1, description="How often each question is asked (self-consistency).")
    temperature: float | None = Field(
        None, ge=0.0, description="Of what is written per question; default: 0, or 0.7 with several samples."
    )
    min_mass: float = Field(0.01, ge=0.0, le=1.0, description="Least probability of the verdicts together.")

    @property
    def heat(self) -> float:
        if self.temperature is not None:
            return self.temperature
        return 0.0 if self.samples == 1 else 0.7

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and not self.varies():
            raise ValueError(
                "`samples` above 1 needs something that is drawn (`reasoning: true` and a temperature above 0): "
                "a verdict that is read from probabilities is the same each time"
            )
        return self

    def varies(self) -> bool:
        """Whether a question asked again may be answered differently."""
        return self.reasoning and self.heat > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePrompt:
    """All that precedes the verdict on a question: what to send, and what the judge wrote up to there."""

    messages: Chat
    prefill: str
    rationale: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0

    def spent(self, tokens_in: int = 0, tokens_out: int = 0) -> dict[str, Any]:
        """What an answer is to say of the way to it, with the tokens of the verdict itself."""
        return {
            "rationale": self.rationale,
            "tokens_in": self.tokens_in + tokens_in,
            "tokens_out": self.tokens_out + tokens_out,
        }


@dataclass(frozen=True, slots=True)
class Preamble:
    """What the judge wrote about a prompt before it saw any answer."""

    criteria: str | None = None
    answer: str | None = None

    @property
    def text(self) -> str | None:
        parts = [f"Criteria:\n{self.criteria}"] if self.criteria else []
        parts += [f"Own answer:\n{self.answer}"] if self.answer else []
        return "\n\n".join(parts) or None


class LanguageJudge(Judge):
    """A kind derives from it, says what to `show` of a question and turns `briefs` into answers in `decide`."""

    kind = "llm"
    options: LanguageOptions

    def __init__(self, options: LanguageOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        self._where = f"judge.{options.name}"
        for capability in self.needs():
            self.engine = engines.get(options.engine, where=f"{self._where}.engine", needs=capability)
        self.template = self._load(engines, options.template, "template")
        self._criteria = self._load(engines, "criteria-v1", "criteria") if options.criteria else None
        self._own = self._load(engines, "answer-v1", "reference") if options.reference == "write" else None
        self._examples: Examples | None = None
        if options.examples is not None:
            self._examples = Examples.load(options.examples, engines, where=f"{self._where}.examples")
        self._notes: dict[str, Preamble] = {}
        if options.reasoning and not self.template.verdict:
            raise CurateError(
                f"`{self._where}` has `reasoning: true`, but its template {options.template!r} has no block "
                "`verdict`, which says how the verdict begins once it has thought."
            )
        self.brief(self.trial(), Preamble("1", "1"))  # a template that cannot be filled in shall say so now

    def _load(self, engines: Engines, name: str, option: str) -> ChatTemplate:
        return ChatTemplate.load(name, folder=engines.folder, where=f"{self._where}.{option}")

    @abstractmethod
    def needs(self) -> tuple[Any, ...]:
        """Capabilities that the engine must have."""

    @abstractmethod
    def trial(self) -> Question:
        """Some question of the kind, about `TRIAL`."""

    @abstractmethod
    def show(self, question: Question) -> tuple[dict[str, object], list[str]]:
        """The template's values of this kind, and which texts among them others wrote (the marker avoids those)."""

    @abstractmethod
    def decide(self, questions: Sequence[Question], briefs: Sequence[JudgePrompt]) -> Sequence[Answer]:
        """The answers, from questions that are ready to be sent."""

    def writes(self) -> bool:
        """Whether the judge generates text before its verdict."""
        return self.options.reasoning or self.options.criteria or self.options.reference == "write"

    @property
    def identity(self) -> Sequence[object]:
        written = [each.text for each in (self._criteria, self._own) if each is not None]
        taught = () if self._examples is None else self._examples.identity
        return (self.engine.revision, self.template.text, *written, self.options.heat, *taught)

    def unessential(self) -> frozenset[str]:
        """A template's text counts, and what examples say, not their names; more samples are not other ones."""
        return frozenset({"template", "examples", "samples", "temperature"})

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        prepared = self._prepare(questions)
        ready = [number for number, each in enumerate(prepared) if isinstance(each, JudgePrompt)]
        briefs = [each for each in prepared if isinstance(each, JudgePrompt)]
        answers = dict(zip(ready, self.decide([questions[at] for at in ready], briefs), strict=True))
        answers |= {number: each for number, each in enumerate(prepared) if isinstance(each, Answer)}
        return [answers[number] for number in range(len(questions))]

    def _prepare(self, questions: Sequence[Question]) -> list[JudgePrompt | Answer]:
        contests = {question.contest.prompt_id: question.contest for question in questions}
        notes, paid = self._write_notes(list(contests.values()))
        examples = self.examples(list(contests.values()))
        found: list[JudgePrompt | Answer] = []
        for question in questions:
            prompt_id = question.contest.prompt_id
            written = notes[prompt_id]
            if self.options.reference == "required" and not question.contest.reference:
                found.append(abstain("the prompt has no reference"))
            elif isinstance(written, Failure):
                found.append(fail(written))
            else:  # the first question of a prompt carries what its notes have cost
                brief = self.brief(question, written, examples.get(prompt_id, ()))
                read, wrote = paid.pop(prompt_id, (0, 0))
                found.append(replace(brief, tokens_in=read, tokens_out=wrote))
        return self._think(questions, found) if self.options.reasoning else found

    def brief(self, question: Question, notes: Preamble, examples: Sequence[Example] = ()) -> JudgePrompt:
        """The question as the engine gets it."""
        contest, values = question.contest, self._common(question.contest, notes)
        shown, texts = self.show(question)
        lessons = [text for each in examples for text in (each.request, each.better, each.worse)]
        told = [text for text in (*texts, *lessons, *values.values()) if isinstance(text, str)]
        word = make_delimiter(contest.prompt_id, told)
        messages, prefill = self.template.render(
            marker=word, **values, **shown, reasoning=self.options.reasoning
        )
        if examples and self._examples is not None:
            messages = _prepend_examples(messages, self._examples.lesson(contest.prompt_id, examples, marker=word))
        return JudgePrompt(messages=messages, prefill=prefill, rationale=notes.text)

    def examples(self, contests: Sequence[PromptItem]) -> dict[str, tuple[Example, ...]]:
        """By prompt; empty where the judge has no examples."""
        if self._examples is None:
            return {}
        found = self._examples.near([format_request(contest) for contest in contests])
        return {contest.prompt_id: each for contest, each in zip(contests, found, strict=True)}

    def _common(self, contest: PromptItem, notes: Preamble) -> dict[str, object]:
        given = contest.reference if self.options.reference in (True, "required") else None
        return {
            "request": format_request(contest),
            "reference": given or notes.answer,
            "own": given is None and notes.answer is not None,
            "persona": self.options.persona,
            "principles": self.options.principles,
            "criteria": notes.criteria,
        }

    def _think(
        self, questions: Sequence[Question], prepared: Sequence[JudgePrompt | Answer]
    ) -> list[JudgePrompt | Answer]:
        """Let the judge think aloud about every question, up to where its verdict would begin."""
        verdict = self.template.verdict
        asked = [
            Generate(messages=each.messages, prefill=each.prefill, sampling=self.sampling(question, verdict))
            for question, each in zip(questions, prepared, strict=True)
            if isinstance(each, JudgePrompt)
        ]
        thoughts = iter(self.engine.generate(asked) if asked else [])
        return [
            _add_reasoning(each, next(thoughts), verdict) if isinstance(each, JudgePrompt) else each for each in prepared
        ]

    def sampling(self, question: Question, *stop: str) -> Sampling:
        options = self.options
        return Sampling(
            temperature=options.heat, max_tokens=options.max_tokens, seed=question.sample, stop=stop
        )

    def _write_notes(
        self, contests: Sequence[PromptItem]
    ) -> tuple[dict[str, Preamble | Failure], dict[str, tuple[int, int]]]:
        """Notes by prompt, written now where they are not remembered, and the tokens that writing them took."""
        fresh = [contest for contest in contests if contest.prompt_id not in self._notes]
        written = [self._write(template, fresh) for template in (self._criteria, self._own)]
        notes: dict[str, Preamble | Failure] = {}
        paid: dict[str, tuple[int, int]] = {}
        for contest, criteria, own in zip(fresh, *written, strict=True):
            done = [each for each in (criteria, own) if isinstance(each, Generation)]
            paid[contest.prompt_id] = (
                sum(each.tokens_in for each in done),
                sum(each.tokens_out for each in done),
            )
            broken = [each for each in (criteria, own) if isinstance(each, Failure)]
            notes[contest.prompt_id] = broken[0] if broken else Preamble(_get_text(criteria), _get_text(own))
        for prompt_id, each in notes.items():
            if isinstance(each, Preamble) and self.writes():
                self._notes[prompt_id] = each
        found = {
            contest.prompt_id: notes.get(contest.prompt_id) or self._notes[contest.prompt_id]
            for contest in contests
        }
        while len(self._notes) > _REMEMBERED:
            del self._notes[next(iter(self._notes))]
        return found, paid

    def _write(
        self, template: ChatTemplate | None, contests: Sequence[PromptItem]
    ) -> list[Generation | Failure | None]:
        if template is None or not contests:
            return [None] * len(contests)
        sampling = Sampling(max_tokens=self.options.max_tokens)
        asked = []
        for contest in contests:
            request = format_request(contest)
            messages, prefill = template.render(
                marker=make_delimiter(contest.prompt_id, [request]),
                request=request,
                persona=self.options.persona,
                principles=self.options.principles,
            )
            asked.append(Generate(messages=messages, prefill=prefill, sampling=sampling))
        return list(self.engine.generate(asked))


def _get_text(written: Generation | Failure | None) -> str | None:
    return written.completions[0].text.strip() if isinstance(written, Generation) else None


def _add_reasoning(brief: JudgePrompt, thought: Generation | Failure, verdict: str) -> JudgePrompt | Answer:
    if isinstance(thought, Failure):
        return fail(thought)
    text = thought.completions[0].text.partition(verdict)[0].rstrip()
    return JudgePrompt(
        messages=brief.messages,
        prefill=f"{brief.prefill}{text}\n\n{verdict}",
        rationale="\n\n".join(filter(None, [brief.rationale, text])) or None,
        tokens_in=brief.tokens_in + thought.tokens_in,
        tokens_out=brief.tokens_out + thought.tokens_out,
    )


def _prepend_examples(messages: Chat, lesson: str) -> Chat:
    """The chat with something more at the beginning of its user turn, which is its last one."""
    *earlier, last = messages
    return (*earlier, *build_chat((last.role, f"{lesson}\n\n{plain_text(last.content)}")))


def format_request(contest: PromptItem) -> str:
    """The prompt as text: the question alone, or all turns with who said them."""
    return format_turns([(turn.role, plain_text(turn.content)) for turn in contest.messages])


def space_choices(prefill: str, verdicts: Sequence[str]) -> tuple[str, ...]:
    """The verdicts as they stand after what is said already: with a space after a word or colon."""
    space = " " if prefill and (prefill[-1].isalnum() or prefill[-1] in ":.,") else ""
    return tuple(space + verdict for verdict in verdicts)
