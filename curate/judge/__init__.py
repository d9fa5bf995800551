"""The judge stage: a panel of judges compares the responses to each prompt.

Importing this package loads no model library; judges and engines import theirs when they are first asked.
"""

from typing import Any

from curate.judge import base as _base
from curate.judge import (
    likelihood,
    listwise,
    meta,
    pairwise,
    pointwise,
    reference,
    reward_model,
    rule,
    verifier,
)
from curate.judge.base import (
    Answer,
    CandidateResponse,
    Judge,
    JudgeOptions,
    OtherJudgment,
    PromptItem,
    Question,
    abstain,
    fail,
    from_margin,
    from_probability,
    from_rating,
)
from curate.judge.configured import Panel, check_judges
from curate.judge.pending import WorkChunk
from curate.judge.registry import judge_kind, judge_schemas
from curate.judge.runner import answer_chunk
from curate.judge.stage import estimate_cost, finish_judges, judge, plan_chunks
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
    "check_judges",
    "commit_chunks",
    "estimate_cost",
    "fail",
    "finish_judges",
    "from_margin",
    "from_probability",
    "from_rating",
    "judge",
    "judge_kind",
    "judge_schemas",
    "likelihood",
    "listwise",
    "meta",
    "pairwise",
    "plan_chunks",
    "pointwise",
    "reference",
    "reward_model",
    "rule",
    "verifier",
]

_RENAMED = {
    "Work": "WorkChunk",
    "check": "check_judges",
    "commit": "commit_chunks",
    "estimate": "estimate_cost",
    "finish": "finish_judges",
    "plan": "plan_chunks",
}


def __getattr__(name: str) -> Any:
    """Return what is asked for under a name of before, with a warning; names go away with the next release."""
    if name in _RENAMED:
        _base.warn_old_name(name, _RENAMED[name], stacklevel=3)
        return globals()[_RENAMED[name]]
    if name in _base.RENAMED:
        return _base.__getattr__(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
