"""The plan of a judge: all its pending questions, enumerated, hashed and looked up once, in chunks that are walked.

Questions depend on ids alone, so a plan is made without texts. It has to hold the questions of all prompts of the lake
at once: about 400 bytes a prompt, since ids are packed, and prompts with equally many responses share the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from curate.core.errors import CurateError
from curate.judge.base import PromptItem, Question
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.pending import JudgmentIndex, PendingQuestion, find_pending_questions
from curate.lake.lake import Lake
from curate.records import Form, Shown

_CHUNKS_PER_LOOKUP = 256  # chunks whose pending questions are looked up together
_ID_BYTES = 16


class QuestionShape(NamedTuple):
    """A question without its prompt; `asked` are numbers of responses of the prompt."""

    asked: tuple[int, ...]
    form: Form
    shown: Shown | None
    sample: int


class PlannedPrompt(NamedTuple):
    """The pending questions about one prompt.

    Attributes:
        prompt_id: Id of the prompt.
        response_ids: Its responses, in the order of their ids; () without pending questions.
        shapes: The questions.
        ids: Their judgment ids, 16 bytes each.
        failures: How often each has failed so far; () if none has.
    """

    prompt_id: str
    response_ids: tuple[str, ...] = ()
    shapes: tuple[QuestionShape, ...] = ()
    ids: bytes = b""
    failures: tuple[int, ...] = ()

    def list_judgment_ids(self) -> list[str]:
        """Return the ids of the judgments that are to come."""
        packed = self.ids.hex()
        return [packed[start : start + 2 * _ID_BYTES] for start in range(0, len(packed), 2 * _ID_BYTES)]


@dataclass(frozen=True, slots=True)
class WorkChunk:
    """A chunk of one judge that holds pending questions: all that a worker process has to know.

    Attributes:
        judge: Name of the judge.
        chunk: Number of the chunk.
        prompts: All prompts of the chunk, with their pending questions.
        total: Number of all its questions, with those that are answered.
    """

    judge: str
    chunk: int
    prompts: tuple[PlannedPrompt, ...]
    total: int

    @property
    def pending(self) -> int:
        """Return the number of pending questions."""
        return sum(len(prompt.shapes) for prompt in self.prompts)

    @property
    def prompt_ids(self) -> list[str]:
        return [prompt.prompt_id for prompt in self.prompts]


@dataclass(frozen=True, slots=True)
class Plan:
    """All pending questions of one judge.

    Attributes:
        configured: The judge.
        chunks: The chunks that hold pending questions, in the order of their prompts' ids.
        snapshot: State of the lake in which they are pending.
    """

    configured: ConfiguredJudge
    chunks: tuple[WorkChunk, ...]
    snapshot: int

    @property
    def pending(self) -> int:
        """Return the number of pending questions."""
        return sum(chunk.pending for chunk in self.chunks)


def make_plan(
    lake: Lake,
    panel: Panel,
    configured: ConfiguredJudge,
    items: Sequence[PromptItem],
    *,
    skip_failed: bool = False,
    upper_bound: bool = False,
) -> Plan:
    """Make the plan of a judge.

    Args:
        lake: Lake with the judgments so far.
        panel: Panel that holds the judge.
        configured: The judge.
        items: The prompts in the order of their ids, with the ids of their responses.
        skip_failed: Leave out questions that failed before.
        upper_bound: Plan all that later rounds, and judges that answer first, can make pending.

    Raises:
        CurateError: A judge asks about a response that its prompt does not have.
    """
    snapshot = lake.snapshot()
    size = panel.config.judge.chunk * configured.chunk_factor
    chunks: list[WorkChunk] = []
    shared: dict[object, object] = {}
    for start in range(0, len(items), size * _CHUNKS_PER_LOOKUP):
        stretch = items[start : start + size * _CHUNKS_PER_LOOKUP]
        pending = find_pending_questions(lake, panel, configured, stretch, upper_bound=upper_bound)
        planned = _plan_prompts(configured, stretch, pending, skip_failed, shared)
        number = start // size
        while prompts := list(islice(planned, size)):
            if any(prompt.shapes for prompt, _ in prompts):
                total = sum(total for _, total in prompts)
                chunks.append(
                    WorkChunk(configured.name, number, tuple(prompt for prompt, _ in prompts), total)
                )
            number += 1
    return Plan(configured, tuple(chunks), snapshot)


def _plan_prompts(
    configured: ConfiguredJudge,
    items: Sequence[PromptItem],
    questions: Iterator[tuple[list[PendingQuestion], int]],
    skip_failed: bool,
    shared: dict[object, object],
) -> Iterator[tuple[PlannedPrompt, int]]:
    """Pack the pending questions of each item; `shared` has what prompts have in common."""
    for item, (pending, total) in zip(items, questions, strict=True):
        if skip_failed:
            pending = [question for question in pending if not question.failures]
        if not pending:
            yield PlannedPrompt(item.prompt_id), total
            continue
        numbers = {candidate.response_id: number for number, candidate in enumerate(item.candidates)}
        shapes = tuple([_read_shape(configured, question.question, numbers) for question in pending])
        failures = tuple([question.failures for question in pending])
        yield (
            PlannedPrompt(
                item.prompt_id,
                tuple(numbers),
                shared.setdefault(shapes, shapes),  # type: ignore[arg-type]  # a key is its own value
                bytes.fromhex("".join([question.judgment_id for question in pending])),
                shared.setdefault(failures, failures) if any(failures) else (),  # type: ignore[arg-type]
            ),
            total,
        )


def _read_shape(configured: ConfiguredJudge, question: Question, numbers: Mapping[str, int]) -> QuestionShape:
    try:
        asked = tuple([numbers[candidate.response_id] for candidate in question.asked])
    except KeyError as error:
        raise CurateError(
            f"Judge {configured.name!r} asks about the response {error}, which the prompt "
            f"{question.item.prompt_id} does not have: `questions` has to ask about `item.candidates`."
        ) from error
    return QuestionShape(asked, question.form, question.shown, question.sample)


def bind_questions(work: WorkChunk, items: Mapping[str, PromptItem]) -> list[PendingQuestion]:
    """Return the planned questions of a chunk about the items, which have texts.

    A prompt or a response that is not in the lake any more is left out.
    """
    pending = []
    for prompt in work.prompts:
        if not prompt.shapes or (item := items.get(prompt.prompt_id)) is None:
            continue
        by_id = {candidate.response_id: candidate for candidate in item.candidates}
        response_ids, judgment_ids = prompt.response_ids, prompt.list_judgment_ids()
        is_complete = all(response_id in by_id for response_id in response_ids)
        for number, (asked, form, shown, sample) in enumerate(prompt.shapes):
            if not is_complete and any(response_ids[position] not in by_id for position in asked):
                continue
            candidates = tuple([by_id[response_ids[position]] for position in asked])
            failures = prompt.failures[number] if prompt.failures else 0
            question = Question(item, candidates, form, shown, sample)
            pending.append(PendingQuestion(question, judgment_ids[number], failures))
    return pending


def count_unanswered(lake: Lake, plan: Plan) -> int:
    """Count the questions of a plan that are still pending, for instance after it has been walked."""
    configured, left = plan.configured, 0
    for start in range(0, len(plan.chunks), _CHUNKS_PER_LOOKUP):
        chunks = plan.chunks[start : start + _CHUNKS_PER_LOOKUP]
        first, last = chunks[0].prompts[0].prompt_id, chunks[-1].prompts[-1].prompt_id
        known = JudgmentIndex.look_up(lake, configured, first, last)
        left += sum(
            known.count_attempts(judgment_id, configured.attempts) < configured.attempts
            for chunk in chunks
            for prompt in chunk.prompts
            for judgment_id in prompt.list_judgment_ids()
        )
    return left
