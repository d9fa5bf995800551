"""Training sets of judges: which verdicts are taken, in which words, and that a judge comes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.export.rows import JudgeSftRow
from curate.judge.configured import Panel
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.pipeline.export import export_labels
from curate.records import Judgment, judgment_id
from tests.conftest import MakeModel, table
from tests.export.conftest import Aggregate


def config_of(folder: Path, model: Path, **options: Any) -> Config:
    judge = {"name": "wise", "kind": "pairwise", "engine": "tiny", "reasoning": True, **options}
    config = Config.model_validate(
        {
            "engines": {"tiny": {"kind": "transformers", "model": str(model), "dtype": "float32"}},
            "judge": {"judges": [judge]},
        }
    )
    object.__setattr__(config, "_folder", folder)
    return config


def judged(lake: Lake, config: Config) -> dict[str, int]:
    """`wise` speaks of all pairs of the sample in its newest revision; what it says is a cycle of cases."""
    with Panel(config) as panel:
        revision = panel.judges["wise"].revision
    model = dict(lake.rows("SELECT response_id, model FROM responses"))
    pairs = lake.rows(
        "SELECT a.prompt_id, a.response_id, b.response_id FROM responses a JOIN responses b USING (prompt_id) "
        "WHERE a.response_id < b.response_id ORDER BY ALL"
    )
    rows, expected = (
        [],
        {"kept": 0, "against the label": 0, "the two orders disagree": 0, "without a rationale": 0},
    )
    for at, (prompt, a, b) in enumerate(pairs):
        right, wrong = ("a", "b") if model[a] < model[b] else ("b", "a")
        case = list(expected)[at % 4]
        expected[case] += 2
        for shown in ("ab", "ba"):
            outcome = wrong if case == "against the label" else right
            if case == "the two orders disagree" and shown == "ba":
                outcome = wrong
            rows.append(
                Judgment(
                    judgment_id=judgment_id(
                        prompt=prompt, annotator="wise", revision=revision, form="pairwise",
                        responses=[a, b], shown=shown,
                    ),
                    prompt_id=prompt, annotator_id="wise", kind="llm", form="pairwise", response_a=a, response_b=b,
                    shown=shown, outcome=outcome, revision=revision, run_id="r",
                    rationale=None if case == "without a rationale" else "The first is longer.",
                )
            )  # fmt: skip
    run = StageRun(lake, "judge", config_hash="c")
    with run.chunk("wise", fingerprint="f", status="done") as (writer, counts):
        writer.append("judgments", table(rows))
        counts.details = {"revision": revision}
    return expected


def exported(lake: Lake, config: Config) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    entry = ExportEntry(path="sft", format="judge-sft")
    export_labels(lake, config, entries=[entry])
    folder = config.resolve("sft")
    rows = pl.read_parquet(folder / "data" / "*.parquet").to_dicts()
    return rows, json.loads((folder / "manifest.json").read_text())


def test_only_consistent_verdicts_that_the_label_bears_out(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel
) -> None:
    config = config_of(tmp_path, make_model())
    aggregate(sample_lake)
    expected = judged(sample_lake, config)
    rows, manifest = exported(sample_lake, config)
    kept = expected.pop("kept")
    assert len(rows) == kept
    imported = {"by a judge whose prompt cannot be made again": 432}  # those of the sample itself
    assert manifest["counts"] == {
        "unit": "judgments",
        "in": 576,
        "kept": kept,
        "dropped": expected | imported,
    }
    texts = dict(sample_lake.rows("SELECT response_id, messages[1].content[1].text FROM responses"))
    for row in rows:
        JudgeSftRow.model_validate(row)
        system, user = row["prompt"]
        assert system["role"] == "system"
        first, second = (
            (row["response_a"], row["response_b"])
            if row["shown"] == "ab"
            else (row["response_b"], row["response_a"])
        )
        one, other = user["content"].split("Answer A:\n")[1].split("Answer B:\n")
        assert texts[first] in one
        assert texts[second] in other
        letter = "A" if (row["outcome"] == "a") == (row["shown"] == "ab") else "B"
        assert row["completion"] == [
            {"role": "assistant", "content": f"The first is longer.\n\nVerdict: {letter}"}
        ]
    card = (config.resolve("sft") / "README.md").read_text()
    assert "against the label" in card


def test_questions_with_the_right_verdict_whatever_the_judge_said(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel
) -> None:
    config = config_of(tmp_path, make_model())
    aggregate(sample_lake)
    judged(sample_lake, config)
    export_labels(sample_lake, config, entries=[ExportEntry(path="rl", format="judge-rl")])
    rows = pl.read_parquet(config.resolve("rl") / "data" / "*.parquet").to_dicts()
    assert len(rows) == 2 * 72  # each pair in both orders
    texts = dict(sample_lake.rows("SELECT response_id, messages[1].content[1].text FROM responses"))
    models = dict(sample_lake.rows("SELECT response_id, model FROM responses"))
    for row in rows:
        info = row["extra_info"]
        a, b = info["response_a"], info["response_b"]
        better = min((a, b), key=lambda response: models[response])
        first = a if info["shown"] == "ab" else b
        assert row["solution"] == ("A" if better == first else "B")
        assert row["reward_model"] == {"style": "rule", "ground_truth": row["solution"]}
        assert row["verdict_mark"] == "Verdict:"
        one, _ = row["prompt"][-1]["content"].split("Answer A:\n")[1].split("Answer B:\n")
        assert texts[first] in one


def test_a_second_export_finds_itself_done_until_judges_speak_again(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel
) -> None:
    config = config_of(tmp_path, make_model())
    aggregate(sample_lake)
    judged(sample_lake, config)
    entries = [ExportEntry(path="sft", format="judge-sft")]
    assert not export_labels(sample_lake, config, entries=entries).skipped
    assert export_labels(sample_lake, config, entries=entries).skipped
    run = StageRun(sample_lake, "judge", config_hash="c")
    with run.chunk("other", fingerprint="f") as (writer, _):
        writer.delete("judgments", "annotator_id = 'wise' AND outcome = 'a' AND shown = 'ab'")
    assert not export_labels(sample_lake, config, entries=entries).skipped


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore")  # what TRL and Transformers say to each other of their options
def test_a_judge_is_trained_on_it_and_judges(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel
) -> None:
    """docs/evaluation.md's recipe on a random model: TRL reads the rows, and what it saves runs as a judge."""
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    from curate.judge import judge_responses

    base = make_model(max_position_embeddings=2048)
    config = config_of(tmp_path, base)
    aggregate(sample_lake)
    judged(sample_lake, config)
    exported(sample_lake, config)
    rows = load_dataset(str(tmp_path / "sft"), split="train", cache_dir=str(tmp_path / "cache"))
    arguments = SFTConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=2,
        max_length=1024,
        report_to=[],
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
    )
    trainer = SFTTrainer(model=str(base), args=arguments, train_dataset=rows)
    trainer.train()
    trainer.save_model(str(tmp_path / "judge"))
    before = sample_lake.value("SELECT count(*) FROM judgments")
    trained = config_of(tmp_path, tmp_path / "judge", max_tokens=8, min_mass=0.0)
    summary = judge_responses(sample_lake, trained, limit=2)
    assert summary.counts.rows_kept > 0
    assert sample_lake.value("SELECT count(*) FROM judgments") == before + 24
