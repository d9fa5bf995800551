"""`curate train` with a backbone: what it writes, who can read it, and that a kill changes nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.data.conversation import text_answer
from curate.engine.base import Failure, build_chat
from curate.engine.registry import Engines
from curate.judge import CandidateResponse, PromptItem
from curate.judge.configured import Panel
from curate.judge.reward_model import RewardModelJudge, RewardModelOptions
from curate.lake.lake import Lake, Location
from curate.reward.fold_folders import list_fold_folders
from curate.reward.trained_prompts import TrainedPrompts
from curate.train import train_reward_model
from tests.train.samples import configured, pair_rows, ranking_rows, written

MakeModel = Callable[..., Path]
CHATS = [
    build_chat(("user", "Which one?"), ("assistant", said)) for said in ("fox quick", "lazy dog over", "the")
]


def scores(model: Path) -> list[float]:
    settings = {"kind": "transformers", "model": str(model), "task": "reward", "dtype": "float32"}
    engine = Engines({}, model.parent).make_engine("m", settings, where="m", needs="score")
    found = engine.score(CHATS)
    return [each.value for each in found if not isinstance(each, Failure)]


def metrics(config: Config) -> list[dict[str, Any]]:
    (file,) = config.resolve(".curate").glob("training/*/metrics.jsonl")
    timed = {"tokens_per_second", "mfu"}
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in timed} for row in rows]


def test_it_learns_and_says_how_good_it_is(lake: Lake, tmp_path: Path, make_model: MakeModel) -> None:
    config = configured(tmp_path, make_model(), epochs=4)
    data = written(tmp_path / "data", pair_rows(40))
    summary = train_reward_model(lake, config, data)
    assert (summary.counts.rows_in, summary.counts.rows_kept) == (40, 40)
    query = "SELECT subject, subset, value, n FROM evaluations WHERE benchmark = 'held-out labels'"
    rows = {(subject, subset): (value, n) for subject, subset, value, n in lake.rows(query)}
    assert rows["reward-model", "all"][0] > 0.9
    assert rows["length baseline", "all"][0] < 0.9
    about = json.loads((config.resolve("models/reward") / "training.json").read_text())
    assert about["dtype"] == "float32"
    assert about["metrics"]["held_out_prompts"] == rows["reward-model", "all"][1]
    steps = [row for row in metrics(config) if "loss" in row]
    assert [row["step"] for row in steps] == list(range(1, len(steps) + 1))
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert "held-out accuracy" in summary.note
    again = train_reward_model(lake, config, data)
    assert again.skipped
    assert not list(config.resolve(".curate").glob("training/*/last"))


@pytest.mark.parametrize(
    "changes", [{}, {"forward": "joint", "loss": {"kind": "best"}}], ids=["alone", "joint"]
)
def test_with_folds_every_prompt_is_judged_by_a_model_that_has_not_seen_it(
    changes: dict[str, Any],
    lake: Lake,
    tmp_path: Path,
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from curate.train.loop import Trainer

    config = configured(tmp_path, make_model(), folds=2, held_out=0.3, **changes)
    data = written(tmp_path / "data", ranking_rows() if changes else pair_rows(40))
    sizes: list[int] = []
    run = Trainer.run

    def run_and_die(self: Trainer, advance: Any) -> Any:
        sizes.append(len(self._train))
        if len(sizes) == 2:
            raise KeyboardInterrupt
        return run(self, advance)

    monkeypatch.setattr(Trainer, "run", run_and_die)
    with pytest.raises(KeyboardInterrupt):
        train_reward_model(lake, config, data)
    train_reward_model(lake, config, data)
    first, _, second, whole = sizes  # the first fold was kept
    assert first + second == whole
    folder = config.resolve("models/reward")
    everything, *without = [TrainedPrompts.read(path) for path in (folder, *list_fold_folders(folder))]
    assert len(without) == 2
    seen = [frozenset(one.digests[k : k + 16] for k in range(0, len(one.digests), 16)) for one in without]
    assert not seen[0] & seen[1]
    assert len(seen[0] | seen[1]) * 16 == len(everything.digests) == whole * 16
    options = RewardModelOptions(name="m", kind="reward-model", model="models/reward", tie_band=1e-9)
    judge = RewardModelJudge(options, Engines({}, tmp_path))
    candidates = tuple(CandidateResponse(name, text) for name, text in (("a", "fox quick"), ("b", "the")))
    items = [PromptItem(digest.hex(), CHATS[0][:1], None, candidates) for digest in seen[0] | seen[1]]
    answers = judge.answer([question for item in items for question in judge.questions(item)])
    assert len(answers) == whole
    assert {answer.outcome for answer in answers} <= {"a", "b"}
    assert not list(config.resolve(".curate").glob("training/*/folds"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"head": "mlp", "units": 16},
        {"output": "ordinal", "loss": {"kind": "ordinal"}},
        {"output": "aspects", "aspects": {"true": 2.0, "kind": 1.0}},
        {"forward": "joint", "loss": {"kind": "best"}},
        {"lora": {"rank": 4}},
        {"lora": {"rank": 4}, "head": "mlp", "units": 16, "precision": "bfloat16"},
    ],
    ids=["linear", "mlp", "ordinal", "aspects", "joint", "lora", "lora mlp bfloat16"],
)
def test_the_folder_is_a_judge_with_the_trainer_s_scores(
    changes: dict[str, Any], lake: Lake, tmp_path: Path, make_model: MakeModel
) -> None:
    from curate.engine.weights import locate_model
    from curate.train.batches import build_batch
    from curate.train.load_backbone import load_backbone

    config = configured(tmp_path, make_model(), **changes)
    rows = pair_rows(aspects={"true": 1, "kind": 0}) if "aspects" in changes else ranking_rows()
    train_reward_model(lake, config, written(tmp_path / "data", rows))
    folder = config.resolve("models/reward")
    about = json.loads((folder / "training.json").read_text())
    with safe_open(folder / "model.safetensors", "pt") as stored:
        kinds = {stored.get_tensor(name).dtype for name in stored.keys() if "score" not in name}  # noqa: SIM118
    assert {f"torch.{about['dtype']}"} == set(map(str, kinds))
    found = scores(folder)
    assert max(found) - min(found) > 1e-3

    assert config.train is not None
    assert config.train.backbone is not None
    plain = config.train.backbone.model_copy(update={"lora": None, "forward": "shared-prefix"})
    loaded = load_backbone(plain, locate_model(str(folder), revision="main", folder=tmp_path), seed=0)
    answers = [*map(text_answer, ("fox quick", "lazy dog over", "the"))]
    encoded = loaded.encoder.encode_responses(build_chat(("user", "Which one?")), answers)
    assert not isinstance(encoded, Failure)
    group: Any = type("G", (), {"tokens": encoded.prompt, "responses": encoded.responses})
    with torch.no_grad():
        again = loaded.model.eval().score(build_batch([group]))  # type: ignore[arg-type,operator]
    tolerance = 2e-2 if changes.get("precision") else 1e-4
    assert again.tolist() == pytest.approx(found, abs=tolerance)
    assert list(Panel(config).judges) == ["reward-model"]


def test_aspects_that_pull_apart_are_learnt_each(lake: Lake, tmp_path: Path, make_model: MakeModel) -> None:
    config = configured(
        tmp_path, make_model(), epochs=4, output="aspects", aspects={"true": 2.0, "kind": 1.0}
    )
    data = written(tmp_path / "data", pair_rows(40, aspects={"true": 1, "kind": 0}))
    train_reward_model(lake, config, data)
    about = json.loads((config.resolve("models/reward") / "training.json").read_text())["metrics"]
    assert {name: each["value"] > 0.9 for name, each in about["held_out_aspects"].items()} == {
        "true": True,
        "kind": True,
    }
    assert about["held_out_accuracy"]["reward-model"]["all"]["value"] > 0.9
    with pytest.raises(CurateError, match=r"No row of .* labels brevity"):
        train_reward_model(
            lake, configured(tmp_path, make_model(), output="aspects", aspects={"brevity": 1.0}), data
        )


def test_an_encoder_is_trained_on_text_pairs(lake: Lake, tmp_path: Path, make_model: MakeModel) -> None:
    from transformers import BertConfig, BertModel

    from tests.conftest import make_tokenizer

    tokenizer = make_tokenizer(None)
    tokenizer.add_special_tokens({"sep_token": "<|im_start|>", "cls_token": "<|endoftext|>"})
    encoder = tmp_path / "encoder"
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(encoder)
    tokenizer.save_pretrained(encoder)
    config = configured(tmp_path, encoder, epochs=4)
    train_reward_model(lake, config, written(tmp_path / "data", pair_rows(40)))
    value = lake.value("SELECT value FROM evaluations WHERE subject = 'reward-model' AND subset = 'all'")
    assert value > 0.9
    assert len(scores(config.resolve("models/reward"))) == 3
    with pytest.raises(CurateError, match="is an encoder"):
        train_reward_model(lake, configured(tmp_path, encoder, head="mlp"), tmp_path / "data")


def test_a_reward_model_is_gone_on_with(lake: Lake, tmp_path: Path, make_model: MakeModel) -> None:
    start = make_model(head="reward")
    config = configured(tmp_path, start, learning_rate=1e-12)
    train_reward_model(lake, config, written(tmp_path / "data", pair_rows()))
    assert scores(config.resolve("models/reward")) == pytest.approx(scores(start), abs=1e-4)
    with pytest.raises(CurateError, match="has another head"):
        train_reward_model(lake, configured(tmp_path, start, head="mlp"), tmp_path / "data")


SCRIPT = """
import os, sys, torch
from pathlib import Path
from tests.train.test_language_model import run
torch.set_num_threads(1)
run(Path(sys.argv[1]), Path(sys.argv[2]), dropout=float(sys.argv[3]), lake="lake" + os.environ.get("RANK", "0"))
"""


def run(folder: Path, model: Path, *, dropout: float, lake: str = "lake0") -> None:
    lora = {"rank": 4, "dropout": dropout} if dropout else None
    config = configured(folder, model, epochs=3, lora=lora)
    with Lake.open(Location.under(folder / lake)) as opened:
        train_reward_model(opened, config, folder / "data")


def start(folder: Path, model: Path, *, dropout: float, **environment: str) -> subprocess.Popen[bytes]:
    """`run` in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, str(folder), str(model), str(dropout)]
    alone = {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=os.environ | alone | environment)


