"""A trial of a vision-language model on a small picture: does it compute packed rows exactly?"""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import torch

from curate.core.errors import CurateError
from curate.data.conversation import text_answer
from curate.records import Message, Part
from curate.reward.model import VisionModel
from curate.reward.packing import PaddedBatch, pad_rows
from curate.reward.packing_check import compare_hidden_states, find_unknown_layers
from curate.reward.tokens import EncodedResponses, VisionResponseEncoder
from curate.reward.vision_packing import VisionPacker

_ANSWERS = ("one two three four", "one two five", "six", "seven eight")


def try_packing(model: VisionModel, encoder: VisionResponseEncoder, *, name: str) -> str | None:
    """Let a model read packed rows if that changes no hidden state, else leave it as it is.

    Args:
        model: The model.
        encoder: Its encoder, which gets the packer.
        name: What the model is called in the message.

    Returns:
        Why it reads each response with a copy of its prompt; None: it reads packed rows.
    """
    config = model.backbone.config.get_text_config()
    attention: str = config._attn_implementation
    if problem := find_unknown_layers(model.backbone, config):
        return f"{name} cannot read several responses in one row of tokens: {problem}."
    packer = VisionPacker(encoder.vision_tokens, model.backbone)
    prompt = (Message(role="user", content=(_make_picture(), Part(text="what is it?"))),)
    longest, encoder.max_length = encoder.max_length, 1 << 30
    encoded = encoder.encode_responses(prompt, list(map(text_answer, _ANSWERS)))
    encoder.max_length = longest
    if not isinstance(encoded, EncodedResponses):
        return f"{name} cannot be tried on a picture: {encoded.reason}."
    training = model.training
    with torch.no_grad():
        alone = model.eval().hide(pad_images(encoder, encoded))
    model.train(training)
    model.use_packing()
    first = encoded.responses[0]
    other = replace(encoded, responses=((*first[:-1], first[0]), *encoded.responses[1:]))
    try:
        compare_hidden_states(
            model,
            packed=lambda: model.hide(packer.pack([encoded]))[1:],
            moved=lambda: model.hide(packer.pack([other]))[1:],
            alone=lambda: alone[1:],
            name=name,
        )
    except CurateError as error:
        model.use_padding(attention)
        return str(error)
    encoder.packer = packer
    return None


def pad_images(encoder: VisionResponseEncoder, encoded: EncodedResponses) -> PaddedBatch:
    """Return a prompt's responses as a padded batch, each with its own images."""
    batch = pad_rows([encoded.responses], None, padding=encoder.padding or 0)
    parts = [part for images in encoded.images for part in images]
    return replace(batch, images=encoder.vision_tokens.build_inputs(batch.tokens, parts))


def _make_picture() -> Part:
    """Make a picture that is not the same everywhere, as a part that holds it."""
    from PIL import Image

    stream = io.BytesIO()
    Image.radial_gradient("L").resize((72, 48)).convert("RGB").save(stream, "PNG")
    return Part(type="image", uri=f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}")
