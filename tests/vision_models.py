"""Tiny vision-language models with random weights, and pictures of one colour to show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from curate.records import Part
from tests.conftest import make_tokenizer

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% for part in m['content'] %}{% if part['type'] == 'image' %}PLACE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
SIGHT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
    "initializer_range": 0.2,
}


def vision_model(folder: Path, family: str = "idefics3", *, tiles: bool = False) -> Path:
    """Save one with its processor. `tiles`: larger images are cut into tiles, each with tokens of its own."""
    from tests.more_vision_models import MAKERS

    make = {"idefics3": _idefics3, "llava": _llava, "qwen2_vl": _qwen2_vl}.get(family)
    place = "<|vision_start|><|image_pad|><|vision_end|>" if family.startswith("qwen") else "<image>"
    tokenizer = make_tokenizer(TEMPLATE.replace("PLACE", place))
    torch.manual_seed(0)
    processor, model = (
        MAKERS[family](tokenizer, text=TEXT, sight=SIGHT) if make is None else make(tokenizer, tiles)
    )
    model.save_pretrained(folder)
    processor.chat_template = tokenizer.chat_template
    processor.save_pretrained(folder)
    return folder


def _idefics3(tokenizer: Any, tiles: bool) -> tuple[Any, Any]:
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3Processor,
        LlamaConfig,
    )
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    tokenizer.add_special_tokens({"additional_special_tokens": ["<global-img>"]})
    images = Idefics3ImageProcessorPil(
        size={"longest_edge": 64 if tiles else 32},
        max_image_size={"longest_edge": 32},
        do_image_splitting=tiles,
    )
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4)
    config = Idefics3Config(
        text_config=LlamaConfig(**TEXT, vocab_size=len(tokenizer)).to_dict(),
        vision_config=SIGHT,
        scale_factor=2,
        image_token_id=processor.image_token_id,
        pad_token_id=0,  # type: ignore[call-arg]
    )
    return processor, Idefics3ForConditionalGeneration(config)


def _llava(tokenizer: Any, tiles: bool) -> tuple[Any, Any]:
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = LlavaProcessor(  # type: ignore[no-untyped-call]
        images,
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    config = LlavaConfig(
        text_config=LlamaConfig(**TEXT, vocab_size=len(tokenizer)),
        vision_config=CLIPVisionConfig(**SIGHT),
        image_token_index=processor.image_token_id,
        vision_feature_layer=-1,
    )
    return processor, LlavaForConditionalGeneration(config)


def _qwen2_vl(tokenizer: Any, tiles: bool) -> tuple[Any, Any]:
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    names = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": names})
    size = {"shortest_edge": 28 * 28, "longest_edge": 4 * 28 * 28}
    processor = Qwen2VLProcessor(  # type: ignore[no-untyped-call]
        Qwen2VLImageProcessor(size=size), tokenizer, Qwen2VLVideoProcessor(size=size)
    )
    start, end, image, video = tokenizer.convert_tokens_to_ids(names)
    rope = {"type": "default", "rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = Qwen2VLConfig(
        text_config={**TEXT, "vocab_size": len(tokenizer), "rope_parameters": rope},
        vision_config={"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    return processor, Qwen2VLForConditionalGeneration(config)


def painted(folder: Path, colour: str, size: tuple[int, int] = (32, 32), name: str = "") -> Part:
    """An image of one colour, as a part that says where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name or colour}.png"
    Image.new("RGB", size, colour).save(file)
    return Part(type="image", uri=str(file))
