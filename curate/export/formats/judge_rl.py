"""The format `judge-rl`: what judges are asked, with the right verdict, to train a judge by reinforcement learning.

`prompt` with any other column is what GRPOTrainer of TRL hands to reward functions (huggingface/trl f2cd577,
docs/source/grpo_trainer.md); `data_source`, `reward_model` and `extra_info` are those of verl (see `verl`). The verdict
can be checked: an answer is right where what follows `verdict_mark` is `solution`.
"""

from __future__ import annotations

from typing import Any

from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.export.formats.verl import VerlReward
from curate.export.rows import ChatMessage
from curate.records import Record


class JudgeRlInfo(Record):
    """Facts that a reward function of verl is told beside the verdict."""

    index: str
    prompt_id: str
    response_a: str
    response_b: str
    shown: str
    verdict_mark: str


class JudgeRlRow(Record):
    """A question to a judge, once in each order. `solution` is A or B: the side on which the better response stands."""

    prompt: tuple[ChatMessage, ...]
    solution: str
    verdict_mark: str
    data_source: str
    ability: str
    reward_model: VerlReward
    extra_info: JudgeRlInfo
    prompt_id: str
    annotator_id: str
    confidence: float
    iteration: int


class JudgeRl(RowFormat):
    """Questions to judges with the right verdict, for reinforcement learning of a judge."""

    rows = "judgments"
    Row = JudgeRlRow
    checks_rows = False
    title = "Questions to judges, with verdicts that can be checked"

    def __init__(self, name: str, options: Any = None, *, code: str = "") -> None:
        super().__init__(name, options, code=code)
        self.selection = "export_select_judge_rl"

    def write_row(self, row: Dict) -> Dict:
        """Return the row of a question; the judge's answer ends with the verdict's mark and some verdict."""
        mark = row["completion"][-1]["content"].rpartition(" ")[0].rpartition("\n")[2]
        solution = "A" if (row["label"] == "a") == (row["shown"] == "ab") else "B"
        about = {name: row[name] for name in ("prompt_id", "response_a", "response_b", "shown")}
        return row | {
            "solution": solution,
            "verdict_mark": mark,
            "data_source": "curate/judge",
            "ability": "judge",
            "reward_model": {"style": "rule", "ground_truth": solution},
            "extra_info": about | {"index": row["judgment_id"], "verdict_mark": mark},
        }
