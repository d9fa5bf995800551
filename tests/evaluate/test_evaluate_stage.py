"""The stage `evaluate` on a lake with a panel of known quality."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from curate.config.evaluate import Benchmark, EvaluateSection
from curate.config.judge import JudgeSection
from curate.config.project import Config
from curate.config.train import TrainSection
from curate.core.errors import CurateError
from curate.evaluate import evaluate_benchmarks
from curate.lake.lake import Lake
from curate.records import Judgment, Preference, Ranking, Run, arrow_schema

BASELINES = ["length baseline", "random baseline"]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    gold = [
        {"prompt": f"q{number}", "ranking": [[f"q{number}-r{rank}"] for rank in range(4)]}
        for number in range(12)
    ]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, gold)))
    section = EvaluateSection(benchmarks=[Benchmark(name="truth", source="gold.jsonl")], bootstrap=200)
    config = Config(evaluate=section, train=TrainSection(judge="learnt"))
    object.__setattr__(config, "_folder", tmp_path)
    return config


def values(lake: Lake, metric: str = "accuracy", subset: str = "all") -> dict[str, float]:
    query = "SELECT subject, value FROM evaluations WHERE benchmark = 'truth' AND metric = ? AND subset = ?"
    return dict(lake.rows(query, (metric, subset)))


def naive_accuracy(lake: Lake, annotator: str) -> float:
    """Right 1, wrong 0, the two orders at odds ½."""
    model = dict(lake.rows("SELECT response_id, model FROM responses"))
    verdicts: dict[tuple[str, str], list[bool]] = {}
    query = (
        "SELECT response_a, response_b, outcome FROM judgments WHERE annotator_id = ? AND form = 'pairwise'"
    )
    for a, b, outcome in lake.rows(query, [annotator]):
        verdicts.setdefault((a, b), []).append((model[a] < model[b]) == (outcome == "a"))
    credit = [0.5 if len(set(right)) == 2 else float(right[0]) for right in verdicts.values()]
    return sum(credit) / len(credit)


def copy_judgments(lake: Lake, where: str, **changes: object) -> pa.Table:
    """Judgments like some that are there."""
    rows = lake.arrow(f"SELECT * FROM judgments WHERE {where}").to_pylist()
    rows = [{**row, "judgment_id": f"{changes}-{row['judgment_id']}", **changes} for row in rows]
    return pa.Table.from_pylist(rows, schema=arrow_schema(Judgment))


def test_annotators_majority_and_baselines(sample_lake: Lake, config: Config) -> None:
    summary = evaluate_benchmarks(sample_lake, config)
    assert (summary.counts.rows_in, summary.counts.rows_kept, summary.skipped) == (12, 12, False)
    scores_by_key = values(sample_lake)
    for annotator in ("good", "fair", "random"):
        assert scores_by_key[annotator] == pytest.approx(naive_accuracy(sample_lake, annotator))
    assert scores_by_key["best judge"] == scores_by_key["good"]
    assert scores_by_key["fair"] < scores_by_key["majority"]
    assert scores_by_key["length baseline"] == 0.0  # in this lake the longer answer is always the worse one
    assert scores_by_key["random baseline"] == 0.5
    best = values(sample_lake, "best-of-n")
    assert best["length baseline"] == 0.0
    assert best["random baseline"] == 0.25
    assert best["good"] > 0.7
    details = json.loads(sample_lake.value("SELECT details FROM runs WHERE stage = 'evaluate'"))
    assert details["best_judge"] == "good"


def test_silence_is_coverage_and_not_error(sample_lake: Lake, config: Config) -> None:
    known = copy_judgments(
        sample_lake, "annotator_id = 'good' AND shown = 'ab'", annotator_id="shy"
    ).to_pylist()
    rows = [
        row if at % 3 == 0 else {**row, "outcome": ("abstain", "failed")[at % 3 - 1]}
        for at, row in enumerate(known)
    ]
    with sample_lake.write("shy") as writer:
        writer.append("judgments", pa.Table.from_pylist(rows, schema=arrow_schema(Judgment)))
    evaluate_benchmarks(sample_lake, config)
    n, value = sample_lake.rows(
        "SELECT n, value FROM evaluations WHERE subject = 'shy' AND metric = 'accuracy'"
    )[0]
    assert n == 24
    assert value > 0.8
    assert values(sample_lake, "coverage")["shy"] == pytest.approx(24 / 72)
    assert values(sample_lake)["best judge"] == values(sample_lake)["good"]  # not whoever says little


def test_pointwise_and_listwise_judgments_are_comparisons_too(sample_lake: Lake, config: Config) -> None:
    rows = sample_lake.rows(
        "SELECT prompt_id, list(response_id ORDER BY model), list(model ORDER BY model) FROM responses GROUP BY ALL"
    )
    schema, common = arrow_schema(Judgment), {"kind": "llm", "revision": "imported", "run_id": "x"}
    judgments = []
    for prompt, responses, models in rows:
        ranked = Judgment(
            judgment_id=f"l{prompt}",
            prompt_id=prompt,
            annotator_id="lists",
            form="listwise",
            outcome="tie",
            ranking=tuple(responses),
            **common,
        )
        scored = [
            Judgment(
                judgment_id=f"s{response}",
                prompt_id=prompt,
                annotator_id="scores",
                form="pointwise",
                outcome="tie",
                response_a=response,
                score=float(model[-1] not in "01"),
                **common,
            )
            for response, model in zip(responses, models, strict=True)
        ]
        judgments += [ranked, *scored]
    with sample_lake.write("more") as writer:
        writer.append(
            "judgments",
            pa.Table.from_pylist([judgment.model_dump() for judgment in judgments], schema=schema),
        )
    evaluate_benchmarks(sample_lake, config)
    scores_by_key = values(sample_lake)
    assert scores_by_key["lists"] == 1.0
    assert scores_by_key["scores"] == pytest.approx(1 / 6)  # wrong on 4 of 6 pairs, two ties at one half


def test_only_the_newest_finished_revision_of_a_judge_speaks(sample_lake: Lake, config: Config) -> None:
    seated = JudgeSection(judges=[{"name": "good", "kind": "rule"}])
    config = config.model_copy(update={"judge": seated})
    run = Run(
        run_id="r",
        stage="judge",
        part="good",
        chunk=0,
        fingerprint="f",
        config_hash="c",
        code_version="v",
        snapshot_in=0,
        rows_in=0,
        rows_kept=0,
        rows_duplicate=0,
        rows_dropped=0,
        tokens_in=0,
        tokens_out=0,
        cost=0,
        seconds=0,
        status="done",
        details=json.dumps({"revision": "new"}),
        started_at="2026-01-01T00:00:00",
        finished_at="2026-01-01T00:00:01",
    )
    better = sample_lake.arrow(
        "SELECT j.* REPLACE ('n' || judgment_id AS judgment_id, 'new' AS revision, "
        "if(a.model < b.model, 'a', 'b') AS outcome) FROM judgments AS j "
        "JOIN responses AS a ON a.response_id = response_a JOIN responses AS b ON b.response_id = response_b "
        "WHERE annotator_id = 'good'"
    )
    sample_lake.rows("UPDATE lake.judgments SET revision = 'old' WHERE annotator_id = 'good'")
    with sample_lake.write("new") as writer:
        writer.append("judgments", better)
        writer.append("runs", pa.Table.from_pylist([run.model_dump()], schema=arrow_schema(Run)))
    evaluate_benchmarks(sample_lake, config)
    assert values(sample_lake)["good"] == 1.0


def test_labels_of_every_iteration_and_those_that_are_accepted(sample_lake: Lake, config: Config) -> None:
    responses = sample_lake.rows("SELECT prompt_id, response_id, model FROM responses")
    preferences, rankings = [], []
    for iteration in (0, 1):
        for prompt, a, better in responses:
            # the first iteration takes the last for the best; the second is right and doubts the pair of the last two
            rank = int(better[-1]) + 1 if iteration else 4 - int(better[-1])
            rankings.append(
                Ranking(
                    prompt_id=prompt, response_id=a, rank=rank, score=0.0, iteration=iteration, run_id="x"
                )
            )
            for other_prompt, b, worse in responses:
                if prompt == other_prompt and a < b:
                    right = "a" if better < worse else "b"
                    doubtful = {better[-1], worse[-1]} == {"2", "3"}
                    outcome = right if iteration else {"a": "b", "b": "a"}[right]
                    preferences.append(
                        Preference(
                            prompt_id=prompt,
                            response_a=a,
                            response_b=b,
                            p_a=0.9 if outcome == "a" else 0.1,
                            strength=1.0,
                            outcome="tie" if iteration and doubtful else outcome,
                            status="routed" if doubtful else "accepted",
                            confidence=0.9,
                            n_judgments=6,
                            dropped_weight=0.0,
                            iteration=iteration,
                            run_id="x",
                        )
                    )
    with sample_lake.write("labels") as writer:
        for name, rows in (("preferences", preferences), ("rankings", rankings)):
            schema = arrow_schema(type(rows[0]))
            writer.append(name, pa.Table.from_pylist([row.model_dump() for row in rows], schema=schema))
    evaluate_benchmarks(sample_lake, config)
    assert values(sample_lake)["ensemble, iteration 0"] == 0.0
    assert values(sample_lake)["ensemble, iteration 1"] == pytest.approx(5.5 / 6)
    assert values(sample_lake, subset="accepted")["ensemble, iteration 1"] == 1.0
    best = values(sample_lake, "best-of-n")
    assert (best["ensemble, iteration 0"], best["ensemble, iteration 1"]) == (0.0, 1.0)


def test_the_trained_model_and_people_are_scored_but_do_not_vote(sample_lake: Lake, config: Config) -> None:
    evaluate_benchmarks(sample_lake, config)
    before = values(sample_lake)["majority"]
    with sample_lake.write("more") as writer:
        for name, kind in (("learnt", "reward-model"), ("person", "human"), ("person 2", "human")):
            writer.append(
                "judgments",
                copy_judgments(sample_lake, "annotator_id = 'random'", annotator_id=name, kind=kind),
            )
    evaluate_benchmarks(sample_lake, config)
    scores_by_key = values(sample_lake)
    assert scores_by_key["majority"] == before
    assert (
        scores_by_key["learnt"]
        == scores_by_key["person"]
        == scores_by_key["person 2"]
        == scores_by_key["random"]
    )


def test_done_work_is_skipped_until_gold_or_lake_change(sample_lake: Lake, config: Config) -> None:
    evaluate_benchmarks(sample_lake, config)
    first = sample_lake.rows("SELECT * EXCLUDE run_id FROM evaluations ORDER BY ALL")
    snapshot = sample_lake.snapshot()
    assert evaluate_benchmarks(sample_lake, config).skipped
    assert sample_lake.snapshot() == snapshot
    with sample_lake.write("one more") as writer:
        writer.append(
            "judgments", copy_judgments(sample_lake, "annotator_id = 'fair'", annotator_id="fair too")
        )
    assert not evaluate_benchmarks(sample_lake, config).skipped
    assert "fair too" in values(sample_lake)
    with sample_lake.write("and back") as writer:
        writer.delete("judgments", "annotator_id = 'fair too'")
    assert not evaluate_benchmarks(sample_lake, config).skipped
    assert sample_lake.rows("SELECT * EXCLUDE run_id FROM evaluations ORDER BY ALL") == first
    (config.resolve("gold.jsonl")).write_text(json.dumps({"prompt": "q1", "ranking": ["q1-r0", "q1-r1"]}))
    assert not evaluate_benchmarks(sample_lake, config).skipped


def test_without_benchmarks_nothing_happens_and_a_missing_one_is_named(lake: Lake, config: Config) -> None:
    summary = evaluate_benchmarks(lake, Config())
    assert (summary.skipped, summary.note) == (True, "curate.yaml names no benchmark")
    config.resolve("gold.jsonl").unlink()
    with pytest.raises(CurateError, match=r"gold\.jsonl: No such file .*evaluate\.benchmarks"):
        evaluate_benchmarks(lake, config)
