"""Models on the hub: card, results for leaderboards, tag."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from curate.config.hub import HubResult, PushTarget
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.pipeline.push import push_folder
from curate.records import Evaluation, arrow_schema
from curate.reward.embedding_reward import EmbeddingRewardConfig, Heads, save_embedding_reward
from tests.hub.standin import StandInHub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
REPO = "org/reward"
FINGERPRINT = "f00dfacef00dfacef00dfacef00dface"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "reward"
    description = EmbeddingRewardConfig(
        embedder="sentence-transformers/all-MiniLM-L6-v2",
        embedder_digest="0" * 32,
        dimension=4,
        hidden=2,
        folds=1,
        seed=0,
        epochs=[1, 1],
        fingerprint=FINGERPRINT,
        metrics={"held_out": {"accuracy": 0.75, "pairs": 48}},
    )
    heads = Heads(*(np.zeros(shape, np.float32) for shape in ((2, 12, 2), (2, 2), (2, 2))))
    save_embedding_reward(folder, description, heads, ["0" * 32])
    return folder


def record_evaluation(lake: Lake, subject: str, benchmark: str, value: float) -> None:
    run = StageRun(lake, "evaluate", config_hash="x")
    with run.chunk(benchmark, fingerprint=benchmark, status="done") as (writer, _):
        row = Evaluation(
            subject=subject,
            benchmark=benchmark,
            subset="all",
            metric="accuracy",
            value=value,
            n=100,
            run_id=run.run_id,
        )
        writer.append(
            "evaluations", pa.Table.from_pylist([row.model_dump()], schema=arrow_schema(Evaluation))
        )


def record_training(lake: Lake) -> None:
    run = StageRun(lake, "train", config_hash="x")
    with run.chunk("reward-model", fingerprint=FINGERPRINT, status="done") as (_, counts):
        counts.rows_in = counts.rows_kept = 48


def test_a_model_goes_up_with_a_card_and_its_results(
    hub: StandInHub, model: Path, lake: Lake, tmp_path: Path
) -> None:
    record_evaluation(lake, str(model), "an older model | <b>", 0.1)
    record_training(lake)
    record_evaluation(lake, str(model), "reward-bench", 0.875)
    result_of = {"reward-bench": HubResult(dataset="allenai/reward-bench", task="default")}
    target = PushTarget(repository=REPO, license="apache-2.0", results=result_of)
    result = push_folder(Config(), model, target, lake=lake)
    files = hub.files(REPO, "model")
    for name in ("config.json", "head.safetensors", "prompts.safetensors"):
        assert files[name] == (model / name).read_bytes()
    assert not (model / "README.md").exists()  # the folder stays one that `curate train` may replace
    _, front, text = files["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(front) == {
        "license": "apache-2.0",
        "pipeline_tag": "text-classification",
        "tags": ["reward-model", "preference", "rlhf", "curate"],
        "base_model": "sentence-transformers/all-MiniLM-L6-v2",
        "base_model_relation": "finetune",
    }
    assert "| reward-bench | all | accuracy | 0.875 | – | 100 |" in text
    assert "an older model" not in text  # it was measured before this model was trained
    assert "- pairs: 48" in text
    assert "| held\\_out / accuracy | 0.75 |" in text
    (entry,) = parse_eval_result_entries(yaml.safe_load(files[".eval_results/reward-bench.yaml"]))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("allenai/reward-bench", "default", 0.875)
    repository = hub.repository(REPO, "model")
    assert repository.private
    assert repository.tags == {"model-f00dface": repository.head} == {result.tag: result.revision}
    manifest = json.loads(files["manifest.json"])
    assert {file["path"] for file in manifest["files"]} == set(files) - {"manifest.json", ".gitattributes"}


def test_a_model_that_is_there_is_not_sent_again(hub: StandInHub, model: Path) -> None:
    target = PushTarget(repository=REPO)
    first = push_folder(Config(), model, target)
    before = hub.uploaded
    assert push_folder(Config(), model, target).revision == first.revision
    assert hub.uploaded == before


def test_a_result_that_was_not_measured_is_not_claimed(hub: StandInHub, model: Path, lake: Lake) -> None:
    record_training(lake)
    target = PushTarget(repository=REPO, results={"rb": HubResult(dataset="a/b", task="t")})
    with pytest.raises(
        CurateError, match="has not been measured on it since it was trained: run `curate evaluate`"
    ):
        push_folder(Config(), model, target, lake=lake)
    assert not hub.repositories
