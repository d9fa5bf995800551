"""`curate train` with a vision-language backbone: it learns from images, resumes exactly, and judges afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from curate.config.images import ImageAccess, ImagesSection
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.data.conversation import text_answer
from curate.engine.base import Failure, Score
from curate.engine.registry import Engines
from curate.judge.stage import judge_responses
from curate.lake.lake import Lake, Location
from curate.records import Message, Part, Prompt, Response, text_parts
from curate.reward.joint_scorer import JointScorer
from curate.reward.packing import PackedBatch
from curate.reward.scorer import PromptResponses, open_reward_model
from curate.reward.tokens import VisionResponseEncoder
from curate.reward.vision_scorer import VisionScorer
from curate.train import train_reward_model
from tests.conftest import table
from tests.train.samples import configured, written
from tests.vision_models import painted, vision_model

COLOURS = {
    "red": ("fox", "dog"),
    "blue": ("dog", "fox"),
}  # which answer is better is for the image alone to say


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vision_model(tmp_path_factory.mktemp("model"))


def rows(folder: Path, prompts: int = 48) -> list[dict[str, Any]]:
    """In turns as `curate` exports them, as TRL has them, and with the images beside plain text."""
    made = []
    for number in range(prompts):
        colour = ("red", "blue")[number % 2]
        uri = Path(painted(folder / "images", colour, (32 + number % 3, 32), f"{number}").uri or "")
        asked: Any = [{"type": "image"}, {"type": "text", "text": "which is better?"}]
        row: dict[str, Any] = {"images": [f"images/{uri.name}"]}
        if number % 3 == 1:
            asked[0]["uri"], row = str(uri), {}
        elif number % 3 == 2:
            asked = "which is better?"
        better, worse = ({"role": "assistant", "content": said} for said in COLOURS[colour])
        row |= {"prompt": [{"role": "user", "content": asked}], "chosen": [better], "rejected": [worse]}
        made.append(row | {"prompt_id": content_id(number)})
    return made


def vision_config(folder: Path, model: Path, **changes: Any) -> Config:
    defaults: dict[str, Any] = {"epochs": 6, "row_tokens": 512, "batch_tokens": 512}
    return configured(folder, model, **defaults | changes)


def scored(folder: Path, image: Path, answers: tuple[str, ...]) -> list[Score | Failure]:
    settings = {"kind": "transformers", "model": str(folder), "dtype": "float32"}
    engine = Engines({}, folder.parent, images=ImageAccess(image.parent)).make_engine(
        "m", settings, where="m", needs="score"
    )
    assert "images" in engine.capabilities
    asked = Message(
        role="user", content=(Part(type="image", uri=str(image)), *text_parts("which is better?"))
    )
    return engine.score(
        [(asked, Message(role="assistant", content=text_parts(answer))) for answer in answers]
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "lora": {"rank": 4},
            "head": "mlp",
            "units": 16,
            "learning_rate": 1e-2,
            "precision": "bfloat16",
            "epochs": 3,
        },
    ],
    ids=["all weights", "lora mlp bfloat16"],
)
def test_it_learns_what_only_the_image_says(
    changes: dict[str, Any], lake: Lake, tmp_path: Path, model: Path
) -> None:
    config = vision_config(tmp_path, model, **changes)
    data = written(tmp_path / "data", rows(tmp_path))
    summary = train_reward_model(lake, config, data)
    assert (summary.counts.rows_in, summary.counts.rows_kept) == (48, 48)
    value = lake.value("SELECT value FROM evaluations WHERE subject = 'reward-model' AND subset = 'all'")
    assert value > 0.9
    folder = config.resolve("models/reward")
    for colour, (better, worse) in COLOURS.items():
        image = Path(painted(tmp_path, colour, (40, 32)).uri or "")
        high, low = scored(folder, image, (better, worse))
        assert isinstance(high, Score)
        assert isinstance(low, Score)
        assert high.value > low.value
    assert (folder / "adapter" / "adapter_model.safetensors").is_file() == ("lora" in changes)
    assert train_reward_model(lake, config, data).skipped


def test_the_judge_has_the_trainer_s_scores(lake: Lake, tmp_path: Path, model: Path) -> None:
    from curate.engine.weights import locate_model
    from curate.train.batches import build_batch
    from curate.train.load_backbone import load_backbone

    config = vision_config(tmp_path, model, epochs=1, head="mlp", units=8)
    train_reward_model(lake, config, written(tmp_path / "data", rows(tmp_path, 12)))
    folder = config.resolve("models/reward")
    image = painted(tmp_path, "green", (48, 32))
    answers = ("fox", "the lazy dog", "which <image> is better?")
    found = [each.value for each in scored(folder, Path(image.uri or ""), answers) if isinstance(each, Score)]
    assert len(set(found)) == 3
    assert config.train is not None
    assert config.train.backbone is not None
    weights = locate_model(str(folder), revision="main", folder=tmp_path)
    loaded = load_backbone(config.train.backbone, weights, seed=0, images=ImageAccess(tmp_path))
    said = Message(role="user", content=(image, *text_parts("which is better?")))
    responses = tuple(map(text_answer, answers))
    encoded = loaded.encoder.encode_responses((said,), responses)
    assert not isinstance(encoded, Failure)
    group: Any = type("G", (), {name: getattr(encoded, name) for name in ("responses", "images", "n_prompt")})
    assert isinstance(loaded.encoder, VisionResponseEncoder)
    with torch.no_grad():
        batch = build_batch([group], packer=loaded.encoder.packer)
        again = loaded.model.eval().score(batch)  # type: ignore[arg-type]
    assert isinstance(batch, PackedBatch)  # the prompt's image once, for all responses
    assert again.tolist() == pytest.approx(found, abs=1e-4)

    # `curate evaluate` asks it through a scorer.
    scorer, other = open_reward_model("models/reward", folder=tmp_path), painted(tmp_path, "yellow", (48, 32))
    asked = [Message(role="user", content=(part, *text_parts("which?"))) for part in (image, other)]
    one, two = scorer.score([PromptResponses((message,), responses) for message in asked])
    assert (one != two).all()
    request = PromptResponses((asked[0],), responses)
    singles = scorer.score_each([PromptResponses((asked[0],), (response,)) for response in responses])
    assert [each.value for each in singles if isinstance(each, Score)] == pytest.approx(list(one), abs=1e-4)
    assert isinstance(scorer, VisionScorer)
    small = VisionScorer(scorer.scorer, scorer.files, budget=1)  # each response in a row of its own
    assert small.score([request])[0] == pytest.approx(one, abs=1e-4)


@pytest.mark.parametrize("changes", [{}, {"lora": {"rank": 4}, "learning_rate": 1e-2}], ids=["whole", "lora"])
def test_a_joint_one_learns_from_images_and_judges_prompts_whole(
    changes: dict[str, Any], lake: Lake, tmp_path: Path, model: Path
) -> None:
    config = vision_config(tmp_path, model, forward="joint", loss={"kind": "best"}, epochs=8, **changes)
    train_reward_model(lake, config, written(tmp_path / "data", rows(tmp_path)))
    value = lake.value("SELECT value FROM evaluations WHERE subject = 'reward-model' AND subset = 'all'")
    assert value > 0.9
    scorer = open_reward_model("models/reward", folder=tmp_path, order="rotations")
    assert isinstance(scorer, JointScorer)
    assert scorer.sees_images
    for colour, (better, worse) in COLOURS.items():
        image = painted(tmp_path, colour, (40, 32))
        asked = Message(role="user", content=(image, *text_parts("which is better?")))
        request = PromptResponses((asked,), (*map(text_answer, (worse, better)),))
        low, high = scorer.score([request])[0]
        assert high > low
        turned = replace(request, responses=request.responses[::-1])
        assert scorer.score([turned])[0][::-1] == pytest.approx([low, high], abs=1e-5)


def test_it_sits_on_the_panel_and_looks(lake: Lake, tmp_path: Path, model: Path) -> None:
    """As a judge it is asked about prompts with images, where a reward model of text abstains."""
    config = vision_config(tmp_path, model, epochs=1)
    train_reward_model(lake, config, written(tmp_path / "data", rows(tmp_path, 12)))
    image = painted(tmp_path / "images", "red", (40, 32))
    prompt = Prompt(
        prompt_id="p",
        source="s",
        messages=(Message(role="user", content=(image, *text_parts("which is better?"))),),
    )
    answers = [
        Response(response_id=f"r{at}", prompt_id="p", messages=text_answer(said))
        for at, said in enumerate("AB")
    ]
    with lake.write("x") as writer:
        writer.append("prompts", table([prompt]))
        writer.append("responses", table(list(answers)))
    judge_responses(lake, config)
    ratings = lake.rows("SELECT form, outcome, kind, raw FROM judgments")
    assert ratings == [("pointwise", "a", "reward-model", None)] * 2

    Path(image.uri or "").unlink()
    (lost,) = scored(config.resolve("models/reward"), Path(image.uri or ""), ("A",))
    assert lost == Failure("an image's file cannot be read", raw=image.uri, permanent=True)


def test_trl_reads_an_export_s_images_as_we_do(tmp_path: Path, model: Path) -> None:
    from trl.data_utils import prepare_multimodal_messages

    from curate.engine.local.loading import load_processor
    from curate.engine.local.vision import VisionTokens

    image = painted(tmp_path, "red")
    asked = Message(role="user", content=(*text_parts("which is better?"), image))
    processor = load_processor(str(model))
    turns = prepare_multimodal_messages([asked.model_dump(mode="json")], images=[image.uri])
    theirs = processor.apply_chat_template(
        turns, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    tokens = VisionTokens(processor, 512, ImageAccess(tmp_path))
    assert tokens.encode_chat((asked,)) == theirs["input_ids"][0].tolist()
    assert torch.equal(
        tokens.build_inputs(theirs["input_ids"], [image])["pixel_values"], theirs["pixel_values"]
    )


class Killed(Exception):  # noqa: N818 (it stands for a signal)
    pass


@contextlib.contextmanager
def killing(label: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A listener that ends the process, as it were, in the fifth step."""
    told: list[int] = []

    def advance(rows: int, note: str = "", /) -> None:
        told.append(rows)
        if len(told) > 5:
            raise Killed

    yield advance


