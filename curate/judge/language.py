"""The common part of judges that are language models: their prompts, and text that they write before a verdict.

A judgment takes up to three steps; an option turns each of them on:

    rubric: FILE           criteria that stand in every question (rubric_source.py)
    criteria: true         once per prompt: write down what a good answer to it must do (CARMO, Gupta et al. 2024)
    reference: write       once per prompt: answer the request oneself (LLMBar, Zeng et al. 2024)
    reasoning: true        per question: think aloud, up to the template's word for the verdict
                           … and then the verdict, read from probabilities or as JSON

Where the engine reads images, those of the prompt and the responses stand in the question where they stand in the data,
and a video as some of its frames.

`principles` and `persona` stand in every question, and `examples` (pairs that people have judged) before it. The
judgment's `rationale` keeps all that the judge writes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from curate.core.errors import CurateError
from curate.data.conversation import Conversation
from curate.data.rubric import Rubric
from curate.data.rubric_text import format_criteria
from curate.engine.base import (
    Chat,
    Delimiter,
    Failure,
    Generate,
    Generation,
    Sampling,
    build_chat,
    fill_slots,
)
from curate.engine.delimiter import draw_delimiter
from curate.engine.registry import Engines
from curate.engine.template import ChatTemplate
from curate.judge.base import (
    Answer,
    CandidateResponse,
    Judge,
    PromptItem,
    Question,
    abstain,
    fail,
)
from curate.judge.examples import Example, Examples, ExamplesOptions
from curate.judge.media_marks import (
    DEAF,
    MediaMarks,
    UnreadableMediumError,
    has_sound,
    identify_seeing,
    render_marked_texts,
)
from curate.judge.rubric_source import RubricChoice, RubricSource
from curate.judge.trajectory import DEFAULT_VIEW, JudgedTexts, TextView, render_request
from curate.judge.view_options import SeeingOptions
from curate.records import plain_text

ALIKE = "the responses differ only in what the judge is not shown"
_REMEMBERED = 4096  # prompts whose criteria stay in memory, for judges that return to a prompt
DUMMY_ITEM = PromptItem(
    "", build_chat(("user", "?")), "!", (CandidateResponse("a", "1"), CandidateResponse("b", "2"))
)


class LanguageOptions(SeeingOptions):
    """Options of a judge that is a language model."""

    engine: str = Field(description="Name of an engine.")
    template: str = Field(description="A template of the package, or a .jinja file of your own.")
    persona: str | None = Field(None, description="Role of the judge: “You are …”.")
    principles: tuple[str, ...] = Field(
        (), description="Principles or rubrics to judge by, first things first."
    )
    examples: ExamplesOptions | None = Field(
        None, description="Pairs that people have judged, to be shown before each question."
    )
    rubric: RubricChoice | None = Field(
        None,
        description="Judge by the criteria of a rubric: its file, a folder of rubrics for single prompts, or "
        "{meta: ENTRY of each prompt's `meta`}. Prompts without one get no verdict.",
    )
    criteria: bool = Field(False, description="Write criteria for each prompt first, and judge by them.")
    reference: bool | Literal["required", "write"] = Field(
        False,
        description="Show the prompt's reference answer, where it has one; required: abstain without one; "
        "write: show an answer that the judge writes itself.",
    )
    reasoning: bool = Field(False, description="Think aloud before the verdict.")
    max_tokens: int = Field(512, ge=1, description="Longest reasoning, criteria or JSON, in tokens.")
    samples: int = Field(1, ge=1, description="How often each question is asked (self-consistency).")
    temperature: float | None = Field(
        None,
        ge=0.0,
        description="Sampling temperature of text written per question; default: 0, or 0.7 with several samples.",
    )
    min_mass: float = Field(0.01, ge=0.0, le=1.0, description="Least probability of the verdicts together.")

    @property
    def effective_temperature(self) -> float:
        """Sampling temperature: `temperature`, or its default for one or several samples."""
        if self.temperature is not None:
            return self.temperature
        return 0.0 if self.samples == 1 else 0.7

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and not self.can_vary():
            raise ValueError(
                "`samples` above 1 needs something that is drawn (`reasoning: true` and a temperature above 0): "
                "a verdict that is read from probabilities is the same each time"
            )
        return self

    @model_validator(mode="after")
    def _criteria_once(self) -> Self:
        if self.criteria and self.rubric is not None:
            raise ValueError("either `rubric`, or `criteria: true` for criteria of the judge's own")
        return self

    def can_vary(self) -> bool:
        """Tell whether the same question can get different answers."""
        return self.reasoning and self.effective_temperature > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePrompt:
    """The prompt of a question up to the verdict: the messages to send, and all that the judge wrote so far."""

    messages: Chat
    prefill: str
    delimiter: Delimiter | None = None
    rationale: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0

    def make_answer_fields(self, tokens_in: int = 0, tokens_out: int = 0) -> dict[str, Any]:
        """Return rationale and token counts for the answer; the arguments are the tokens of the verdict itself."""
        return {
            "rationale": self.rationale,
            "tokens_in": self.tokens_in + tokens_in,
            "tokens_out": self.tokens_out + tokens_out,
        }


@dataclass(frozen=True, slots=True)
class Preamble:
    """Text that the judge wrote about a prompt before it saw any answer."""

    criteria: str | None = None
    answer: str | None = None

    def format_text(self) -> str | None:
        """Return the text for the judgment's rationale; None if there is none."""
        parts = [f"Criteria:\n{self.criteria}"] if self.criteria else []
        parts += [f"Own answer:\n{self.answer}"] if self.answer else []
        return "\n\n".join(parts) or None


