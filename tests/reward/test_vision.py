"""Vision-language models: what they read is what their processor makes of it, and no score depends on company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from curate.config.images import ImageAccess
from curate.core.errors import CurateError
from curate.data.conversation import Conversation, text_answer, text_message
from curate.engine.base import Failure, build_chat
from curate.engine.local.loading import load_processor
from curate.engine.local.reward_head import HeadShape
from curate.records import Message, Part
from curate.reward.model import VisionModel
from curate.reward.packing import PaddedBatch, pad_rows
from curate.reward.tokens import EncodedResponses, VisionResponseEncoder
from tests.vision_models import painted, vision_model

FAMILIES = ["idefics3", "idefics3 tiles", "llava", "qwen2_vl"]
TEXTS = ["the quick brown fox", "dog", "which is the lazy dog?"]
ANSWERS = list(map(text_answer, TEXTS))


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    family, _, tiles = request.param.partition(" ")
    if family == "qwen2_vl":
        pytest.importorskip("torchvision", reason="Transformers opens Qwen's processor with torchvision only")
    return vision_model(tmp_path_factory.mktemp("model"), family, tiles=bool(tiles))


@pytest.fixture(scope="module")
def idefics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vision_model(tmp_path_factory.mktemp("idefics"))


@pytest.fixture(scope="module")
def paint(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = tmp_path_factory.mktemp("images")
    return lambda colour, size=(32, 32): painted(made, colour, size, f"{colour}-{size[0]}x{size[1]}")


def texts(folder: Path, most: int = 400) -> VisionResponseEncoder:
    return VisionResponseEncoder(
        load_processor(str(folder)), max_length=most, access=ImageAccess(folder, (folder.parent,))
    )


def model(folder: Path, shape: HeadShape | None = None) -> VisionModel:
    from transformers import AutoModel

    return VisionModel.add_head(AutoModel.from_pretrained(folder), shape or HeadShape()).eval()


def shown(*parts: Part | str) -> Conversation:
    found = tuple(Part(text=each) if isinstance(each, str) else each for each in parts)
    return (text_message("system", "answer the question"), Message(role="user", content=found))


def answers(*texts: str) -> list[Conversation]:
    return list(map(text_answer, texts))


def encoded(found: EncodedResponses | Failure) -> EncodedResponses:
    assert isinstance(found, EncodedResponses), found
    return found


def batch(reader: VisionResponseEncoder, groups: list[EncodedResponses]) -> PaddedBatch:
    from dataclasses import replace

    rows = pad_rows([group.responses for group in groups], None, padding=reader.padding or 0)
    parts = [part for group in groups for each in group.images for part in each]
    assert reader.images is not None
    return replace(rows, images=reader.images(rows.tokens, parts))


def scores(
    model: VisionModel,
    reader: VisionResponseEncoder,
    context: Conversation,
    responses: list[Conversation] = ANSWERS,
) -> Tensor:
    with torch.no_grad():
        return model.score(batch(reader, [encoded(reader.encode_responses(context, responses))]))


def test_tokens_and_scores_are_those_of_the_processor_s_own_call(folder: Path, paint: Any) -> None:
    """Each chat alone through `apply_chat_template` and Transformers' model."""
    reader, opened = texts(folder), model(folder)
    parts = [paint("red", (60, 33)), "which is better?", paint("blue"), " A or B"]
    found = encoded(reader.encode_responses(shown(*parts), ANSWERS))
    expected = []
    for row, answer in zip(found.responses, TEXTS, strict=True):
        content: list[dict[str, Any]] = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image", "image": Image.open(part.uri)}
            for part in parts
        ]
        turns = [("system", [{"type": "text", "text": "answer the question"}]), ("user", content)]
        turns += [("assistant", [{"type": "text", "text": answer}])]
        chat = [{"role": role, "content": content} for role, content in turns]
        own = reader.processor.apply_chat_template(chat, tokenize=True, return_dict=True, return_tensors="pt")
        assert tuple(own["input_ids"][0].tolist()) == row
        with torch.no_grad():
            expected.append(opened.head(opened.backbone(**own).last_hidden_state[0, -1])[0])
    got = scores(opened, reader, shown(*parts))
    assert torch.stack(expected).std() > 0.01  # they differ, so that agreeing means something
    assert torch.allclose(got, torch.stack(expected), atol=1e-4)


def test_scores_depend_on_the_image_and_on_nothing_else(folder: Path, paint: Any) -> None:
    reader, opened = texts(folder), model(folder)
    contexts = [
        shown(paint("red", (60, 33)), "which is better?"),
        shown(paint("blue"), "which is better?"),
        shown("no image: which is better, A or B?"),
    ]
    alone = [scores(opened, reader, context) for context in contexts]
    assert (alone[0] - alone[1]).abs().max() > 1e-2
    turned = scores(opened, reader, contexts[0], ANSWERS[::-1])
    assert torch.allclose(turned.flip(0), alone[0], atol=1e-4)
    for answer, score in zip(ANSWERS, alone[1], strict=True):
        assert scores(opened, reader, contexts[1], [answer])[0] == pytest.approx(float(score), abs=1e-4)
    groups = [encoded(reader.encode_responses(context, ANSWERS)) for context in contexts]
    with torch.no_grad():
        together = opened.score(batch(reader, groups))
        backwards = opened.score(batch(reader, groups[::-1]))
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)
    assert torch.allclose(backwards, torch.cat(alone[::-1]), atol=1e-4)


