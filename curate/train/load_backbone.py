"""Loading of the model to train.

A causal or vision-language model gets a new head, an encoder its own kind of head; the training of a reward model is
continued, head included.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from curate.config.images import ImageAccess
from curate.config.train import BackboneSection
from curate.core.errors import CurateError
from curate.engine.chat_tokens import PARAGRAPHS_TEMPLATE
from curate.engine.local.loading import get_hub_arguments, load_processor, silence_loading, unpack_gguf
from curate.engine.local.reward_head import HeadShape, has_own_head, load_config
from curate.engine.weights import Weights
from curate.reward.joint_folder import SEPARATOR
from curate.reward.model import EncoderModel, RewardModel, VisionModel
from curate.reward.packing_check import check_packing
from curate.reward.tokens import Ids, ResponseEncoder, VisionResponseEncoder
from curate.reward.vision_check import try_packing
from curate.train.adapters import add_adapters


@dataclass(frozen=True, slots=True)
class LoadedBackbone:
    """A model to train, with the encoder of its texts.

    `separator`: token between the responses of a joint sequence; None where responses stand alone.
    """

    model: RewardModel | EncoderModel | VisionModel
    encoder: ResponseEncoder
    separator: Ids | None

    @property
    def dtype(self) -> str:
        """Name of the dtype in which the weights are saved; a decoder's head is always float32."""
        model = self.model
        weights: torch.dtype = (model.classifier if isinstance(model, EncoderModel) else model.backbone).dtype
        return str(weights).removeprefix("torch.")

    def save(self, folder: Path) -> None:
        """Save the model with its tokenizer or processor; adapters are merged into it, and saved beside it too.

        The tokenizer says what others have to know: the length that the model was trained with, that what is too long
        loses its beginning, and how chats are written where the backbone has no chat template.
        """
        model = self.model
        if not isinstance(model, EncoderModel) and model.peft_model is not None:
            model.peft_model.save_pretrained(folder / "adapter")
            model = model.merge_adapters()
        model.save(folder)
        encoder = self.encoder
        reader = encoder.processor if isinstance(encoder, VisionResponseEncoder) else encoder.tokenizer
        tokenizer = encoder.tokenizer
        tokenizer.model_max_length, tokenizer.truncation_side = encoder.max_length, "left"
        tokenizer.init_kwargs["truncation_side"] = "left"  # the attribute alone is not saved
        if tokenizer.chat_template is None and not isinstance(model, EncoderModel):
            tokenizer.chat_template = PARAGRAPHS_TEMPLATE
        reader.save_pretrained(folder)


def load_backbone(
    section: BackboneSection, weights: Weights, *, seed: int, images: ImageAccess | None = None
) -> LoadedBackbone:
    """Load the model of `section` for training.

    Weights are float32. With adapters, the frozen ones are bfloat16 where `precision` is bfloat16.

    Args:
        section: Model, head, adapters and precision.
        weights: Where the model's files are.
        seed: Seed of new heads and adapters.
        images: Rules about which images may be opened; None: the defaults.

    Raises:
        CurateError: The model cannot be opened, or its kind or its head does not fit `section`.
    """
    try:
        with silence_loading():
            return _load_model(section, weights, seed, images or ImageAccess())
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CurateError(
            f"The model {section.model!r} cannot be opened for training: {' '.join(str(error).split())[:300]}"
        ) from error


def _load_model(section: BackboneSection, weights: Weights, seed: int, images: ImageAccess) -> LoadedBackbone:
    from transformers import AutoTokenizer

    half_precision = section.lora is not None and section.precision == "bfloat16"
    dtype = torch.bfloat16 if half_precision else torch.float32
    source = weights.source if weights.gguf_file is None else str(unpack_gguf(weights, dtype))
    hub = get_hub_arguments(weights)
    config = load_config(source, **hub)
    if _sees_images(config) and not _is_classifier(config):
        return _load_vision(section, source, dtype, hub, seed, images)
    tokenizer = AutoTokenizer.from_pretrained(source, **hub)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    decoder = _is_decoder(config)
    torch.manual_seed(seed)  # of adapters and of an encoder's new head
    model: RewardModel | EncoderModel
    separator = None
    if decoder:
        model = _load_decoder(section, source, config, dtype, hub, seed)
        if section.forward == "joint":
            separator = _add_separator(tokenizer, model.backbone)
        _set_padding(model.backbone.config, tokenizer)
        if section.gradient_checkpointing:
            model.backbone.gradient_checkpointing_enable({"use_reentrant": False})
        check_packing(model, name=section.model)
        if section.lora is not None:
            model = add_adapters(model, section.lora, separator=separator)
    else:
        model = _load_encoder(section, source, dtype, hub)
        _set_padding(model.classifier.config, tokenizer)
    encoder = ResponseEncoder(
        tokenizer, max_length=section.max_length, whole=not decoder, padding=tokenizer.pad_token_id
    )
    return LoadedBackbone(model, encoder, separator)


