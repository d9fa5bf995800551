"""The panel as a reward model: the judges of curate.yaml compare the responses to a prompt, weighed as was learnt.

A judge's word on a pair counts with its `ability`, the log-odds of being right that `aggregate` learnt:

    P(a is better) = sigmoid(sum over judges of ability * mean of (2 p_a - 1))

The mean goes over what the judge says of the pair (both orders, samples), so that a preference for a place cancels out
and a judge that is asked more often weighs no more. The reward of a response is the mean probability that it is better
than the others: 0 to 1, comparable among the responses to one prompt. Judges that err together count as independent.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.data.conversation import Conversation
from curate.data.pair_statements import list_pair_statements
from curate.engine.base import Failure, Score
from curate.judge.base import CandidateResponse, PromptItem, sigmoid
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.judgment_rows import make_statement
from curate.judge.runner import run_with_restart
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.records import prompt_id
from curate.reward.scorer import Float64, PromptResponses

_ALONE = "a panel compares the responses to a prompt: send them together (`--cohort N` for /verify)"
_LONGEST = 200  # characters of a judge's reason
_REMEMBERED = 4096  # reasons of responses without a reward

_Pair = tuple[str, str]
_Side = tuple[Conversation, str | None, Conversation]


def read_weights(config: Config, panel: Panel) -> dict[str, float]:
    """Read the learnt ability of each judge of the panel.

    Raises:
        CurateError: A judge has none, it has changed since, or no judge has a weight other than 0.
    """
    with Lake.open(config.location, read_only=True) as lake:
        select_panel(lake, config.panel_names)
        known = set(lake.rows("SELECT annotator_id, revision FROM panel"))
        abilities = dict(lake.rows("SELECT annotator_id, ability FROM final_annotators"))
    weights = {}
    for name, judge in panel.judges.items():
        if judge.judge.sees_other_judgments:
            raise CurateError(
                f"The judge {name!r} reads the judgments of others, which a server does not have: name the other "
                "judges with --judge."
            )
        ability = abilities.get(name)
        if ability is None:
            raise CurateError(
                f"The judge {name!r} has no learnt weight: run `curate judge` and `curate aggregate` with an annotator "
                "model that learns one (not `majority`), or name the other judges with --judge."
            )
        if (name, judge.revision) not in known:
            raise CurateError(
                f"The judge {name!r} has changed since its weight was learnt: run `curate judge` and "
                "`curate aggregate` again."
            )
        weights[name] = float(ability)
    if not any(weights.values()):
        raise CurateError(
            "All judges of the panel have learnt the weight 0, so every reward would be 0.5: get more verdicts, "
            "also of people, and run `curate aggregate` again."
        )
    return weights


class PanelRewards:
    """A panel as a reward model that scores the responses to a prompt together (`ComparingScorer`).

    Args:
        panel: The judges.
        weights: Judge → ability.
        name: What the panel is called in answers.
    """

    compares_responses = True
    sees_images = False
    n_texts_cut = 0

    def __init__(self, panel: Panel, weights: Mapping[str, float], *, name: str = "panel") -> None:
        self.name = name
        self._panel, self._weights = panel, weights
        self._reasons: OrderedDict[_Side, str] = OrderedDict()
        self.left_out: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()

    @classmethod
    def open(cls, config: Config, *, judges: Sequence[str] | None = None) -> Self:
        """Open the panel of a project, with the weights of its final labels."""
        panel = Panel(config, only=judges)
        if not panel.judges:
            raise CurateError(
                "There are no judges under `judge.judges` in curate.yaml, so there is no panel to serve."
            )
        return cls(panel, read_weights(config, panel))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._panel.close()

    @property
    def revision(self) -> str:
        """Identifies judges and weights."""
        return content_id(
            *(
                [name, judge.revision, self._weights[name]]
                for name, judge in sorted(self._panel.judges.items())
            )
        )

    def score(self, requests: Sequence[PromptResponses], *, track: Track = no_progress) -> list[Float64]:
        """Return the rewards of the responses to each prompt; NaN where no judge compares one with another."""
        items = [_make_item(request, place) for place, request in enumerate(requests)]
        evidence: dict[str, defaultdict[_Pair, float]] = {
            item.prompt_id: defaultdict(float) for item in items
        }
        silence: dict[str, Counter[str]] = {item.prompt_id: Counter() for item in items}
        with track("panel", len(self._panel.judges)) as advance:
            for judge in self._panel.judges.values():
                for (prompt, pair), verdicts in _ask_judge(judge, items, silence).items():
                    evidence[prompt][pair] += self._weights[judge.name] * sum(verdicts) / len(verdicts)
                advance(1)
        return [
            self._reward_responses(request, item, evidence[item.prompt_id], silence[item.prompt_id])
            for request, item in zip(requests, items, strict=True)
        ]

    def _reward_responses(
        self,
        request: PromptResponses,
        item: PromptItem,
        evidence: Mapping[_Pair, float],
        silence: Counter[str],
    ) -> Float64:
        wins: defaultdict[str, list[float]] = defaultdict(list)
        for (a, b), net in evidence.items():
            p_a = sigmoid(net)
            wins[a].append(p_a)
            wins[b].append(1 - p_a)
        rewards = np.full(len(request.responses), np.nan)
        for place, candidate in enumerate(item.candidates):
            if won := wins.get(candidate.response_id):
                rewards[place] = sum(won) / len(won)
                continue
            reason = _ALONE if len(item.candidates) < 2 else _explain_silence(silence)
            self.unread[reason] += 1
            self._reasons[(request.context, request.tools, request.responses[place])] = reason
        while len(self._reasons) > _REMEMBERED:
            self._reasons.popitem(last=False)
        return rewards

    def score_each(self, requests: Sequence[PromptResponses]) -> list[Score | Failure]:
        """Return why responses have no reward: one alone never has."""
        return [
            Failure(self._reasons.get((request.context, request.tools, request.responses[0]), _ALONE))
            for request in requests
        ]

    def merge_requests(self, requests: Sequence[PromptResponses]) -> PromptResponses:
        """Return requests with one prompt as one request."""
        return replace(requests[0], responses=tuple(one for request in requests for one in request.responses))

    def encode_request(self, request: PromptResponses) -> PromptResponses:
        """Return the request itself: judges make their own prompts."""
        return request


def _make_item(request: PromptResponses, number: int) -> PromptItem:
    """Make the prompt of a request; ids in the order of the responses, equal ones apart."""
    identity = content_id(number, prompt_id(request.context, key=None, reference=None, tools=request.tools))
    candidates = tuple(
        CandidateResponse.from_messages(f"{place:06}", messages)
        for place, messages in enumerate(request.responses)
    )
    return PromptItem(identity, request.context, None, candidates, tools=request.tools)


def _ask_judge(
    judge: ConfiguredJudge, items: Sequence[PromptItem], silence: Mapping[str, Counter[str]]
) -> dict[tuple[str, _Pair], list[float]]:
    """Ask a judge about all items, and return what it says of each pair: from -1 (b is better) to 1."""
    asked = [item for item in items if len(item.candidates) > 1]
    questions = [question for item in asked for question in judge.judge.questions(item)]
    answers = run_with_restart(judge, questions) if questions else []
    verdicts: defaultdict[tuple[str, _Pair], list[float]] = defaultdict(list)
    for answer, question in zip(answers, questions, strict=True):
        if answer.outcome in ("abstain", "failed"):
            verb = "abstains" if answer.outcome == "abstain" else "fails"
            why = f": {answer.raw[:_LONGEST]}" if answer.raw else ""
            silence[question.item.prompt_id][f"{judge.name} {verb}{why}"] += 1
    statements = [
        make_statement(judge, question, answer) for question, answer in zip(questions, answers, strict=True)
    ]
    for statement in list_pair_statements(statements):
        if (probability := statement.probability) is not None:
            verdicts[(statement.prompt_id, (statement.a, statement.b))].append(2 * probability - 1)
    return verdicts


def _explain_silence(silence: Counter[str]) -> str:
    reasons = "; ".join(reason for reason, _ in silence.most_common(3))
    return f"no judge of the panel compares it with another ({reasons or 'none was asked'})"
