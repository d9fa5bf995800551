"""Reward models and judges on benchmarks with responses of their own, from the command line and in the stage."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from curate.cli.app import main
from curate.config.evaluate import Benchmark, EvaluateSection
from curate.config.judge import JudgeSection
from curate.config.project import Config, load_config
from curate.core.errors import CurateError
from curate.core.progress import Track, no_progress
from curate.data.conversation import text_answer
from curate.engine.base import build_chat
from curate.engine.local.embeddings import CachedEmbedder
from curate.evaluate import evaluate_benchmarks
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.benchmark_reader import read_benchmark
from curate.evaluate.benchmarking import score_subjects
from curate.evaluate.verdicts import ItemVerdict, ModelSubject
from curate.lake.lake import Lake
from curate.pipeline.evaluate import evaluate_project, open_subjects
from curate.reward.embedding_reward import EmbeddingRewardConfig, Heads, save_embedding_reward
from curate.reward.scorer import PromptResponses, open_reward_model
from tests.conftest import MakeModel


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that likes `good`, except in the first fold, whose head likes its opposite."""

    def encode(self: CachedEmbedder, texts: list[str]) -> np.ndarray:
        return np.array([[1.0, 0.0] if "good" in text else [0.0, 1.0] for text in texts], np.float32)

    monkeypatch.setattr(CachedEmbedder, "_encode", encode)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    taste = np.zeros((3, 6, 1), np.float32)
    taste[:, 0], taste[0, 0] = 1.0, -1.0
    description = EmbeddingRewardConfig(
        embedder=str(tmp_path / "encoder"),
        embedder_digest=CachedEmbedder(str(tmp_path / "encoder")).digest,
        dimension=2,
        hidden=1,
        folds=2,
        seed=0,
        epochs=[1, 1, 1],
        fingerprint="f",
        metrics={},
    )
    heads = Heads(taste, np.zeros((3, 1), np.float32), np.ones((3, 1), np.float32))
    save_embedding_reward(
        tmp_path / "taste", description, heads, [f"{2 * number:032x}" for number in range(5)]
    )
    return tmp_path / "taste"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    seen = [
        {"prompt": "?", "chosen": "good", "rejected": "bad", "prompt_id": f"{2 * n:032x}"} for n in range(4)
    ]
    unseen = [{"prompt": f"{n}?", "chosen": "good", "rejected": "worse!"} for n in range(12)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, seen + unseen)))
    return tmp_path / "pairs.jsonl"


def test_unseen_prompts_by_the_final_head_and_seen_ones_by_their_fold(model: Path, pairs: Path) -> None:
    of = read_benchmark(pairs.name, folder=pairs.parent)
    subject = ModelSubject(open_reward_model("taste", folder=model.parent))
    result = score_subjects(of, [subject], resamples=100)
    results = {
        (s.subject, s.subset): (s.estimate.value, s.estimate.n)
        for s in result.scores
        if s.metric == "accuracy"
    }
    assert results["taste", "all"] == (0.75, 16)  # ids divisible by the number of folds: the head that errs
    assert results["taste", "longer chosen"] == (0.0, 4)
    assert results["taste", "shorter chosen"] == (1.0, 12)
    assert results["length baseline", "all"] == (0.25, 16)
    assert results["random baseline", "all"] == (0.5, 16)


