"""Vision-language models that write text, against their own processor and forward pass in Transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from curate.engine.base import (
    Choice,
    Choose,
    Continuation,
    Engine,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Sampling,
)
from curate.engine.registry import Engines
from curate.records import Message, Part, text_parts
from tests.seeing import paint
from tests.vision_models import vision_model


@pytest.fixture(params=["idefics3", "llava"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    vision_model(tmp_path / "model", request.param)
    for colour in ("red", "blue"):
        paint(tmp_path / f"{colour}.png", colour, size=32)
    return tmp_path


@pytest.fixture
def engine(folder: Path) -> Engine:
    declared = {"kind": "transformers", "model": "model", "dtype": "float32"}
    return Engines({"e": declared}, folder).get("e", needs="images")


def chat(*files: str) -> tuple[Message, ...]:
    pictures = [Part(type="image", uri=file) for file in files]
    return (Message(role="user", content=(*text_parts("Look: "), *pictures, *text_parts("A or B?"))),)


def test_probabilities_are_those_of_the_models_own_processor(folder: Path, engine: Engine) -> None:
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor: Any = AutoProcessor.from_pretrained(folder / "model")
    model: Any = AutoModelForImageTextToText.from_pretrained(folder / "model", dtype=torch.float32)
    model.eval()
    shown = [("red.png",), ("blue.png",), ("red.png", "blue.png"), ("blue.png", "red.png")]
    answers = engine.choose([Choose(messages=chat(*files), choices=("A", "B")) for files in shown])
    seen = set()
    for files, answer in zip(shown, answers, strict=True):
        assert isinstance(answer, Choice)
        content = [
            {"type": "text", "text": "Look: "},
            *({"type": "image"} for _ in files),
            {"type": "text", "text": "A or B?"},
        ]
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        images = [Image.open(folder / file).convert("RGB") for file in files]
        inputs = processor(text=[text], images=[images], return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            log_probs = model(**inputs).logits[0, -1].double().log_softmax(-1)
        ids = processor.tokenizer.convert_tokens_to_ids(["A", "B"])
        assert answer.log_probs == pytest.approx(log_probs[ids].tolist(), abs=1e-4)
        assert answer.tokens_in == inputs["input_ids"].shape[1]
        seen.add(round(answer.log_probs[0], 5))
    assert len(seen) == len(shown)


def test_text_is_written_after_images_and_held_to_a_schema(engine: Engine) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}
    schema |= {"additionalProperties": False}
    free, bound, chosen = engine.generate(
        [
            Generate(messages=chat("red.png"), sampling=Sampling(max_tokens=5)),
            Generate(
                messages=chat("red.png"), sampling=Sampling(max_tokens=20), json_schema=json.dumps(schema)
            ),
            Generate(messages=chat("blue.png"), choices=("yes", "no"), sampling=Sampling(n=2, temperature=1)),
        ]
    )
    assert isinstance(free, Generation)
    assert free.tokens_out <= 5
    assert isinstance(bound, Generation)
    assert json.loads(bound.completions[0].text)["n"] in (1, 2)
    assert isinstance(chosen, Generation)
    assert {one.text for one in chosen.completions} <= {"yes", "no"}


def test_texts_have_likelihoods_and_missing_images_are_failures(engine: Engine) -> None:
    after, without = engine.loglikelihood(
        [Continuation(messages=chat(*files), continuation="A square") for files in (("red.png",), ())]
    )
    assert isinstance(after, LogLikelihood)
    assert isinstance(without, LogLikelihood)
    assert after.log_prob != without.log_prob
    (missing,) = engine.choose([Choose(messages=chat("missing.png"), choices=("A", "B"))])
    assert isinstance(missing, Failure)
    assert "cannot be read" in missing.reason


def test_images_can_be_switched_off(folder: Path) -> None:
    declared = {"kind": "transformers", "model": "model", "dtype": "float32", "images": False}
    assert "images" not in Engines({"e": declared}, folder).get("e").capabilities