def _load_decoder(
    section: BackboneSection, source: str, config: Any, dtype: torch.dtype, hub: dict[str, Any], seed: int
) -> RewardModel:
    from transformers import AutoModel

    if not _is_classifier(config) and not has_own_head(Path(source)):
        backbone = AutoModel.from_pretrained(source, dtype=dtype, **hub)
        return RewardModel.add_head(backbone, _build_shape(section), seed=seed)
    model = RewardModel.load(source, dtype=dtype, **hub)
    _check_head(section, model.shape)
    return model


def _load_vision(
    section: BackboneSection,
    source: str,
    dtype: torch.dtype,
    hub: dict[str, Any],
    seed: int,
    images: ImageAccess,
) -> LoadedBackbone:
    from transformers import AutoModel

    processor = load_processor(source, **hub)
    tokenizer = processor.tokenizer
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    torch.manual_seed(seed)  # of adapters
    if has_own_head(Path(source)):
        model = VisionModel.load(Path(source), dtype=dtype)
        _check_head(section, model.shape)
    else:
        backbone = AutoModel.from_pretrained(source, dtype=dtype, **hub)
        model = VisionModel.add_head(backbone, _build_shape(section), seed=seed)
    separator = _add_separator(tokenizer, model.backbone) if section.forward == "joint" else None
    _set_padding(model.backbone.config, tokenizer)
    encoder = VisionResponseEncoder(processor, max_length=section.max_length, access=images)
    reason = try_packing(model, encoder, name=section.model)
    if reason is not None and separator is not None:
        raise CurateError(f"{reason} Or set forward: shared-prefix, and each response is read by itself.")
    if section.gradient_checkpointing:
        model.backbone.gradient_checkpointing_enable({"use_reentrant": False})
    if section.lora is not None:
        model = add_adapters(model, section.lora, separator=separator)
    return LoadedBackbone(model, encoder, separator)


def _build_shape(section: BackboneSection) -> HeadShape:
    return HeadShape(
        section.head,
        section.units,
        section.output,
        section.levels,
        tuple(section.aspects),
        tuple(section.aspects.values()),
    )


def _check_head(section: BackboneSection, has: HeadShape) -> None:
    """Raise CurateError if the head of the model, from which training goes on, is not the one of `section`."""
    wanted = _build_shape(section)
    same = (has.head, has.output) == (wanted.head, wanted.output)
    same = same and (has.head == "linear" or has.units == wanted.units)
    if not same or has.n_outputs != wanted.n_outputs or has.aspects != wanted.aspects:
        raise CurateError(
            f"The reward model {section.model!r} has another head ({has.head}, {has.output}, {has.units} units, "
            f"{has.n_outputs} outputs{_list_aspects(has.aspects)}) than train.backbone says: set head, output, units, "
            "levels and aspects to go on with it."
        )


def _list_aspects(aspects: tuple[str, ...]) -> str:
    return f": {', '.join(aspects)}" if aspects else ""


def _load_encoder(
    section: BackboneSection, source: str, dtype: torch.dtype, hub: dict[str, Any]
) -> EncoderModel:
    from transformers import AutoModelForSequenceClassification

    if section.forward == "joint" or section.lora or section.head != "linear" or section.output != "scalar":
        raise CurateError(
            f"{section.model!r} is an encoder: it is trained with head linear, output scalar, forward shared-prefix "
            "and without lora."
        )
    classifier = AutoModelForSequenceClassification.from_pretrained(source, dtype=dtype, num_labels=1, **hub)
    if section.gradient_checkpointing:
        classifier.gradient_checkpointing_enable({"use_reentrant": False})
    return EncoderModel(classifier)


def _is_decoder(config: Any) -> bool:
    """Tell whether the model is a decoder: its sequence classifier has a linear `score` of the last token."""
    from transformers import AutoModelForSequenceClassification

    with torch.device("meta"):
        shell = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    return hasattr(shell, "score")


def _sees_images(config: Any) -> bool:
    """Tell whether the model is a vision-language model."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    return type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and hasattr(config, "vision_config")


def _is_classifier(config: Any) -> bool:
    """Tell whether the model is a sequence classifier of Transformers: a reward model that reads text."""
    return "SequenceClassification" in " ".join(config.architectures or [])


def _set_padding(config: Any, tokenizer: Any) -> None:
    config.pad_token_id = config.get_text_config().pad_token_id = tokenizer.pad_token_id


def _add_separator(tokenizer: Any, backbone: Any) -> Ids:
    """Add a control token that separates responses, and return it; its vector starts as the mean of the others."""
    if tokenizer.convert_tokens_to_ids(SEPARATOR) in (None, tokenizer.unk_token_id):
        tokenizer.add_special_tokens({"additional_special_tokens": [SEPARATOR]})
    number = int(tokenizer.convert_tokens_to_ids(SEPARATOR))
    vectors = backbone.get_input_embeddings().weight
    if number >= len(vectors):
        mean = vectors.detach().mean(dim=0)
        vectors = backbone.resize_token_embeddings(number + 1, mean_resizing=False).weight
        with torch.no_grad():
            vectors[number] = mean
    return (number,)
