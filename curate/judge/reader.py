"""Read the questions of a plan with their texts, some chunks ahead of where the judge is."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import attrgetter

from curate.judge.base import PromptItem
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.known_judgments import add_known_verdicts, add_other_judgments
from curate.judge.pending import JudgmentIndex, PendingQuestion, read_items
from curate.judge.plan import WorkChunk, bind_questions
from curate.lake.lake import Lake
from curate.lake.runs import StageRun

_LOOK_EVERY = 0.1  # seconds
_PROMPTS_PER_READ = 1024  # prompts whose texts are read together at first
_CHARACTERS_PER_READ = 32_000_000  # and what is read later, at most: a query reads the whole table


class SnapshotOfOthers:
    """The number of the lake's snapshots that are not of this run: it grows when somebody else has written.

    `planned`: the number when the plan was made, while this run was not writing.
    """

    def __init__(self, lake: Lake, run: StageRun, planned: int) -> None:
        """Take the lake, the run that commits meanwhile in another thread, and the snapshot of the plan."""
        self._lake = lake
        self._run = run
        self.planned = planned - run.commits
        self._snapshot = planned
        self._mark: object = None

    def read(self) -> int:
        """Return the number now; one more for a commit of this run that is not counted yet."""
        own = (
            self._run.commits
        )  # before the snapshot: a commit in between makes the number larger, never smaller
        return self._read_snapshot() - own

    def read_lower_bound(self) -> int:
        """Return the number now; one less for a commit of this run since.

        Where `read` returns the same later, nobody else has written in between.
        """
        snapshot = self._read_snapshot()
        return snapshot - self._run.commits

    def _read_snapshot(self) -> int:
        """Ask the catalog only where its file has changed: a quick judge asks thousands of questions a second."""
        mark = self._lake.read_change_mark()
        if mark is None or mark != self._mark:
            self._snapshot, self._mark = self._lake.snapshot(), mark
        return self._snapshot


class ChunkReader:
    """Reads the questions of the chunks of one judge, in their order.

    The texts of a prompt may lie anywhere in the files of the lake, and a query takes longer than a chunk of a quick
    judge: so the texts of several chunks are read at once.

    Other processes may be asking the same questions. If one has written to the lake since the plan was made, the ids of
    the judge's judgments are read again, so that no question is asked that was answered before its chunk began, but for
    the last tenth of a second: asking the catalog takes longer than a chunk of a quick judge.
    """

    def __init__(
        self, lake: Lake, panel: Panel, chunks: Sequence[WorkChunk], *, since: SnapshotOfOthers | None = None
    ) -> None:
        """Take a plan's chunks.

        Args:
            lake: Lake with prompts and judgments.
            panel: Panel that holds the judge.
            chunks: Chunks of one judge.
            since: State of the lake in which their questions are pending; None: not known.
        """
        self._lake = lake
        self._panel = panel
        self._chunks = chunks
        self._since = since
        self._state: int | None = None
        self._looked_at = -math.inf
        self._ahead: Sequence[WorkChunk] = ()
        self._items: Mapping[str, PromptItem] = {}
        self._known: JudgmentIndex | None = None
        self._characters_per_prompt = 0.0

    def read_questions(self, work: WorkChunk) -> list[PendingQuestion]:
        """Return the questions of a chunk that are still pending, with texts.

        A question that was answered or that failed since it was planned is left out.
        """
        configured = self._panel.judges[work.judge]
        if not any(chunk is work for chunk in self._ahead):
            self._read_ahead(configured, work)
        self._look_up_judgments(configured, work)
        items = [
            self._items[prompt.prompt_id]
            for prompt in work.prompts
            if prompt.shapes and prompt.prompt_id in self._items
        ]
        heard = add_other_judgments(self._lake, self._panel, configured, items)
        heard = add_known_verdicts(self._lake, configured, heard)
        questions = bind_questions(work, {item.prompt_id: item for item in heard})
        known, attempts = self._known, configured.attempts
        if known is None:
            return questions
        return [
            question
            for question in questions
            if known.count_attempts(question.judgment_id, attempts) == question.failures
        ]

    def _read_ahead(self, configured: ConfiguredJudge, work: WorkChunk) -> None:
        """Read the texts of a chunk and of as many after it as memory allows, to judge by those that were read last."""
        first = bisect_left(self._chunks, work.chunk, key=attrgetter("chunk"))
        prompts = _PROMPTS_PER_READ
        if self._characters_per_prompt:
            prompts = int(_CHARACTERS_PER_READ / self._characters_per_prompt)
        self._ahead = self._chunks[first : first + max(1, prompts // len(work.prompts))]
        wanted = [prompt.prompt_id for chunk in self._ahead for prompt in chunk.prompts if prompt.shapes]
        items = read_items(self._lake, wanted)
        self._items = {item.prompt_id: item for item in items}
        self._characters_per_prompt = sum(map(_count_characters, items)) / max(1, len(items))
        self._known, self._state = None, None if self._since is None else self._since.planned
        self._looked_at = -math.inf

    def _look_up_judgments(self, configured: ConfiguredJudge, work: WorkChunk) -> None:
        """Read the judge's judgments about the chunks ahead, unless nobody has written since they were read last."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = time.monotonic()
        if self._since is not None and self._since.read() == self._state:
            return
        state = None if self._since is None else self._since.read_lower_bound()
        first, last = work.prompts[0].prompt_id, self._ahead[-1].prompts[-1].prompt_id
        self._known, self._state = JudgmentIndex.look_up(self._lake, configured, first, last), state


def _count_characters(item: PromptItem) -> int:
    """Count what an item takes in memory, about: of messages that are more than text, what they are stored as too."""
    conversations = [item.messages, *(candidate.conversation for candidate in item.candidates)]
    parts = [part for messages in conversations for message in messages for part in message.content]
    texts = sum(len(candidate.text) for candidate in item.candidates)
    return 1 + texts + sum(len(part.text or "") + len(part.uri or "") for part in parts)