def test_any_sequence_classification_model(make_model: MakeModel) -> None:
    """A folder of Transformers' own: the logit of the rendered chat, and no score for what is too long."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = make_model(head="reward")
    texts = ("A", "the lazy dog " * 400, "B or A")
    asked = PromptResponses(build_chat(("user", "which is better?")), tuple(map(text_answer, texts)))
    (results,) = open_reward_model(str(folder), folder=Path()).score([asked])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    reward = AutoModelForSequenceClassification.from_pretrained(folder)
    for score, response in zip(results, texts, strict=True):
        if "dog" in response:
            assert np.isnan(score)
            continue
        chat = [{"role": "user", "content": "which is better?"}, {"role": "assistant", "content": response}]
        inputs = tokenizer(tokenizer.apply_chat_template(chat, tokenize=False), return_tensors="pt")
        with torch.inference_mode():
            expected = float(reward(inputs["input_ids"]).logits[0, 0])
        assert score == pytest.approx(expected, abs=1e-4)


@dataclass
class Fixed:
    """Scores responses by a rule, and counts how often it was asked."""

    name: str
    sign: float = 1.0
    revision: str = "1"
    asked: int = 0

    def judge_items(self, items: Sequence[BenchmarkItem], *, track: Track) -> list[ItemVerdict]:
        self.asked += 1
        return [
            ItemVerdict(self.sign * np.array([float("good" in text) for text in item.texts]))
            for item in items
        ]


def config_of(folder: Path, *benchmarks: Benchmark, **more: object) -> Config:
    config = Config(
        evaluate=EvaluateSection(benchmarks=list(benchmarks), bootstrap=20, **more),  # type: ignore[arg-type]
        judge=JudgeSection(judges=[{"name": "words", "kind": "rule", "rule": "length"}]),
    )
    object.__setattr__(config, "_folder", folder)
    return config


def test_the_stage_asks_once_and_files_scores_and_distances(lake: Lake, pairs: Path) -> None:
    config = config_of(
        pairs.parent, Benchmark(name="mine", source=pairs.name, format="auto"), robustness=True
    )
    one, other = Fixed("one"), Fixed("other", -1.0)
    summary = evaluate_benchmarks(lake, config, subjects=[one, other])
    assert (summary.counts.rows_in, summary.counts.rows_kept, one.asked) == (16, 16, 5)
    rows = {
        (subject, metric, subset): value
        for subject, metric, subset, value in lake.rows(
            "SELECT subject, metric, subset, value FROM evaluations"
        )
    }
    assert rows["one", "accuracy", "all"] == 1.0
    assert rows["one", "distance", "to other"] == pytest.approx(1.0)
    assert rows["length baseline", "kept", "rejected padded"] == 0.0
    assert evaluate_benchmarks(lake, config, subjects=[one, other]).skipped
    assert one.asked == 5
    assert not evaluate_benchmarks(lake, config, subjects=[Fixed("one", revision="2"), other]).skipped
    with pytest.raises(CurateError, match=r"There is nobody to be evaluated on 'mine'.*evaluate\.models"):
        evaluate_benchmarks(lake, config)


def test_judges_of_the_panel(tmp_path: Path) -> None:
    rows = [
        {"prompt": "?", "chosen": "one two three", "rejected": "one"},
        {"prompt": "!", "chosen": "one", "rejected": "one two"},
    ]
    (tmp_path / "words.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = config_of(
        tmp_path, Benchmark(name="mine", source="words.jsonl", format="auto"), judges=["words"]
    )
    of = read_benchmark("words.jsonl", folder=tmp_path)
    with open_subjects(config) as results:
        (judge,) = results
        opinions = judge.judge_items(of.items, track=no_progress)
    assert [opinion.compare_pair(0, 1) for opinion in opinions] == [1.0, 0.0]
    assert opinions[0].scores.tolist() == [1.0, 0.0]


def test_a_judge_without_a_verdict_is_named(lake: Lake, tmp_path: Path) -> None:
    rows = [{"prompt": "?", "chosen": "one two three", "rejected": "one"}]  # no reference to compare with
    (tmp_path / "words.jsonl").write_text("\n".join(map(json.dumps, rows)))
    judges = {"judge": {"judges": [{"name": "bleu", "kind": "reference", "metric": "bleu"}]}}
    section = {
        "judges": ["bleu"],
        "bootstrap": 0,
        "benchmarks": [{"name": "mine", "source": "words.jsonl", "format": "auto"}],
    }
    config = Config.model_validate({**judges, "evaluate": section})
    object.__setattr__(config, "_folder", tmp_path)
    with open_subjects(config) as subjects:
        note = evaluate_benchmarks(lake, config, subjects=subjects).note
    assert note == "1 benchmark; bleu has no verdict on any pair of mine"


RATER = """
from curate.judge.base import Judge, ask_each_response, from_rating
class Rater(Judge):
    def questions(self, item): return ask_each_response(item, samples=3)
    def answer(self, questions):
        return [from_rating({"good": (9, 2, 2), "bad": (1, 3, 3)}[q.a.text][q.sample]) for q in questions]
"""


def test_ratings_are_compared_sample_by_sample_as_in_aggregation(lake: Lake, tmp_path: Path) -> None:
    """The mean rating of `good` is the higher, and two samples of three prefer `bad`."""
    (tmp_path / "rater.py").write_text(RATER)
    (tmp_path / "curate.yaml").write_text(
        "judge: {judges: [{name: rater, kind: './rater.py:Rater'}]}\n"
        "evaluate: {judges: [rater], bootstrap: 10, benchmarks: [{name: mine, source: pairs.jsonl, format: auto}]}\n"
    )
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"prompt": "?", "chosen": "good", "rejected": "bad"}))
    config = load_config(tmp_path / "curate.yaml")
    with open_subjects(config) as subjects:
        (verdict,) = subjects[0].judge_items(
            read_benchmark("pairs.jsonl", folder=tmp_path).items, track=no_progress
        )
    assert verdict.p is not None
    assert verdict.p[0, 1] == pytest.approx(1 / 3)
    assert verdict.p[1, 0] == pytest.approx(2 / 3)
    assert verdict.scores.tolist() == pytest.approx([13 / 3, 7 / 3])
    evaluate_project(lake, config)
    query = "SELECT metric, value FROM evaluations WHERE subject = 'rater' AND subset = 'all'"
    scores = dict(lake.rows(query))
    assert (scores["accuracy"], scores["coverage"]) == (0.0, 1.0)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["curate", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code in (None, 0)


def test_from_the_command_line_with_and_without_a_project(
    model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(model.parent)
    run(monkeypatch, "evaluate", "taste", "-b", "pairs.jsonl", "-b", "guard")
    printed = capsys.readouterr().out
    assert "75.0%" in printed
    assert "length baseline" in printed
    assert "false-positive-rate" in printed
    assert not (model.parent / ".curate").exists()
    (model.parent / "curate.yaml").write_text("evaluate: {bootstrap: 10}\n")
    run(monkeypatch, "evaluate", "taste", "-b", "pairs.jsonl")
    assert "75.0%" in capsys.readouterr().out
    with Lake.open(Config(workspace=str(model.parent / ".curate")).location, read_only=True) as lake:
        assert (
            lake.value(
                "SELECT value FROM evaluations WHERE subject = 'taste' AND metric = 'accuracy' AND subset = 'all'"
            )
            == 0.75
        )


def test_what_cannot_be_evaluated_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="nowhere"):
        open_reward_model("nowhere", folder=tmp_path)
    (tmp_path / "empty.jsonl").write_text("{}")
    with pytest.raises(CurateError, match="no usable row"):
        read_benchmark("empty.jsonl", folder=tmp_path)
