"""The judge stage: a panel of judges compares the responses to each prompt.

Importing this package loads no model library; judges and engines import theirs when they are first asked.
"""

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
    "PromptItem",
    "Judge",
    "JudgeOptions",
    "OtherJudgment",
    "Panel",
    "Question",
    "WorkChunk",
    "answer_chunk",
    "check_judges",
    "commit_chunks",
    "estimate_cost",
    "finish_judges",
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