@pytest.mark.e2e
def test_killed_and_gone_on_with_it_is_the_same_training(tmp_path: Path, make_model: MakeModel) -> None:
    model = make_model()
    folders = [tmp_path / "whole", tmp_path / "killed"]
    for folder in folders:
        written(folder / "data", pair_rows(60))
    process, killed = start(folders[1], model, dropout=0.1), False
    deadline = time.monotonic() + 200
    while process.poll() is None and not killed and time.monotonic() < deadline:
        if list(folders[1].glob(".curate/training/*/last/progress.json")):
            os.kill(process.pid, signal.SIGKILL)
            killed = True
        time.sleep(0.005)
    assert killed, "it was done before a checkpoint was seen"
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not (folders[1] / "models").exists()
    for folder in folders:
        run(folder, model, dropout=0.1)

    names = ["model.safetensors", "adapter/adapter_model.safetensors", "training.json"]
    for name in names:
        one, other = ((folder / "models" / "reward" / name).read_bytes() for folder in folders)
        assert one == other, name
    curves = [metrics(configured(folder, model)) for folder in folders]
    assert curves[0] == curves[1]


@pytest.mark.e2e
def test_two_processes_train_the_same_model_as_one(tmp_path: Path, make_model: MakeModel) -> None:
    from safetensors.torch import load_file

    model, folders = make_model(), [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        written(folder / "data", pair_rows(40))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    together |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    ranks = [
        start(folders[1], model, dropout=0.0, **together, RANK=rank, LOCAL_RANK=rank) for rank in ("0", "1")
    ]
    run(folders[0], model, dropout=0.0)
    assert [process.wait(timeout=280) for process in ranks] == [0, 0]
    one, two = (load_file(folder / "models" / "reward" / "model.safetensors") for folder in folders)
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)


def test_too_few_prompts_are_explained(lake: Lake, tmp_path: Path, make_model: MakeModel) -> None:
    config = configured(tmp_path, make_model())
    with pytest.raises(CurateError, match="add prompts, or change"):
        train_reward_model(lake, config, written(tmp_path / "data", pair_rows(1)))