class LanguageJudge(Judge):
    """Base of judges that are language models: a kind fills the template in `get_values` and reads `ask_verdicts`."""

    kind = "llm"
    options: LanguageOptions

    def __init__(self, options: LanguageOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        self._where = f"judge.{options.name}"
        for capability in self.list_needs():
            self.engine = engines.get(options.engine, where=f"{self._where}.engine", needs=capability)
        self.template = self._load_template(engines, options.template, "template")
        self._criteria = self._load_template(engines, "criteria-v1", "criteria") if options.criteria else None
        self._own = (
            self._load_template(engines, "answer-v1", "reference") if options.reference == "write" else None
        )
        self._rubrics = RubricSource()
        if options.rubric is not None:
            where = f"{self._where}.rubric"
            self._rubrics = RubricSource.load(options.rubric, folder=engines.folder, where=where)
        self._examples: Examples | None = None
        if options.examples is not None:
            where = f"{self._where}.examples"
            self._examples = Examples.load(options.examples, engines, where=where, view=options.view)
        self._preambles: dict[str, Preamble] = {}
        self._marks = MediaMarks(engines.images, options.sampling)
        if options.reasoning and not self.template.verdict:
            raise CurateError(
                f"`{self._where}` has `reasoning: true`, but its template {options.template!r} has no block "
                "`verdict`, which says how the verdict begins once it has thought."
            )
        # A template that cannot be filled in is refused here, before any question.
        self.build_prompt(self.make_dummy_question(), Preamble("1", "1"))

    def _load_template(self, engines: Engines, name: str, option: str) -> ChatTemplate:
        return ChatTemplate.load(name, folder=engines.folder, where=f"{self._where}.{option}")

    @abstractmethod
    def list_needs(self) -> tuple[Any, ...]:
        """Return the capabilities that the engine must have."""

    @abstractmethod
    def make_dummy_question(self) -> Question:
        """Return a question of this kind about `DUMMY_ITEM`."""

    @abstractmethod
    def get_values(self, question: Question) -> tuple[dict[str, object], list[str]]:
        """Return the values of the template, and the texts among them that the delimiter must not occur in."""

    @abstractmethod
    def ask_verdicts(self, questions: Sequence[Question], prompts: Sequence[JudgePrompt]) -> Sequence[Answer]:
        """Send the prompts and return an answer for each."""

    def read_texts(self, question: Question) -> JudgedTexts:
        """Return request and responses of a question as text, in the order of `question.asked`.

        A judge that sees has marks in the places of images and videos.
        """
        view = self.options.view
        if not self.sees_images:
            return question.item.render_texts(question.asked, view)
        return render_marked_texts(question.item, question.asked, view, self._marks)

    def _read_request(self, item: PromptItem) -> str:
        messages: Conversation = self._marks.mark(item.messages) if self.sees_images else item.messages
        return render_request(messages, self.options.view, tools=item.tools)

    @property
    def sees_images(self) -> bool:
        return "images" in self.engine.capabilities

    def generates_text(self) -> bool:
        """Tell whether the judge generates text before its verdict."""
        return self.options.reasoning or self.options.criteria or self.options.reference == "write"

    @property
    def identity(self) -> Sequence[object]:
        texts = [template.text for template in (self._criteria, self._own) if template is not None]
        examples = () if self._examples is None else self._examples.identity
        return (
            self.engine.revision,
            self.template.text,
            *texts,
            self.options.effective_temperature,
            *examples,
            *(identify_seeing(self.options.sampling) if self.sees_images else ()),
            *([] if self.options.rubric is None else self._rubrics.identity),
        )

    def non_identity_options(self) -> frozenset[str]:
        """Return the options that `identity` replaces by contents, and `samples`: more of them change none."""
        unchanged = self.options.list_unchanged_views()
        return (
            frozenset({"template", "examples", "samples", "temperature", "frames", "fps", "rubric"})
            | unchanged
        )

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        prepared = self._prepare_prompts(questions)
        ready = [number for number, prompt in enumerate(prepared) if isinstance(prompt, JudgePrompt)]
        prompts = [prompt for prompt in prepared if isinstance(prompt, JudgePrompt)]
        verdicts = self.ask_verdicts([questions[number] for number in ready], prompts)
        answers = dict(zip(ready, verdicts, strict=True))
        answers |= {number: answer for number, answer in enumerate(prepared) if isinstance(answer, Answer)}
        return [answers[number] for number in range(len(questions))]

    def _prepare_prompts(self, questions: Sequence[Question]) -> list[JudgePrompt | Answer]:
        self._marks.clear()
        items = {question.item.prompt_id: question.item for question in questions}
        preambles, tokens = self._write_preambles(list(items.values()))
        examples = self.find_examples(list(items.values()))
        prompts: list[JudgePrompt | Answer] = []
        for question in questions:
            prompt_id = question.item.prompt_id
            preamble = preambles[prompt_id]
            if self.options.reference == "required" and not question.item.reference:
                prompts.append(abstain("the prompt has no reference"))
            elif has_sound(question):
                prompts.append(abstain(DEAF))
            elif self.read_texts(question).are_alike:
                prompts.append(abstain(ALIKE))
            elif isinstance(preamble, Failure):
                prompts.append(fail(preamble))
            elif self.options.rubric is not None and not isinstance(
                rubric := self._rubrics.find_rubric(question.item), Rubric
            ):
                prompts.append(abstain("the prompt has no rubric") if rubric is None else fail(rubric))
            else:  # the first question of a prompt carries the tokens of its preamble
                tokens_in, tokens_out = tokens.pop(prompt_id, (0, 0))
                try:
                    prompt = self.build_prompt(question, preamble, examples.get(prompt_id, ()))
                except UnreadableMediumError as error:
                    prompts.append(fail(error.failure, tokens_in=tokens_in, tokens_out=tokens_out))
                    continue
                prompts.append(replace(prompt, tokens_in=tokens_in, tokens_out=tokens_out))
        return self._think_aloud(questions, prompts) if self.options.reasoning else prompts

    def build_prompt(
        self, question: Question, preamble: Preamble, examples: Sequence[Example] = ()
    ) -> JudgePrompt:
        """Build the prompt of a question, with the judge's preamble and examples.

        Args:
            question: The question.
            preamble: What the judge wrote about the prompt before.
            examples: Pairs that people have judged.

        Raises:
            UnreadableMediumError: A video of the question cannot be read.
        """
        item, values = question.item, self._get_common_values(question, preamble)
        own_values, texts = self.get_values(question)
        examples_texts = [
            text for example in examples for text in (example.request, example.better, example.worse)
        ]
        all_texts = [text for text in (*texts, *examples_texts, *values.values()) if isinstance(text, str)]
        delimiter = draw_delimiter(self.engines, item.prompt_id, all_texts)
        messages, prefill = self.template.render(
            marker=delimiter.word, **values, **own_values, reasoning=self.options.reasoning
        )
        if examples and self._examples is not None:
            messages = _prepend_examples(
                messages, self._examples.format_examples(item.prompt_id, examples, marker=delimiter.word)
            )
        return JudgePrompt(
            messages=self._marks.restore(messages),
            prefill=prefill,
            delimiter=delimiter,
            rationale=preamble.format_text(),
        )

    def find_examples(self, items: Sequence[PromptItem]) -> dict[str, tuple[Example, ...]]:
        """Return the examples of each prompt, by its id; {} if the judge has no examples."""
        if self._examples is None:
            return {}
        view = self.options.view
        examples = self._examples.find_similar([format_request(item, view) for item in items])
        return {item.prompt_id: similar for item, similar in zip(items, examples, strict=True)}

    def _get_common_values(self, question: Question, preamble: Preamble) -> dict[str, object]:
        rubric = self._rubrics.find_rubric(question.item)
        reference = question.item.reference if self.options.reference in (True, "required") else None
        return {
            "request": self.read_texts(question).request,
            "reference": reference or preamble.answer,
            "own": reference is None and preamble.answer is not None,
            "persona": self.options.persona,
            "principles": self.options.principles,
            "criteria": format_criteria(rubric) if isinstance(rubric, Rubric) else preamble.criteria,
        }

    def _think_aloud(
        self, questions: Sequence[Question], prepared: Sequence[JudgePrompt | Answer]
    ) -> list[JudgePrompt | Answer]:
        """Let the judge think aloud about every question, up to the beginning of its verdict."""
        verdict = self.template.verdict
        requests = [
            Generate(
                messages=prompt.messages,
                prefill=prompt.prefill,
                sampling=self.make_sampling(question, verdict),
                delimiter=prompt.delimiter,
            )
            for question, prompt in zip(questions, prepared, strict=True)
            if isinstance(prompt, JudgePrompt)
        ]
        thoughts = iter(self.engine.generate(requests) if requests else [])
        return [
            _add_reasoning(prompt, next(thoughts), verdict) if isinstance(prompt, JudgePrompt) else prompt
            for prompt in prepared
        ]

    def make_sampling(self, question: Question, *stop: str) -> Sampling:
        """Return the sampling of text about a question; each sample of it has a seed of its own."""
        options = self.options
        return Sampling(
            temperature=options.effective_temperature,
            max_tokens=options.max_tokens,
            seed=question.sample,
            stop=stop,
        )

    def _write_preambles(
        self, items: Sequence[PromptItem]
    ) -> tuple[dict[str, Preamble | Failure], dict[str, tuple[int, int]]]:
        """Return preambles by prompt, written now if they are not in memory, and the tokens (in, out) of that."""
        new = [item for item in items if item.prompt_id not in self._preambles]
        written = [self._write_texts(template, new) for template in (self._criteria, self._own)]
        preambles: dict[str, Preamble | Failure] = {}
        tokens: dict[str, tuple[int, int]] = {}
        for item, criteria, own in zip(new, *written, strict=True):
            generations = [text for text in (criteria, own) if isinstance(text, Generation)]
            tokens[item.prompt_id] = (
                sum(generation.tokens_in for generation in generations),
                sum(generation.tokens_out for generation in generations),
            )
            failures = [text for text in (criteria, own) if isinstance(text, Failure)]
            preambles[item.prompt_id] = (
                failures[0] if failures else Preamble(_get_text(criteria), _get_text(own))
            )
        for prompt_id, preamble in preambles.items():
            if isinstance(preamble, Preamble) and self.generates_text():
                self._preambles[prompt_id] = preamble
        by_prompt = {
            item.prompt_id: preambles.get(item.prompt_id) or self._preambles[item.prompt_id] for item in items
        }
        while len(self._preambles) > _REMEMBERED:
            del self._preambles[next(iter(self._preambles))]
        return by_prompt, tokens

    def _write_texts(
        self, template: ChatTemplate | None, items: Sequence[PromptItem]
    ) -> list[Generation | Failure | None]:
        if template is None or not items:
            return [None] * len(items)
        sampling = Sampling(max_tokens=self.options.max_tokens)
        requests: list[Generate | Failure] = []
        for item in items:
            request = self._read_request(item)
            delimiter = draw_delimiter(self.engines, item.prompt_id, [request])
            messages, prefill = template.render(
                marker=delimiter.word,
                request=request,
                persona=self.options.persona,
                principles=self.options.principles,
            )
            try:
                messages = self._marks.restore(messages)
            except UnreadableMediumError as error:
                requests.append(error.failure)
                continue
            requests.append(
                Generate(messages=messages, prefill=prefill, sampling=sampling, delimiter=delimiter)
            )
        sent = [request for request in requests if isinstance(request, Generate)]
        return list(fill_slots(requests, self.engine.generate(sent)))


def _get_text(written: Generation | Failure | None) -> str | None:
    return written.completions[0].text.strip() if isinstance(written, Generation) else None


def _add_reasoning(prompt: JudgePrompt, thought: Generation | Failure, verdict: str) -> JudgePrompt | Answer:
    if isinstance(thought, Failure):
        return fail(thought)
    text = thought.completions[0].text.partition(verdict)[0].rstrip()
    return JudgePrompt(
        messages=prompt.messages,
        prefill=f"{prompt.prefill}{text}\n\n{verdict}",
        delimiter=prompt.delimiter,
        rationale="\n\n".join(filter(None, [prompt.rationale, text])) or None,
        tokens_in=prompt.tokens_in + thought.tokens_in,
        tokens_out=prompt.tokens_out + thought.tokens_out,
    )


def _prepend_examples(messages: Chat, examples: str) -> Chat:
    """Return the chat with the examples at the beginning of its last turn."""
    *earlier, last = messages
    return (*earlier, *build_chat((last.role, f"{examples}\n\n{plain_text(last.content)}")))


def format_request(item: PromptItem, view: TextView = DEFAULT_VIEW) -> str:
    """Return the prompt as text: a single turn as it is, several turns with their roles, and its tools."""
    return render_request(item.messages, view, tools=item.tools)


def space_choices(prefill: str, verdicts: Sequence[str]) -> tuple[str, ...]:
    """Return the verdicts as they continue `prefill`: with a space after a word or a colon."""
    space = " " if prefill and (prefill[-1].isalnum() or prefill[-1] in ":.,") else ""
    return tuple(space + verdict for verdict in verdicts)