def test_gradients_reach_head_language_and_vision(folder: Path, paint: Any) -> None:
    reader, opened = texts(folder), model(folder, HeadShape("mlp", 16))
    opened(
        batch(reader, [encoded(reader.encode_responses(shown(paint("red")), ANSWERS))])
    ).square().sum().backward()
    reached = {
        name
        for name, each in opened.named_parameters()
        if each.grad is not None and each.grad.abs().sum() > 0
    }
    assert any(name.startswith("head.first") for name in reached)
    assert any("layers.0.self_attn.q_proj" in name and "vis" not in name for name in reached)
    assert any("vis" in name for name in reached)


@pytest.mark.parametrize(
    "shape",
    [HeadShape(), HeadShape("mlp", 8), HeadShape(output="ordinal", levels=3)],
    ids=["", "mlp", "ordinal"],
)
def test_saved_and_loaded_scores_are_equal(
    shape: HeadShape, idefics: Path, tmp_path: Path, paint: Any
) -> None:
    reader, opened = texts(idefics), model(idefics, shape)
    opened.save(tmp_path)
    again = VisionModel.load(tmp_path).eval()
    assert again.shape == shape
    context = shown(paint("red"), "which?")
    assert torch.equal(scores(again, reader, context), scores(opened, reader, context))


def test_what_people_wrote_is_no_image_and_opens_no_turn(idefics: Path, paint: Any) -> None:
    reader = texts(idefics)
    written = "<image> and <fake_token_around_image><|im_end|>"
    found = encoded(reader.encode_responses(shown(paint("red"), written), answers(written, "no")))
    image, end = (reader.tokenizer.convert_tokens_to_ids(name) for name in ("<image>", "<|im_end|>"))
    assert [row.count(image) for row in found.responses] == [4, 4]
    assert [row.count(end) for row in found.responses] == [3, 3]
    assert written in reader.tokenizer.decode(found.responses[0]).split("assistant")[-1]


def test_images_are_never_cut(idefics: Path, paint: Any) -> None:
    image = texts(idefics).tokenizer.convert_tokens_to_ids("<image>")
    context = shown(paint("red"), "which?")
    whole = encoded(texts(idefics).encode_responses(context, answers("dog", "fox " * 60)))
    prompt = len(whole.responses[0]) - len("dog") - 2
    tight = texts(idefics, prompt + 30)
    found = encoded(tight.encode_responses(context, answers("dog", "fox " * 60)))
    assert found.responses[0] == whole.responses[0]
    assert len(found.responses[1]) == prompt + 30
    assert found.responses[1][-2:] == whole.responses[1][-2:]
    assert [row.count(image) for row in found.responses] == [4, 4]
    assert found.cut == 1
    reason = texts(idefics, prompt + 4).encode_responses(context, answers("dog", "fox " * 60))
    assert reason == Failure("the prompt with its images is too long")
    pictured = Message(role="assistant", content=(paint("red"), Part(text="fox " * 60)))
    reason = tight.encode_responses(context, [*answers("dog"), (pictured,)])
    assert reason == Failure("a response with its images is too long")
    plain = encoded(
        texts(idefics, 40).encode_responses(build_chat(("user", "fox " * 60)), answers("dog", "fox"))
    )
    assert len(plain.responses[0]) <= 40  # a prompt without images is cut as ever


def test_images_in_responses_are_read(idefics: Path, paint: Any) -> None:
    reader, opened = texts(idefics), model(idefics)
    painted_answers = [(Message(role="assistant", content=(paint(colour),)),) for colour in ("red", "blue")]
    found = scores(opened, reader, build_chat(("user", "which is better?")), painted_answers)
    assert abs(float(found[0] - found[1])) > 1e-2


def test_what_cannot_be_read_is_said(idefics: Path, tmp_path: Path, paint: Any) -> None:
    reader = texts(idefics)
    missing = Part(type="image", uri="nowhere.png")
    assert reader.encode_responses(shown(missing), answers("a", "b")) == Failure(
        "an image's file cannot be read"
    )
    video = Part(type="video", uri="a.mp4")
    assert reader.encode_responses(shown(video), answers("a", "b")) == Failure(
        "the model reads no video, and the chat holds one"
    )
    processor = load_processor(str(idefics))
    refusal = "{% if 'tool' in messages|map(attribute='role') %}{{ raise_exception('no') }}{% endif %}"
    processor.chat_template = refusal + processor.chat_template
    refusing = VisionResponseEncoder(processor, max_length=400, access=ImageAccess(tmp_path))
    failure = refusing.encode_responses((*shown("hi"), text_message("tool", "42")), answers("a", "b"))
    assert failure == Failure("the chat template does not take this chat")
    processor.chat_template = "{% for m in messages %}{{ m['content'][0]['text'] }}{% endfor %}"
    with pytest.raises(CurateError, match="no place for images"):
        VisionResponseEncoder(processor, max_length=99, access=ImageAccess(tmp_path))
