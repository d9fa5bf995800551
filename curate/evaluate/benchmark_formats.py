"""The columns of known benchmarks: from a row as its authors publish it to an item.

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
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.data.preference_rows import Turns, Unusable, split_pair, split_ranking, turns_of, with_images
from curate.evaluate.benchmark import BenchmarkItem

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """`hub`, `split`: where its authors publish it."""

    name: str
    read: Callable[[Row, str], BenchmarkItem]
    hub: str = ""
    split: str = ""


def _reward_bench(row: Row, key: str) -> BenchmarkItem:
    return BenchmarkItem(
        key=str(row.get("id", key)),
        context=turns_of(row.get("prompt"), "prompt", "user"),
        responses=(_text(row, "chosen"), _text(row, "rejected")),
        tiers=(1, 2),
        subset=_name(row, "subset"),
    )


def _reward_bench_2(row: Row, key: str) -> BenchmarkItem:
    chosen, rejected = _texts(row, "chosen"), _texts(row, "rejected")
    return BenchmarkItem(
        key=str(row.get("id", key)),
        context=turns_of(row.get("prompt"), "prompt", "user"),
        responses=(*chosen, *rejected),
        tiers=(1,) * len(chosen) + (2,) * len(rejected),
        subset=_name(row, "subset"),
    )


def _rm_bench(row: Row, key: str) -> BenchmarkItem:
    chosen, rejected = _texts(row, "chosen"), _texts(row, "rejected")
    if not len(chosen) == len(rejected) == 3:
        raise Unusable("chosen and rejected are no lists of three styles")
    return BenchmarkItem(
        key=str(row.get("id", key)),
        context=turns_of(row.get("prompt"), "prompt", "user"),
        responses=(*chosen, *rejected),
        tiers=(1, 1, 1, 2, 2, 2),
        styles=(0, 1, 2, 0, 1, 2),
        subset=_name(row, "domain"),
    )


_JUDGE_BENCH = {
    "mmlu-pro": "knowledge",
    "livebench-reasoning": "reasoning",
    "livebench-math": "math",
    "livecodebench": "coding",
}


def _judge_bench(row: Row, key: str) -> BenchmarkItem:
    label = str(row.get("label")).replace(" ", "")
    if label not in ("A>B", "B>A"):
        raise Unusable("label is neither A>B nor B>A")
    source = _name(row, "source")
    return BenchmarkItem(
        key=str(row.get("pair_id", key)),
        context=[("user", _text(row, "question"))],
        responses=(_text(row, "response_A"), _text(row, "response_B")),
        tiers=(1, 2) if label == "A>B" else (2, 1),
        subset=next((name for start, name in _JUDGE_BENCH.items() if source.startswith(start)), source),
    )


_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def _hh_rlhf(row: Row, key: str) -> BenchmarkItem:
    chosen, rejected = (_transcript(_text(row, name)) for name in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1] or chosen[-1][0] != "assistant" or rejected[-1][0] != "assistant":
        raise Unusable("the transcripts differ before the last answer")
    if chosen == rejected:
        raise Unusable("chosen and rejected are equal")
    texts = (chosen[-1][1], rejected[-1][1])
    subset = row.get("subset")
    return BenchmarkItem(
        key=key, context=chosen[:-1], responses=texts, tiers=(1, 2), subset=str(subset) if subset else "all"
    )


def _transcript(text: str) -> Turns:
    _, *parts = _TURN.split(text)
    if len(parts) < 4:
        raise Unusable("no transcript of Human and Assistant")
    return [(_ROLES[who], said.strip()) for who, said in zip(parts[::2], parts[1::2], strict=True)]


def _native(row: Row, key: str) -> BenchmarkItem:
    about: dict[str, Any] = {
        "key": str(row.get("id", key)),
        "subset": str(row.get("subset") or "all"),
        "prompt_id": str(row.get("prompt_id") or ""),
    }
    prompt = row.get("prompt")
    if isinstance(prompt, str) and prompt.startswith('[{"'):  # messages in a column of text
        row = {**row, "prompt": json.loads(prompt)}
    if row.get("rankings") is not None:
        texts, ranks = split_ranking(row)
        context = with_images(turns_of(row.get("prompt"), "prompt", "user"), row)
        return BenchmarkItem(context=context, responses=tuple(texts), tiers=tuple(ranks), **about)
    if row.get("scores") is not None:
        gold = _numbers(row["scores"])
        texts = list(_texts(row, "responses"))
        if len(texts) != len(gold) or len(set(gold)) < 2:
            raise Unusable("scores are not as many as responses, or all equal")
        tiers = tuple(1 + sum(other > each for other in gold) for each in gold)
        context = with_images(turns_of(row.get("prompt"), "prompt", "user"), row)
        return BenchmarkItem(context=context, responses=tuple(texts), tiers=tiers, gold=gold, **about)
    context, chosen, rejected = split_pair(row)
    if chosen == rejected:
        raise Unusable("chosen and rejected are equal")
    return BenchmarkItem(
        context=with_images(context, row), responses=(chosen, rejected), tiers=(1, 2), **about
    )


FORMATS = {
    each.name: each
    for each in (
        Format("reward-bench", _reward_bench, "allenai/reward-bench", "filtered"),
        Format("reward-bench-2", _reward_bench_2, "allenai/reward-bench-2", "test"),
        Format("rm-bench", _rm_bench, "THU-KEG/RM-Bench", "train"),
        Format("judge-bench", _judge_bench, "ScalerLab/JudgeBench", "gpt"),
        Format("hh-rlhf", _hh_rlhf, "Anthropic/hh-rlhf", "test"),
        Format("native", _native),
    )
}


def detected(row: Row) -> Format:
    """The format of a file, from the columns of its first row."""
    if {"response_A", "response_B"} <= row.keys():
        return FORMATS["judge-bench"]
    if isinstance(row.get("chosen"), Sequence) and not isinstance(row["chosen"], str) and "domain" in row:
        return FORMATS["rm-bench"]
    if "num_correct" in row:
        return FORMATS["reward-bench-2"]
    if {"chosen_model", "rejected_model", "subset"} <= row.keys():
        return FORMATS["reward-bench"]
    chosen = row.get("chosen")
    if "prompt" not in row and isinstance(chosen, str) and chosen.startswith("\n\nHuman:"):
        return FORMATS["hh-rlhf"]
    return FORMATS["native"]


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise Unusable(f"{name} is missing or no text")
    return value


def _name(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise Unusable(f"{name} is missing or no text")
    return value


def _texts(row: Row, name: str) -> tuple[str, ...]:
    value = row.get(name)
    if not isinstance(value, list) or not value:
        raise Unusable(f"{name} is no list of texts")
    texts = tuple(each.get("text") if isinstance(each, Mapping) else each for each in value)
    if not all(isinstance(each, str) for each in texts):
        raise Unusable(f"{name} is no list of texts")
    return texts  # type: ignore[return-value]  # just checked


def _numbers(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise Unusable("scores is no list of numbers")
    for each in values:
        if isinstance(each, bool) or not isinstance(each, int | float) or not math.isfinite(each):
            raise Unusable("scores is no list of numbers")
    return tuple(map(float, values))
