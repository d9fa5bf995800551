"""Packed rows of vision-language models: the scores of the processor's own calls, and each image computed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from curate.config.images import ImageAccess
from curate.core.errors import CurateError
from curate.data.conversation import Conversation, text_answer
from curate.engine.local.loading import load_processor
from curate.engine.local.reward_head import HeadShape
from curate.records import Message, Part
from curate.reward.model import VisionModel
from curate.reward.prefix_tree import build_prefix_tree
from curate.reward.tokens import EncodedResponses, VisionResponseEncoder
from curate.reward.vision_check import pad_images, try_packing
from tests.reward.test_vision import shown
from tests.vision_models import painted, vision_model

FAMILIES = (
    "idefics3",
    "idefics3 tiles",
    "llava",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "llava_onevision",
    "smolvlm",
)
NEEDED = {
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava_onevision"), ("torchvision",)),
    "smolvlm": ("torchvision", "num2words"),
}
TEXTS = ("the quick fox", "the quick dog", "no", "the quick fox jumps")
ANSWERS: list[Conversation] = list(map(text_answer, TEXTS))


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    family, _, tiles = request.param.partition(" ")
    for package in NEEDED.get(family, ()):
        pytest.importorskip(package, reason=f"Transformers opens the processor of {family} with it only")
    return vision_model(tmp_path_factory.mktemp("model"), family, tiles=bool(tiles))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    made = tmp_path_factory.mktemp("images")
    sizes = {"red": (60, 33), "blue": (32, 32), "green": (33, 60)}
    return {colour: painted(made, colour, size) for colour, size in sizes.items()}


def opened(folder: Path, pictures: dict[str, Part]) -> tuple[VisionModel, VisionResponseEncoder]:
    from transformers import AutoModel

    access = ImageAccess(Path(pictures["red"].uri or "").parent)
    encoder = VisionResponseEncoder(load_processor(str(folder)), max_length=2000, access=access)
    torch.manual_seed(1)
    return VisionModel.add_head(AutoModel.from_pretrained(folder), HeadShape()).eval(), encoder


def encode(
    encoder: VisionResponseEncoder, context: Conversation, answers: list[Conversation]
) -> EncodedResponses:
    encoded = encoder.encode_responses(context, answers)
    assert isinstance(encoded, EncodedResponses), encoded
    return encoded


def list_contexts(pictures: dict[str, Part]) -> list[Conversation]:
    """One image, two of them, the same ones in another order, one of them twice, and none."""
    red, blue = pictures["red"], pictures["blue"]
    return [
        shown(red, "which is better?"),
        shown(red, "and ", blue, " which is better?"),
        shown(blue, "and ", red, " which is better?"),
        shown(red, red, "twice"),
        shown("no image at all"),
    ]


def score_by_processor(
    model: VisionModel, encoder: VisionResponseEncoder, context: Conversation, answer: Conversation
) -> Tensor:
    """One chat through `apply_chat_template` and Transformers' own attention."""
    turns = []
    for message in (*context, *answer):
        content: list[dict[str, Any]] = [
            {"type": "image", "image": Image.open(part.uri or "")}
            if part.type == "image"
            else {"type": "text", "text": part.text}
            for part in message.content
        ]
        turns.append({"role": message.role, "content": content})
    own = encoder.processor.apply_chat_template(turns, tokenize=True, return_dict=True, return_tensors="pt")
    with torch.no_grad():
        value: Tensor = model.head(model.backbone(**own).last_hidden_state[0, -1].float())[0]
    return value


def test_packed_scores_are_those_of_separate_processor_calls(folder: Path, pictures: dict[str, Part]) -> None:
    model, encoder = opened(folder, pictures)
    contexts = list_contexts(pictures)
    if "onevision" in type(model.backbone).__name__.lower():
        contexts = [contexts[0], contexts[4]]  # its processor shows several images in less detail than one
    expected = [
        [score_by_processor(model, encoder, context, answer) for answer in ANSWERS] for context in contexts
    ]
    assert try_packing(model, encoder, name="m") is None
    assert encoder.packer is not None
    groups = [encode(encoder, context, ANSWERS) for context in contexts]
    with torch.no_grad():
        batch = encoder.packer.pack(groups)
        found = batch.scatter_scores(model.score(batch))
        alone = [model.score(encoder.packer.pack([group])) for group in groups]
        backwards = model.score(encoder.packer.pack(groups[::-1]))
    assert found.std() > 0.01  # they differ, so that agreeing means something
    for row, scores in enumerate(expected):
        assert (found[row] - torch.stack(scores)).abs().max() <= 1e-4
        assert (found[row] - alone[row]).abs().max() <= 1e-4
    assert (backwards.view(len(groups), -1).flip(0) - found).abs().max() <= 1e-4
    tokens = [len(ids) for group in groups for ids in group.responses]
    assert batch.tokens.shape[1] < 0.7 * sum(tokens)


