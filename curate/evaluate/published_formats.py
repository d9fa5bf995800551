"""The columns of published benchmarks, and our own: from a row as its authors publish it to an item.

| format           | columns |
| ---              | --- |
| `reward-bench`   | prompt, chosen, rejected, subset, id |
| `reward-bench-2` | id, prompt, chosen (list), rejected (list), num_correct, subset |
| `rm-bench`       | id, prompt, chosen [3], rejected [3], domain |
| `judge-bench`    | pair_id, question, response_A, response_B, label (A>B or B>A), source |
| `hh-rlhf`        | chosen, rejected: transcripts (`Human:`, `Assistant:`) |
| `native`         | prompt, chosen, rejected; or prompt, responses, rankings or scores; also subset, prompt_id, id |
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from curate.data.conversation import Conversation, normalize_tools, text_message
from curate.data.preference_rows import (
    SAME_RESPONSE,
    Unusable,
    check_media,
    read_context,
    read_pair,
    read_ranking,
    read_response,
    split_pair,
)
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.benchmark_formats import BenchmarkFormat, Row


class RewardBench(BenchmarkFormat):
    """RewardBench (Lambert et al. 2024)."""

    hub, split = "allenai/reward-bench", "filtered"

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        return {"prompt", "chosen_model", "rejected_model", "subset"} <= row.keys()

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        return BenchmarkItem(
            key=str(row.get("id", key)),
            context=read_context(row),
            responses=(_read_answer(row, "chosen"), _read_answer(row, "rejected")),
            tiers=(1, 2),
            subset=_read_name(row, "subset"),
        )


class RewardBench2(BenchmarkFormat):
    """RewardBench 2 (Malik et al. 2025): lists of right and of wrong responses."""

    hub, split = "allenai/reward-bench-2", "test"

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        return "num_correct" in row

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        chosen, rejected = _read_answers(row, "chosen"), _read_answers(row, "rejected")
        return BenchmarkItem(
            key=str(row.get("id", key)),
            context=read_context(row),
            responses=(*chosen, *rejected),
            tiers=(1,) * len(chosen) + (2,) * len(rejected),
            subset=_read_name(row, "subset"),
        )


class RmBench(BenchmarkFormat):
    """RM-Bench (Liu et al. 2025): right and wrong responses in three styles each."""

    hub, split = "THU-KEG/RM-Bench", "train"

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        chosen = row.get("chosen")
        return isinstance(chosen, Sequence) and not isinstance(chosen, str) and "domain" in row

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        chosen, rejected = _read_answers(row, "chosen"), _read_answers(row, "rejected")
        if not len(chosen) == len(rejected) == 3:
            raise Unusable("chosen and rejected are no lists of three styles")
        return BenchmarkItem(
            key=str(row.get("id", key)),
            context=read_context(row),
            responses=(*chosen, *rejected),
            tiers=(1, 1, 1, 2, 2, 2),
            styles=(0, 1, 2, 0, 1, 2),
            subset=_read_name(row, "domain"),
        )


_JUDGE_BENCH_SUBSETS = {
    "mmlu-pro": "knowledge",
    "livebench-reasoning": "reasoning",
    "livebench-math": "math",
    "livecodebench": "coding",
}  # beginning of `source` → subset, as the authors group them


class JudgeBench(BenchmarkFormat):
    """JudgeBench (Tan et al. 2025)."""

    hub, split = "ScalerLab/JudgeBench", "gpt"

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        return {"response_A", "response_B"} <= row.keys()

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        label = str(row.get("label")).replace(" ", "")
        if label not in ("A>B", "B>A"):
            raise Unusable("label is neither A>B nor B>A")
        source = _read_name(row, "source")
        subsets = (name for start, name in _JUDGE_BENCH_SUBSETS.items() if source.startswith(start))
        return BenchmarkItem(
            key=str(row.get("pair_id", key)),
            context=(text_message("user", _read_text(row, "question")),),
            responses=(_read_answer(row, "response_A"), _read_answer(row, "response_B")),
            tiers=(1, 2) if label == "A>B" else (2, 1),
            subset=next(subsets, source),
        )


class HhRlhf(BenchmarkFormat):
    """HH-RLHF (Bai et al. 2022): two transcripts that differ in the last answer."""

    hub, split = "Anthropic/hh-rlhf", "test"

    @classmethod
    def recognizes(cls, row: Row) -> bool:
        chosen = row.get("chosen")
        return "prompt" not in row and isinstance(chosen, str) and chosen.startswith("\n\nHuman:")

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        pair = split_pair(None, _read_text(row, "chosen"), _read_text(row, "rejected"))
        if pair.chosen == pair.rejected:
            raise Unusable(SAME_RESPONSE)
        subset = row.get("subset")
        return BenchmarkItem(
            key=key,
            context=pair.prompt,
            responses=(pair.chosen, pair.rejected),
            tiers=(1, 2),
            subset=str(subset) if subset else "all",
        )


class Native(BenchmarkFormat):
    """Rows as `curate export` writes them: pairs, rankings, or responses with scores."""

    def read_row(self, row: Row, key: str) -> BenchmarkItem:
        about: dict[str, Any] = {
            "key": str(row.get("id", key)),
            "subset": str(row.get("subset") or "all"),
            "prompt_id": str(row.get("prompt_id") or ""),
        }
        prompt = row.get("prompt")
        if isinstance(prompt, str) and prompt.startswith('[{"'):  # messages in a column of text
            row = {**row, "prompt": json.loads(prompt)}
        if row.get("rankings") is not None:
            ranking = read_ranking(row)
            return BenchmarkItem(
                context=ranking.prompt,
                responses=ranking.responses,
                tiers=ranking.ranks,
                tools=ranking.tools,
                **about,
            )
        if row.get("scores") is not None:
            gold = _read_numbers(row["scores"])
            responses = _read_answers(row, "responses")
            if len(responses) != len(gold) or len(set(gold)) < 2:
                raise Unusable("scores are not as many as responses, or all equal")
            tiers = tuple(1 + sum(other > score for other in gold) for score in gold)
            context = read_context(row)
            check_media((*context, *(message for response in responses for message in response)))
            tools = normalize_tools(row.get("tools"))
            return BenchmarkItem(
                context=context, responses=responses, tiers=tiers, gold=gold, tools=tools, **about
            )
        pair = read_pair(row)
        responses = (pair.chosen, pair.rejected)
        return BenchmarkItem(
            context=pair.prompt, responses=responses, tiers=(1, 2), tools=pair.tools, **about
        )


def _read_text(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise Unusable(f"{name} is missing or no text")
    return value


def _read_name(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise Unusable(f"{name} is missing or no text")
    return value


def _read_answer(row: Row, name: str) -> Conversation:
    if row.get(name) is None:
        raise Unusable(f"{name} is missing or no text")
    return read_response(row[name], name)


def _read_answers(row: Row, name: str) -> tuple[Conversation, ...]:
    value = row.get(name)
    if not isinstance(value, list) or not value:
        raise Unusable(f"{name} is no list of texts")
    return tuple(read_response(answer, f"{name}[{number}]") for number, answer in enumerate(value))


def _read_numbers(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise Unusable("scores is no list of numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Unusable("scores is no list of numbers")
    return tuple(map(float, values))
