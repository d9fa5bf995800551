"""A small LLaVA that truly sees synthetic scenes (tests/scenes.py): built with random weights, and taught here.

It learns to answer yes or no to statements about a scene, and to list what stands in its cells. It learns no reward:
that is for `curate train`, which gives it a new head.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tests.scenes import (
    CELL,
    COLOURS,
    COLUMNS,
    DIRECTIONS,
    FAMILIES,
    NUMBERS,
    PLURALS,
    ROWS,
    SHAPES,
    SIDE,
    Scene,
    ask_question,
    draw_scene,
    list_facts,
)
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
STATEMENTS = 6  # of one picture, in a sequence that teaches


def build_model(*, width: int = 96, layers: int = 4, sight: int = 96, seed: int = 0) -> tuple[Any, Any]:
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


@dataclass(frozen=True, slots=True)
class Lesson:
    """Scenes as the model sees them, and what it is to learn of them.

    | field      | type               | meaning |
    | ---        | ---                | --- |
    | `tokens`   | int64[B, L]        | a picture, and statements with their answers |
    | `labels`   | int64[B, L]        | what is to be learnt of them; −100 elsewhere |
    | `pixels`   | float[B, 3, 48, 48] | the pictures |
    | `contents` | int64[4, B × 9]    | words for each cell: its colour and shape (or none), its row and column |
    """

    tokens: Tensor
    labels: Tensor
    pixels: Tensor
    contents: Tensor


class Teacher:
    """Draws scenes, and writes statements about each, true or false by chance.

    Args:
        processor: Of the model.
        seed: Decides scenes and statements.
        families: What the statements are about.
    """

    def __init__(self, processor: Any, *, seed: int, families: Sequence[str] = FAMILIES) -> None:
        self.families = families
        self.tokenizer, self.images, self.rng = processor.tokenizer, processor.image_processor, Random(seed)
        opening = f"<|im_start|>user\n{'<image>' * SIDE**2}{REQUEST}<|im_end|>\n<|im_start|>assistant\n"
        self.opening: list[int] = self.encode(opening)
        self.choices = [
            torch.tensor(self.encode(" ".join(words)))
            for words in ((*COLOURS, "none"), (*SHAPES, "none"), ROWS, COLUMNS)
        ]

    def draw_lesson(self, number: int) -> Lesson:
        """Draw so many scenes."""
        scenes = [ask_question(self.rng, self.rng.choice(self.families)).scene for _ in range(number)]
        pictures = [draw_scene(self.rng, scene) for scene in scenes]
        rows = [self._write_statements(scene) for scene in scenes]
        longest = max(len(tokens) for tokens, _ in rows)
        unlearnt = [-100] * len(self.opening)
        tokens = [[*self.opening, *row, *[0] * (longest - len(row))] for row, _ in rows]
        labels = [[*unlearnt, *answers, *[-100] * (longest - len(answers))] for _, answers in rows]
        return Lesson(
            torch.tensor(tokens),
            torch.tensor(labels),
            self.images(images=pictures, return_tensors="pt")["pixel_values"],
            torch.tensor([cell for scene in scenes for cell in self._list_contents(scene)]).T,
        )

    def _write_statements(self, scene: Scene) -> tuple[list[int], list[int]]:
        """Write statements, and what is to be learnt of them.

        Half of the time all are true, and their words are learnt; else each is true or false, and has yes or no behind
        it, which alone is learnt.
        """
        tokens: list[int] = []
        labels: list[int] = []
        facts = [facts for family, facts in list_facts(scene).items() if facts and family in self.families]
        tells = self.rng.random() < 0.5
        for _ in range(STATEMENTS):
            true, wrong = self.rng.choice(self.rng.choice(facts))
            is_true = tells or self.rng.random() < 0.5
            statement = self.encode(f"{true if is_true else self.rng.choice(wrong)} <|im_end|>")
            if tells:
                tokens += statement
                labels += statement
                continue
            answer = self.encode("yes" if is_true else "no")
            tokens += [*statement, *answer]
            labels += [*[-100] * len(statement), *answer]
        return tokens, labels

    def _list_contents(self, scene: Scene) -> list[list[int]]:
        """List the words for each cell, as places in `choices`."""
        none = len(COLOURS), len(SHAPES)
        places = {kind: (list(COLOURS).index(kind[0]), SHAPES.index(kind[1])) for kind in scene.values()}
        return [
            [*(places[scene[row, column]] if (row, column) in scene else none), row, column]
            for row in range(SIDE)
            for column in range(SIDE)
        ]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def teach_model(
    processor: Any,
    model: Any,
    *,
    steps: int,
    batch: int = 16,
    learning_rate: float = 2e-3,
    seed: int = 0,
    families: Sequence[str] = FAMILIES,
    report: Callable[[int, float, float], None] | None = None,
) -> None:
    """Teach a model what is in pictures, in place.

    It learns two things at a time: what word goes with each part of a picture, and whether a statement is true.

    Args:
        processor: Its processor.
        model: The model.
        steps: Steps of the optimizer.
        batch: Pictures of a step; each is drawn for it, and seen once.
        learning_rate: The highest; it rises over 30 steps, and falls by a cosine to nothing.
        seed: Decides the pictures.
        families: What the statements are about.
        report: Called after each step with its number and both losses.
    """
    teacher = Teacher(processor, seed=seed, families=families)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 30) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    model.train()
    for step in range(steps):
        naming, judging = compute_losses(model, teacher.draw_lesson(batch), teacher.choices)
        (naming + judging).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if report is not None:
            report(step, float(naming.detach()), float(judging.detach()))
    model.eval()


def compute_losses(model: Any, lesson: Lesson, choices: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Compute the losses of naming what each part of a picture shows, and of judging statements."""
    logits, words = answer_statements(model, lesson)
    naming = torch.stack(
        [
            functional.cross_entropy(words[:, ids], right)
            for ids, right in zip(choices, lesson.contents, strict=True)
        ]
    )
    learnt = lesson.labels[:, 1:] >= 0
    return naming.mean(), functional.cross_entropy(logits[:, :-1][learnt], lesson.labels[:, 1:][learnt])


def answer_statements(model: Any, lesson: Lesson) -> tuple[Tensor, Tensor]:
    """Return logits float[B, L, V] of the next tokens, and float[B × 9, V] of words for each part of a picture."""
    seen = model.model.get_image_features(lesson.pixels).pooler_output
    parts = torch.cat(tuple(seen))
    embedded = model.get_input_embeddings()(lesson.tokens)
    embedded = embedded.masked_scatter((lesson.tokens == model.config.image_token_id)[..., None], parts)
    hidden = model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    return model.lm_head(hidden), model.lm_head(parts)


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
