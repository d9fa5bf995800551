"""Lessons that teach a small vision-language model to see scenes; each scene is drawn for one step.

A picture comes with statements, true or false by chance, and three things are learnt of them at once:

- answers: at the end of a statement whether it is true, and where its last words begin, the words that would be true
- grounding: at each noun, in the lower half of the language part, what it stands for: in which cells that is, of which
  colours, and how many there are. Without it relations take hours: the model must find two things before it can compare
  them, and no answer rewards it for having found one
- naming: at each part of the picture its colour, shape, row and column

The layer that reads the grounding is thrown away. No reward is learnt: that is for `curate train`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.scenes import (
    COLOURS,
    COLUMNS,
    FAMILIES,
    NUMBERS,
    PLURALS,
    ROWS,
    SHAPES,
    SIDE,
    Question,
    Scene,
    ask_question,
    draw_scene,
    list_facts,
)
from tests.seeing_model import REQUEST

STATEMENTS = 4  # of one picture
UNLEARNT = -100
SINGULAR = {plural: shape for shape, plural in PLURALS.items()} | {shape: shape for shape in SHAPES}
CELLS = [(row, column) for row in range(SIDE) for column in range(SIDE)]
MEANINGS = len(CELLS) + len(COLOURS) + len(NUMBERS)


@dataclass(frozen=True, slots=True)
class Lesson:
    """Scenes as the model sees them, and what it is to learn of them.

    | field      | type               | meaning |
    | ---        | ---                | --- |
    | `tokens`   | int64[B, L]        | a picture, and statements |
    | `answers`  | int64[B, L]        | the word that is right behind each token; −100 where nothing is learnt |
    | `nouns`    | int64[2, M]        | row and place of each noun |
    | `meanings` | float[M, 19]       | of each: cells, colours, numbers that are reached; 0 or 1 |
    | `pixels`   | float[B, 3, 48, 48] | the pictures |
    | `contents` | int64[4, B × 9]    | words for each cell: its colour and shape (or none), its row and column |
    """

    tokens: Tensor
    answers: Tensor
    nouns: Tensor
    meanings: Tensor
    pixels: Tensor
    contents: Tensor


@dataclass(slots=True)
class _Row:
    """Tokens of a picture with its statements, the answers behind them, and (place, meaning) of each noun."""

    tokens: list[int]
    answers: list[int]
    nouns: list[tuple[int, list[float]]] = field(default_factory=list)


class Teacher:
    """Draws scenes, and writes statements about each.

    Args:
        processor: Of the model.
        seed: Decides scenes and statements.
        families: What the statements are about.
    """

    def __init__(self, processor: Any, *, seed: int, families: Sequence[str] = FAMILIES) -> None:
        self.families = families
        self.tokenizer, self.images, self.rng = processor.tokenizer, processor.image_processor, Random(seed)
        opening = f"<|im_start|>user\n{'<image>' * SIDE**2}{REQUEST}<|im_end|>\n<|im_start|>assistant\n"
        self.opening: list[int] = self.tokenizer(opening, add_special_tokens=False)["input_ids"]
        self.numbers: dict[str, int] = self.tokenizer.get_vocab()
        self.choices = [
            torch.tensor([self.numbers[word] for word in words])
            for words in ((*COLOURS, "none"), (*SHAPES, "none"), ROWS, COLUMNS)
        ]

    def draw_lesson(self, number: int) -> Lesson:
        """Draw so many scenes."""
        questions = [ask_question(self.rng, self.rng.choice(self.families)) for _ in range(number)]
        scenes = [question.scene for question in questions]
        pictures = [draw_scene(self.rng, scene) for scene in scenes]
        rows = [self._write_statements(question) for question in questions]
        nouns = [(number, *noun) for number, row in enumerate(rows) for noun in row.nouns]
        return Lesson(
            _stack([row.tokens for row in rows], 0),
            _stack([row.answers for row in rows], UNLEARNT),
            torch.tensor([(number, place) for number, place, _ in nouns]).T,
            torch.tensor([meaning for *_, meaning in nouns]),
            self.images(images=pictures, return_tensors="pt")["pixel_values"],
            torch.tensor([cell for scene in scenes for cell in _list_contents(scene)]).T,
        )

    def _write_statements(self, question: Question) -> _Row:
        row = _Row(list(self.opening), [UNLEARNT] * len(self.opening))
        facts = self._list_facts(question)
        for _ in range(STATEMENTS):  # half of them about what the scene was drawn for
            family = question.family if self.rng.random() < 0.5 else self.rng.choice(list(facts))
            true, wrong = self.rng.choice(facts[family])
            is_true = self.rng.random() < 0.5
            self._add_statement(row, question.scene, true, true if is_true else self.rng.choice(wrong))
        return row

    def _list_facts(self, question: Question) -> dict[str, list[tuple[str, list[str]]]]:
        """List what is true and what is wrong of a scene, by family.

        Of numbers, what the question is about: most other things stand alone, and one would be right without a look.
        """
        facts = {
            family: facts
            for family, facts in list_facts(question.scene).items()
            if facts and family in self.families and family != "count"
        }
        if question.family == "count":
            captions = list(question.captions)
            facts["count"] = [(captions.pop(question.right), captions)]
        return facts

    def _add_statement(self, row: _Row, scene: Scene, true: str, stated: str) -> None:
        """Add a statement; `true` has as many words, and differs at the end if at all."""
        words, right = stated.split(), true.split()
        start, ending = len(row.tokens), 2 if " at the " in true else 1
        row.nouns += [
            (start + place, find_meaning(scene, SINGULAR[word], words[place - 1]))
            for place, word in enumerate(words)
            if word in SINGULAR
        ]
        row.tokens += [self.numbers[word] for word in (*words, "<|im_end|>")]
        answers = [*right[-ending:], "yes" if stated == true else "no"]
        row.answers += [UNLEARNT] * (len(words) - ending - 1)
        row.answers += [self.numbers[word] for word in answers[:-1]]
        row.answers += [UNLEARNT, self.numbers[answers[-1]]]


def find_meaning(scene: Scene, shape: str, colour: str) -> list[float]:
    """Tell of things in a scene in which cells they are, of which colours, and whether there are 1, 2, 3, 4 or more.

    Args:
        scene: The scene.
        shape: Their shape.
        colour: Their colour; another word stands for all.
    """
    things = {
        cell: kind
        for cell, kind in scene.items()
        if kind[1] == shape and (colour not in COLOURS or kind[0] == colour)
    }
    colours = {kind[0] for kind in things.values()}
    facts = [cell in things for cell in CELLS]
    facts += [name in colours for name in COLOURS]
    facts += [len(things) >= number for number in range(1, len(NUMBERS) + 1)]
    return list(map(float, facts))


def _list_contents(scene: Scene) -> list[list[int]]:
    """List the words for each cell, as places in `Teacher.choices`."""
    none = len(COLOURS), len(SHAPES)
    places = {kind: (list(COLOURS).index(kind[0]), SHAPES.index(kind[1])) for kind in scene.values()}
    return [[*(places[scene[cell]] if cell in scene else none), *cell] for cell in CELLS]


def _stack(rows: Sequence[list[int]], fill: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])


class Pupil(nn.Module):
    """A model with the layer that reads what its nouns stand for."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.reader = nn.Linear(model.config.text_config.hidden_size, MEANINGS)
        self.depth = model.config.text_config.num_hidden_layers // 3

    def compute_losses(self, lesson: Lesson, choices: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the losses of naming, grounding and answers.

        Args:
            lesson: Scenes, and what is to be learnt of them.
            choices: Of each kind of content of a cell, the words that there are.
        """
        model = self.model
        parts = torch.cat(tuple(model.model.get_image_features(lesson.pixels).pooler_output))
        embedded = model.get_input_embeddings()(lesson.tokens)
        embedded = embedded.masked_scatter((lesson.tokens == model.config.image_token_id)[..., None], parts)
        read = model.model.language_model(inputs_embeds=embedded, use_cache=False, output_hidden_states=True)
        words = model.lm_head(parts)
        naming = [
            functional.cross_entropy(words[:, ids], right)
            for ids, right in zip(choices, lesson.contents, strict=True)
        ]
        rows, places = lesson.nouns
        grounding = functional.binary_cross_entropy_with_logits(
            self.reader(read.hidden_states[self.depth][rows, places]), lesson.meanings
        )
        learnt = lesson.answers != UNLEARNT
        answers = functional.cross_entropy(
            model.lm_head(read.last_hidden_state[learnt]), lesson.answers[learnt]
        )
        return torch.stack(naming).mean(), grounding, answers


def teach_model(
    processor: Any,
    model: Any,
    *,
    steps: int,
    batch: int = 24,
    learning_rate: float = 2e-3,
    seed: int = 0,
    families: Sequence[str] = FAMILIES,
    report: Callable[[int, list[float]], None] | None = None,
) -> None:
    """Teach a model what is in pictures, in place.

    Args:
        processor: Its processor.
        model: The model.
        steps: Steps of the optimizer.
        batch: Pictures of a step; each is drawn for it, and seen once.
        learning_rate: The highest; it rises over 50 steps, and falls by a cosine to nothing.
        seed: Decides the pictures.
        families: What the statements are about.
        report: Called after each step with its number and the losses of naming, grounding and answers.
    """
    teacher = Teacher(processor, seed=seed, families=families)
    torch.manual_seed(seed)
    pupil = Pupil(model)
    optimizer = torch.optim.AdamW(pupil.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    model.train()
    for step in range(steps):
        losses = pupil.compute_losses(teacher.draw_lesson(batch), teacher.choices)
        naming, grounding, answers = losses
        (naming + 6 * grounding + answers).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(pupil.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if report is not None:
            report(step, [float(loss.detach()) for loss in losses])
    model.eval()