def test_killed_and_gone_on_with_it_is_the_same_training(
    empty_lake: Path, tmp_path: Path, model: Path
) -> None:
    weights = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        allowed = ImagesSection(folders=[str(tmp_path)])
        small = {"row_tokens": 128, "batch_tokens": 128}  # more steps than the fifth, in which it is killed
        config = vision_config(folder, model, epochs=2, **small).model_copy(update={"images": allowed})
        data = written(folder / "data", rows(tmp_path, 24))
        (data / "train-00000.jsonl").write_text(
            (data / "train-00000.jsonl").read_text().replace('"images/', f'"{tmp_path}/images/')
        )
        shutil.copytree(empty_lake, folder / "lake")
        with Lake.open(Location.under(folder / "lake")) as lake:
            if name == "killed":
                with pytest.raises(Killed):
                    train_reward_model(lake, config, data, track=killing)
                assert list(folder.glob(".curate/training/*/last/progress.json"))
            train_reward_model(lake, config, data)
        weights.append((folder / "models" / "reward" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_bad_images_are_dropped_and_counted(lake: Lake, tmp_path: Path, model: Path) -> None:
    data = rows(tmp_path, 24)
    good = tmp_path / "images" / "0.png"
    (tmp_path / "images" / "text.png").write_text("no image")
    bad = [{"uri": "nowhere.png"}, {"uri": str(good), "sha256": "0" * 64}, {"uri": "images/text.png"}, {}]
    hostile = [
        {"uri": uri} for uri in ("/etc/passwd", "http://127.0.0.1:9/a.png", "http://[", "http://h:abc/")
    ]
    for row, image in zip([*data[:4], *data[5:9]], [*bad, *hostile], strict=True):
        row["prompt"] = [{"role": "user", "content": [{"type": "image", **image}]}]
        row.pop("images", None)
    data[4]["images"] = ["a.png", "b.png"]
    data[4]["prompt"] = [{"role": "user", "content": [{"type": "image"}]}]
    config = vision_config(tmp_path, model, epochs=1).model_copy(update={"images": ImagesSection(http=True)})
    summary = train_reward_model(lake, config, written(tmp_path / "data", data))
    assert summary.counts.dropped == {
        "an image cannot be decoded": 1,
        "an image has another sha256 than its row says": 1,
        "image without address": 1,
        "images do not fit": 1,
        "an image's file cannot be read": 1,
        "an image's file is outside of the project's folder (see images.folders)": 1,
        "an image is at a web address that is not public (see images.hosts)": 1,
        "an image cannot be fetched from its address": 2,
    }
    assert (summary.counts.rows_in, summary.counts.rows_kept) == (24, 15)
    with pytest.raises(CurateError, match=r"pairs dropped: 1 × an image's file cannot be read"):
        train_reward_model(lake, config, written(tmp_path / "bad", data[:1]))


@pytest.mark.e2e
def test_two_processes_train_the_same_model_as_one(tmp_path: Path, model: Path) -> None:
    """Also where a row has no image, so that no gradient reaches the vision part."""
    from safetensors.torch import load_file

    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        data = rows(folder, 24)
        for row in data[::5]:
            row |= {"prompt": "which is better?", "images": []}
        written(folder / "data", data)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    together |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    together |= {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", SCRIPT, str(folders[1]), str(model)]
    ranks = [
        subprocess.Popen(command, env=os.environ | together | {"RANK": rank, "LOCAL_RANK": rank})
        for rank in ("0", "1")
    ]
    run(folders[0], model, "lake")
    assert [process.wait(timeout=280) for process in ranks] == [0, 0]
    one, two = (load_file(folder / "models" / "reward" / "model.safetensors") for folder in folders)
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)


SCRIPT = """
import os, sys, torch
from pathlib import Path
from tests.train.test_vision_training import run
torch.set_num_threads(1)
run(Path(sys.argv[1]), Path(sys.argv[2]), "lake" + os.environ["RANK"])
"""


def run(folder: Path, model: Path, lake: str) -> None:
    config = vision_config(folder, model, epochs=2, row_tokens=128, batch_tokens=512)
    with Lake.open(Location.under(folder / lake)) as opened:
        train_reward_model(opened, config, folder / "data")
