"""The judge stage: a panel of judges compares the responses to each prompt.

Importing this package loads no model library; judges and engines import theirs when they are first asked.
"""

from typing import Any

from curate.judge import (
    likelihood,
    listwise,
    meta,
    pairwise,
    pointwise,
    reference,
    reward_model,
    rubric,
    rule,
    verifier,
)
from curate.judge.base import (
    RENAMED,
    Answer,
    CandidateResponse,
    Judge,
    JudgeOptions,
    OtherJudgment,
    PromptItem,
    Question,
    abstain,
    ask_both_orders,
    ask_each_response,
    ask_shuffled_lists,
    fail,
    from_margin,
    from_probability,
    from_rating,
    warn_old_name,
)
from curate.judge.closing import finish_judges
from curate.judge.configured import Panel, check_judges
from curate.judge.plan import WorkChunk
from curate.judge.registry import judge_kind, judge_schemas
from curate.judge.runner import answer_chunk
from curate.judge.stage import estimate_cost, judge_responses, plan_chunks
from curate.judge.writer import commit_chunks

__all__ = [
    "Answer",
    "CandidateResponse",
    "Judge",
    "JudgeOptions",
    "OtherJudgment",
    "Panel",
    "PromptItem",
    "Question",
    "WorkChunk",
    "abstain",
    "answer_chunk",
    "ask_both_orders",
    "ask_each_response",
    "ask_shuffled_lists",
    "check_judges",
    "commit_chunks",
    "estimate_cost",
    "fail",
    "finish_judges",
    "from_margin",
    "from_probability",
    "from_rating",
    "judge_kind",
    "judge_responses",
    "judge_schemas",
    "likelihood",
    "listwise",
    "meta",
    "pairwise",
    "plan_chunks",
    "pointwise",
    "reference",
    "reward_model",
    "rubric",
    "rule",
    "verifier",
]

_RENAMED = {
    **RENAMED,
    "Work": "WorkChunk",
    "check": "check_judges",
    "commit": "commit_chunks",
    "estimate": "estimate_cost",
    "finish": "finish_judges",
    "judge": "judge_responses",
    "plan": "plan_chunks",
}


def __getattr__(name: str) -> Any:
    """Return an object under its old name, and warn about the name once; old names go away with the next release."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn_old_name(name, _RENAMED[name], stacklevel=3)
    return globals().setdefault(name, globals()[_RENAMED[name]])