def test_gradients_are_those_of_padded_copies(folder: Path, pictures: dict[str, Part]) -> None:
    model, encoder = opened(folder, pictures)
    encoded = encode(encoder, list_contexts(pictures)[0], ANSWERS)
    weights = torch.tensor([0.3, -1.0, 2.0, 0.7])
    gradients = []
    for packed in (False, True):
        if packed:
            assert try_packing(model, encoder, name="m") is None
        batch = encoder.packer.pack([encoded]) if encoder.packer else pad_images(encoder, encoded)
        model.zero_grad()
        (model.score(batch) * weights).sum().backward()  # type: ignore[no-untyped-call]
        gradients.append(
            {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
        )
    largest = max(float(each.abs().max()) for each in gradients[0].values())
    assert gradients[0].keys() == gradients[1].keys()
    for name, one in gradients[0].items():
        assert (one - gradients[1][name]).abs().max() < 1e-4 * largest, name


def test_an_image_that_several_rows_see_is_computed_once(folder: Path, pictures: dict[str, Part]) -> None:
    model, encoder = opened(folder, pictures)
    assert try_packing(model, encoder, name="m") is None
    assert encoder.packer is not None
    one, two, turned, *_ = (encode(encoder, context, ANSWERS) for context in list_contexts(pictures))
    pixels = {
        len(groups): encoder.packer.pack(groups).images["pixel_values"].shape
        for groups in ([one], [one, one], [one, two, turned])
    }
    assert pixels[1] == pixels[2]  # of four responses, or eight
    single = encoder.packer.pack([encode(encoder, shown(pictures["red"], "?"), ANSWERS[:1])])
    assert pixels[1] == single.images["pixel_values"].shape


def test_a_joint_row_is_the_whole_sequence_by_the_processor(folder: Path, pictures: dict[str, Part]) -> None:
    model, encoder = opened(folder, pictures)
    context = list_contexts(pictures)[0]
    assert try_packing(model, encoder, name="m") is None
    assert encoder.packer is not None
    encoded = encode(encoder, context, ANSWERS)
    separator = (5,)
    orders = [(2, 0, 3, 1), (1, 3, 0, 2)]
    with torch.no_grad():
        packed = encoder.packer.pack([encoded], separator=separator, orders=[orders])
        found = model.score(packed).view(2, 4)
    model.use_padding("eager")
    prompt, answers = (
        encoded.responses[0][: encoded.n_prompt],
        [row[encoded.n_prompt :] for row in encoded.responses],
    )
    for order, scores in zip(orders, found, strict=True):
        row, ends = list(prompt), list[int]()
        for slot in order:
            row += [*(separator if ends else ()), *answers[slot]]
            ends.append(len(row) - 1)
        tokens = torch.tensor([row])
        inputs = encoder.vision_tokens.build_inputs(tokens, [pictures["red"]])
        with torch.no_grad():
            hidden = model.backbone(
                input_ids=tokens, attention_mask=torch.ones_like(tokens), **inputs
            ).last_hidden_state[0, ends]
            expected = model.head(hidden)[:, 0]
        assert (scores - expected).abs().max() <= 1e-4


def test_different_images_in_responses_are_not_shared(folder: Path, pictures: dict[str, Part]) -> None:
    """Their tokens are alike; only the pixels differ."""
    model, encoder = opened(folder, pictures)
    contexts = shown("which picture is better?")
    painted_answers: list[Conversation] = [
        (Message(role="assistant", content=(pictures[colour],)),) for colour in ("red", "blue", "red")
    ]
    encoded = encode(encoder, contexts, painted_answers)
    with torch.no_grad():
        expected = model.score(pad_images(encoder, encoded))
        assert try_packing(model, encoder, name="m") is None
        assert encoder.packer is not None
        batch = encoder.packer.pack([encoded])
        found = model.score(batch)
    assert (found - expected).abs().max() <= 1e-4
    assert (found[0] - found[1]).abs() > 1e-3
    assert batch.tokens.shape[1] > len(build_prefix_tree(encoded.responses[:1]))


def test_a_model_that_fails_the_trial_keeps_its_copies(
    tmp_path: Path, pictures: dict[str, Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, encoder = opened(vision_model(tmp_path), pictures)
    encoded = encode(encoder, list_contexts(pictures)[0], ANSWERS)
    with torch.no_grad():
        before = model.score(pad_images(encoder, encoded))
    from curate.reward import vision_check

    def refuse(*_: Any, **__: Any) -> None:
        raise CurateError("m cannot read several responses in one row of tokens: tried")

    monkeypatch.setattr(vision_check, "compare_hidden_states", refuse)
    assert "tried" in str(try_packing(model, encoder, name="m"))
    assert encoder.packer is None
    with torch.no_grad():
        assert torch.equal(model.score(pad_images(encoder, encoded)), before)
