"""Training sets of judges that rate or rank, and critiques: which are taken, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.export.formats import list_row_types
from curate.judge import judge_responses
from curate.judge.configured import Panel
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.pipeline.export import export_labels
from curate.records import Judgment, judgment_id
from tests.conftest import MakeModel, table
from tests.export.conftest import Aggregate


def config_of(folder: Path, model: Path, **judge: Any) -> Config:
    config = Config.model_validate(
        {
            "engines": {"tiny": {"kind": "transformers", "model": str(model), "dtype": "float32"}},
            "judge": {"judges": [{"name": "stars", "engine": "tiny", **judge}]},
        }
    )
    object.__setattr__(config, "_folder", folder)
    return config


def exported(lake: Lake, config: Config, form: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    export_labels(lake, config, entries=[ExportEntry(path="out", format=form)])
    folder = config.resolve("out")
    rows = pl.read_parquet(folder / "data" / "*.parquet").to_dicts()
    name = form if isinstance(form, str) else form["kind"]
    for row in rows:
        list_row_types()[name].model_validate(row)
    return rows, json.loads((folder / "manifest.json").read_text())


def commit(lake: Lake, config: Config, judgments: list[Judgment]) -> None:
    run = StageRun(lake, "judge", config_hash="c")
    with run.chunk("stars", fingerprint="f", status="done") as (writer, counts):
        writer.append("judgments", table(judgments))
        counts.details = {"revision": judgments[0].revision}


def rated(lake: Lake, config: Config, *, rationale: str | None) -> dict[str, float]:
    """Ratings by quality in half of the prompts, upside down in the others; returns response → rating."""
    with Panel(config) as panel:
        revision = panel.judges["stars"].revision
    responses = lake.rows("SELECT prompt_id, response_id, model FROM responses ORDER BY ALL")
    prompts = sorted({prompt for prompt, _, _ in responses})
    ratings, rows = {}, []
    for prompt, response, model in responses:
        quality = 5.0 - int(model.rpartition("-")[2])
        ratings[response] = quality if prompts.index(prompt) % 2 == 0 else 5 - quality
        shares = {str(star): 0.9 if star == ratings[response] else 0.025 for star in range(1, 6)}
        identity = judgment_id(
            prompt=prompt, annotator="stars", revision=revision, form="pointwise", responses=[response],
            shown=None, sample=0,
        )  # fmt: skip
        rows.append(
            Judgment(
                judgment_id=identity, prompt_id=prompt, annotator_id="stars", kind="llm", form="pointwise",
                response_a=response, outcome="a", score=ratings[response], raw=json.dumps(shares),
                rationale=rationale, revision=revision, run_id="r",
            )
        )  # fmt: skip
    commit(lake, config, rows)
    return ratings


def test_ratings_that_the_labels_bear_out(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel
) -> None:
    config = config_of(tmp_path, make_model(), kind="pointwise", reasoning=True)
    aggregate(sample_lake)
    ratings = rated(sample_lake, config, rationale="It is to the point.")
    rows, manifest = exported(sample_lake, config, "judge-sft-pointwise")
    prompts = [
        prompt for (prompt,) in sample_lake.rows("SELECT DISTINCT prompt_id FROM responses ORDER BY 1")
    ]
    assert {row["prompt_id"] for row in rows} == set(prompts[::2])
    assert manifest["counts"]["dropped"] == {"against a label": len(ratings) - len(rows)}
    texts = dict(sample_lake.rows("SELECT response_id, messages[1].content[1].text FROM responses"))
    for row in rows:
        (response,) = row["responses"]
        assert texts[response] in row["prompt"][-1]["content"]
        stars = round(ratings[response])
        assert row["completion"][0]["content"] == f"It is to the point.\n\nVerdict: {stars}"
        assert row["score"] == ratings[response]


def test_a_judge_that_does_not_think_says_its_rating_alone(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel
) -> None:
    config = config_of(tmp_path, make_model(), kind="pointwise")
    aggregate(sample_lake)
    rated(sample_lake, config, rationale=None)
    rows, _ = exported(sample_lake, config, "judge-sft-pointwise")
    assert {row["completion"][0]["content"] for row in rows} == {"2", "3", "4", "5"}
    with pytest.raises(CurateError, match="without a rationale"):
        exported(sample_lake, config, "critique")


def test_what_a_real_judge_says_comes_out_in_its_own_words(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel
) -> None:
    """The labels are made to agree with a judge that knows nothing, so that all that it said is taken."""
    config = config_of(
        tmp_path, make_model(max_position_embeddings=2048), kind="pointwise", scale=[0, 9], min_mass=0.0
    )
    aggregate(sample_lake)
    judge_responses(sample_lake, config)
    score = "(SELECT any_value(j.score) FROM judgments j WHERE j.annotator_id = 'stars' AND j.response_a = labels.{})"
    sample_lake.rows(
        f"UPDATE lake.preferences AS labels SET outcome = "
        f"if({score.format('response_a')} > {score.format('response_b')}, 'a', 'b')"
    )
    rows, manifest = exported(sample_lake, config, "judge-sft-pointwise")
    said = {
        identity: max(shares, key=lambda rating: shares[rating])
        for identity, raw in sample_lake.rows(
            "SELECT judgment_id, raw FROM judgments WHERE annotator_id = 'stars'"
        )
        for shares in [json.loads(raw)]
    }
    assert manifest["counts"] == {"unit": "judgments", "in": 48, "kept": 48, "dropped": {}}
    assert len(rows) == len(said) == 48
    for row in rows:
        assert row["completion"][0]["content"] == said[row["judgment_id"]]


def test_critiques_stand_after_the_answer(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel
) -> None:
    config = config_of(tmp_path, make_model(), kind="pointwise", reasoning=True)
    aggregate(sample_lake)
    rated(sample_lake, config, rationale="It is to the point.")
    rows, _ = exported(sample_lake, config, {"kind": "critique", "instruction": "What is wrong here?"})
    texts = dict(sample_lake.rows("SELECT response_id, messages[1].content[1].text FROM responses"))
    for row in rows:
        *_, answer, request = row["prompt"]
        assert answer == {"role": "assistant", "content": texts[row["responses"][0]]}
        assert request == {"role": "user", "content": "What is wrong here?"}
        assert row["completion"] == [{"role": "assistant", "content": "It is to the point."}]


def listed(lake: Lake, config: Config) -> tuple[dict[str, list[tuple[str, str]]], list[Judgment]]:
    """Lists by quality in half of the prompts, upside down in the others; returns what was shown, and the rows."""
    with Panel(config) as panel:
        revision = panel.judges["stars"].revision
    by_prompt: dict[str, list[tuple[str, str]]] = {}
    for prompt, response, model in lake.rows(
        "SELECT prompt_id, response_id, model FROM responses ORDER BY prompt_id, response_id DESC"
    ):
        by_prompt.setdefault(prompt, []).append((response, model))
    rows = []
    for number, (prompt, listed) in enumerate(by_prompt.items()):
        order = sorted(range(len(listed)), key=lambda place: listed[place][1], reverse=number % 2 == 1)
        scores = {f"model-{place + 1}": float(len(listed) - at) for at, place in enumerate(order)}
        raw = json.dumps({"thoughts": "Short is good.", "scores": scores})
        ids = [response for response, _ in listed]
        identity = judgment_id(
            prompt=prompt, annotator="stars", revision=revision, form="listwise", responses=ids, shown=None, sample=0
        )  # fmt: skip
        rows.append(
            Judgment(
                judgment_id=identity, prompt_id=prompt, annotator_id="stars", kind="llm", form="listwise",
                outcome="a", listed=tuple(ids), scores=tuple(scores[f"model-{at + 1}"] for at in range(len(ids))),
                ranking=tuple(ids[place] for place in order), raw=raw, revision=revision, run_id="r",
            )
        )  # fmt: skip
    commit(lake, config, rows)
    return by_prompt, rows


def test_lists_that_the_labels_bear_out(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel
) -> None:
    config = config_of(tmp_path, make_model(), kind="listwise")
    aggregate(sample_lake)
    by_prompt, rows = listed(sample_lake, config)
    written, manifest = exported(sample_lake, config, "judge-sft-listwise")
    assert [row["prompt_id"] for row in written] == sorted(by_prompt)[::2]
    assert manifest["counts"]["dropped"] == {"against a label": len(by_prompt) // 2}
    texts = dict(sample_lake.rows("SELECT response_id, messages[1].content[1].text FROM responses"))
    raws = {row.prompt_id: row.raw for row in rows}
    for row in written:
        assert row["responses"] == [response for response, _ in by_prompt[row["prompt_id"]]]
        assert row["completion"][0]["content"] == raws[row["prompt_id"]]
        shown = row["prompt"][-1]["content"]
        places = [
            shown.index(f"Answer model-{at + 1}:\n") for at, _ in enumerate(by_prompt[row["prompt_id"]])
        ]
        assert places == sorted(places)
        for at, response in enumerate(row["responses"]):
            assert texts[response] in shown[places[at] :]


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore")  # what TRL and Transformers say to each other of their options
@pytest.mark.parametrize("form", ["judge-sft-pointwise", "judge-sft-listwise", "critique"])
def test_trl_trains_two_steps_on_them(
    sample_lake: Lake, aggregate: Aggregate, tmp_path: Path, make_model: MakeModel, form: str
) -> None:
    pytest.importorskip("trl", reason="trains with TRL")
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    base = make_model(max_position_embeddings=2048)
    aggregate(sample_lake)
    if form == "judge-sft-listwise":
        config = config_of(tmp_path, base, kind="listwise")
        listed(sample_lake, config)
    else:
        config = config_of(tmp_path, base, kind="pointwise", reasoning=True)
        rated(sample_lake, config, rationale="It is to the point.")
    exported(sample_lake, config, form)
    rows = load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    arguments = SFTConfig(
        output_dir=str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=2, max_length=1024, report_to=[],
        use_cpu=True, bf16=False, disable_tqdm=True, save_strategy="no", logging_steps=1,
    )  # fmt: skip
    trainer = SFTTrainer(model=str(base), args=arguments, train_dataset=rows)
    trainer.train()
    assert len([entry for entry in trainer.state.log_history if "loss" in entry]) == 2
