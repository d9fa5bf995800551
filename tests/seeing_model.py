"""A small LLaVA for synthetic scenes (tests/scenes.py): random weights, which seeing_lessons.py teaches to see."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from tests.scenes import CELL, COLOURS, COLUMNS, DIRECTIONS, NUMBERS, PLURALS, ROWS, SHAPES, SIDE
from tests.vision_models import TEMPLATE

CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>")
WORDS = (
    "[UNK]", "system", "user", "assistant", "what", "is", "it", "?", "which", "true", "the", "at", "number", "of",
    "relative", "to", "yes", "no", "none",
    *COLOURS, *SHAPES, *PLURALS.values(), *NUMBERS, *ROWS, *COLUMNS, *DIRECTIONS,
)  # fmt: skip
TEXT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REQUEST = "which is true ?"


def build_model(*, width: int = 96, layers: int = 6, sight: int = 96, seed: int = 0) -> tuple[Any, Any]:
    """Build the model and its processor; one visual token is one cell of the grid."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=list(CONTROLS), model_max_length=256,
    )  # fmt: skip
    tokenizer.chat_template = TEMPLATE.replace("PLACE", "<image>")
    side = SIDE * CELL
    images = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    processor = LlavaProcessor(  # type: ignore[no-untyped-call]
        images, tokenizer, patch_size=CELL, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    torch.manual_seed(seed)
    config = LlavaConfig(
        text_config=LlamaConfig(
            hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers, num_attention_heads=4,
            vocab_size=len(tokenizer), max_position_embeddings=512, pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=True, initializer_range=width**-0.5,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        ),
        vision_config=CLIPVisionConfig(
            hidden_size=sight, intermediate_size=2 * sight, num_hidden_layers=2, num_attention_heads=4,
            image_size=side, patch_size=CELL,
        ),
        image_token_index=processor.image_token_id,
        vision_feature_layer=-1,
        tie_word_embeddings=True,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():  # the usual beginnings are for models a hundred times as wide
        model.model.vision_tower.embeddings.position_embedding.weight.normal_(0, 0.5)
        for layer in (model.model.multi_modal_projector.linear_1, model.model.multi_modal_projector.linear_2):
            layer.weight.normal_(0, width**-0.5)
        for layer in model.model.language_model.layers:  # at first a word looks at what is like it
            layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
    return processor, model


def save_models(processor: Any, model: Any, folder: Path) -> None:
    """Save the model as `backbone`, and its language part alone as `language`, which sees nothing."""
    from transformers import LlamaForCausalLM

    model.save_pretrained(folder / "backbone")
    processor.save_pretrained(folder / "backbone")
    reader = LlamaForCausalLM(model.config.text_config)
    reader.model.load_state_dict(model.model.language_model.state_dict())
    reader.save_pretrained(folder / "language")
    tokenizer = copy.deepcopy(processor.tokenizer)
    tokenizer.chat_template = TEXT_TEMPLATE
    tokenizer.save_pretrained(folder / "language")
