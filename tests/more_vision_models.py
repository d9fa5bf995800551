"""Further tiny vision-language models, for `tests.vision_models.vision_model`."""

from __future__ import annotations

from typing import Any

QWEN_NAMES = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]


def make_qwen2_5_vl(tokenizer: Any, text: dict[str, Any], **_: Any) -> tuple[Any, Any]:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer.add_special_tokens({"additional_special_tokens": QWEN_NAMES})
    size = {"shortest_edge": 28 * 28, "longest_edge": 4 * 28 * 28}
    processor = Qwen2_5_VLProcessor(  # type: ignore[no-untyped-call]
        Qwen2VLImageProcessor(size=size), tokenizer, Qwen2VLVideoProcessor(size=size)
    )
    rope = {"type": "default", "rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    sight = {
        "depth": 2, "hidden_size": 32, "out_hidden_size": 32, "num_heads": 2, "intermediate_size": 48,
        "window_size": 28, "fullatt_block_indexes": [1],
    }  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config={**text, "vocab_size": len(tokenizer), "rope_parameters": rope},
        vision_config=sight,
        **_name_tokens(tokenizer),
    )
    return processor, Qwen2_5_VLForConditionalGeneration(config)


def make_qwen3_vl(tokenizer: Any, text: dict[str, Any], **_: Any) -> tuple[Any, Any]:
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer.add_special_tokens({"additional_special_tokens": QWEN_NAMES})
    size = {"shortest_edge": 32 * 32, "longest_edge": 4 * 32 * 32}
    images = Qwen2VLImageProcessor(size=size, patch_size=16)
    processor = Qwen3VLProcessor(images, tokenizer, Qwen3VLVideoProcessor(size=size))  # type: ignore[no-untyped-call]
    rope = {
        "type": "default", "rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True,
        "rope_theta": 10000.0,
    }  # fmt: skip
    sight = {
        "depth": 2, "hidden_size": 32, "out_hidden_size": 32, "num_heads": 2, "intermediate_size": 48,
        "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    config = Qwen3VLConfig(
        text_config={**text, "vocab_size": len(tokenizer), "head_dim": 8, "rope_parameters": rope},
        vision_config=sight,
        **_name_tokens(tokenizer),
    )
    return processor, Qwen3VLForConditionalGeneration(config)


def make_llava_onevision(tokenizer: Any, text: dict[str, Any], sight: dict[str, Any]) -> tuple[Any, Any]:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )

    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>", "<video>"]})
    square = {"height": 32, "width": 32}
    grid = [[32, 32], [32, 64], [64, 32]]
    processor = LlavaOnevisionProcessor(  # type: ignore[no-untyped-call]
        LlavaOnevisionImageProcessor(size=square, image_grid_pinpoints=grid),
        tokenizer,
        LlavaOnevisionVideoProcessor(size=square),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
    )
    config = LlavaOnevisionConfig(
        text_config=Qwen2Config(**text, vocab_size=len(tokenizer)),
        vision_config=SiglipVisionConfig(**sight, vision_use_head=False),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
        vision_feature_layer=-1,
    )
    return processor, LlavaOnevisionForConditionalGeneration(config)


def make_smolvlm(tokenizer: Any, text: dict[str, Any], sight: dict[str, Any]) -> tuple[Any, Any]:
    from transformers import (
        LlamaConfig,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    names = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    tokenizer.add_special_tokens({"additional_special_tokens": names})
    edge = {"longest_edge": 32}
    images = SmolVLMImageProcessor(size=edge, max_image_size=edge, do_image_splitting=False)
    processor = SmolVLMProcessor(  # type: ignore[no-untyped-call]
        images, tokenizer, SmolVLMVideoProcessor(size=edge, max_image_size=edge), image_seq_len=4
    )
    config = SmolVLMConfig(
        text_config=LlamaConfig(**text, vocab_size=len(tokenizer)).to_dict(),
        vision_config=sight,
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,  # type: ignore[call-arg]
    )
    return processor, SmolVLMForConditionalGeneration(config)


def _name_tokens(tokenizer: Any) -> dict[str, int]:
    start, end, image, video = tokenizer.convert_tokens_to_ids(QWEN_NAMES)
    return {
        "image_token_id": image,
        "video_token_id": video,
        "vision_start_token_id": start,
        "vision_end_token_id": end,
    }


MAKERS = {
    "qwen2_5_vl": make_qwen2_5_vl,
    "qwen3_vl": make_qwen3_vl,
    "llava_onevision": make_llava_onevision,
    "smolvlm": make_smolvlm,
}
