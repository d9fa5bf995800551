"""Synthetic scenes drawn by code, and captions of which only the picture says which one is right.

A scene is a grid of 3 × 3 cells, some with a coloured shape at a slightly random place and size. A question is made of
its captions first: they differ in one thing (a number, a colour, a place, a relation), which of them is right is drawn
at random, and then a scene in which that one is true and no other. So texts alone say nothing: right and wrong captions
have the same distribution, and who sees no picture is right by chance.

Two things are kept from all training: a tenth of the scenes (`is_held_out`: what stands where, however drawn), and
all scenes and captions with some combinations of colour and shape, `KEPT_BACK`.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from PIL import Image, ImageDraw

from curate.data.embedded_media import make_data_uri

COLOURS = {
    "red": (214, 40, 40), "green": (36, 160, 64), "blue": (44, 72, 214),
    "yellow": (232, 204, 44), "purple": (150, 50, 160), "black": (30, 30, 30),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "cross")
PLURALS = {"circle": "circles", "square": "squares", "triangle": "triangles", "cross": "crosses"}
FAMILIES = ("count", "colour", "position", "relation")
NUMBERS = ("one", "two", "three", "four")
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
SIDE, CELL = 3, 16  # cells of a picture, and pixels of a cell
DIRECTIONS = {"above": (-1, 0), "below": (1, 0), "left": (0, -1), "right": (0, 1)}

Kind = tuple[str, str]
"""Colour and shape."""

KINDS: tuple[Kind, ...] = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
KEPT_BACK: tuple[Kind, ...] = (
    ("red", "cross"),
    ("blue", "triangle"),
    ("yellow", "circle"),
    ("black", "square"),
)
SHOWN: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in KEPT_BACK)

Scene = dict[tuple[int, int], Kind]
"""What stands in which cell (row, column)."""


@dataclass(frozen=True, slots=True)
class Question:
    """A scene with captions, of which one is right.

    Attributes:
        family: What the captions differ in.
        scene: The scene.
        captions: The captions.
        right: Number of the right one.
    """

    family: str
    scene: Scene
    captions: tuple[str, ...]
    right: int


def ask_question(
    rng: Random, family: str, *, kinds: Sequence[Kind] = SHOWN, n: int = 4, held_out: bool = False
) -> Question:
    """Make a question.

    Args:
        rng: Random numbers.
        family: What its captions differ in.
        kinds: What the captions may speak of; other things in the picture are of kinds that the training shows.
        n: Number of captions, at most 4.
        held_out: Whether its scene is one to measure with, or one to learn from.
    """
    while True:
        question = _draw_question(rng, family, kinds, n)
        if is_held_out(question.scene) == held_out:
            return question


def is_held_out(scene: Scene) -> bool:
    """Tell whether a scene is of the tenth that nothing is trained on, by a hash of what stands where."""
    return zlib.crc32(repr(sorted(scene.items())).encode()) % 10 == 0


def _draw_question(rng: Random, family: str, kinds: Sequence[Kind], n: int) -> Question:
    subject, right = rng.choice(kinds), rng.randrange(n)
    if family == "count":
        numbers = rng.sample(range(1, len(NUMBERS) + 1), n)
        captions = [describe_count(number, subject) for number in numbers]
        scene = scatter(rng, [subject] * numbers[right])
        others = [kind for kind in SHOWN if kind != subject]
    elif family == "colour":
        alike = [kind for kind in SHOWN if kind[1] == subject[1] and kind != subject]
        choices = rng.sample([subject, *rng.sample(alike, n - 1)], n)
        captions = [describe_colour(kind) for kind in choices]
        scene = scatter(rng, [choices[right]])
        others = [kind for kind in SHOWN if kind[1] != subject[1]]
    elif family == "position":
        cells = rng.sample([(row, column) for row in range(SIDE) for column in range(SIDE)], n)
        captions = [describe_position(subject, cell) for cell in cells]
        scene = {cells[right]: subject}
        others = [kind for kind in SHOWN if kind != subject]
    else:
        other = rng.choice([kind for kind in SHOWN if kind != subject])
        names = rng.sample(list(DIRECTIONS), n)
        captions = [describe_relation(subject, name, other) for name in names]
        scene = relate(rng, subject, names[right], other)
        others = [kind for kind in SHOWN if kind not in (subject, other)]
    return Question(family, fill(rng, scene, others), tuple(captions), right)


def list_facts(scene: Scene) -> dict[str, list[tuple[str, list[str]]]]:
    """List what is true of a scene by family, each with statements that are false in the same words."""
    kinds = list(scene.values())
    single = {kind: cell for cell, kind in scene.items() if kinds.count(kind) == 1}
    shapes = [shape for _, shape in kinds]
    facts: dict[str, list[tuple[str, list[str]]]] = {family: [] for family in FAMILIES}
    for kind in dict.fromkeys(kinds):
        number = kinds.count(kind)
        if number <= len(NUMBERS):
            wrong = [other for other in range(1, len(NUMBERS) + 1) if other != number]
            facts["count"].append(
                (describe_count(number, kind), [describe_count(other, kind) for other in wrong])
            )
        if shapes.count(kind[1]) == 1:
            others = [other for other in SHOWN if other[1] == kind[1] and other != kind]
            facts["colour"].append((describe_colour(kind), list(map(describe_colour, others))))
    for kind, cell in single.items():
        others = [(row, column) for row in range(SIDE) for column in range(SIDE) if (row, column) != cell]
        facts["position"].append(
            (describe_position(kind, cell), [describe_position(kind, other) for other in others])
        )
        for other, place in single.items():
            name = name_direction(cell, place)
            if name:
                wrong = [describe_relation(kind, each, other) for each in DIRECTIONS if each != name]
                facts["relation"].append((describe_relation(kind, name, other), wrong))
    return facts


def name_direction(cell: tuple[int, int], other: tuple[int, int]) -> str | None:
    """Name where a cell lies from another one of its row or column; None where it is in neither, or the same."""
    rows, columns = cell[0] - other[0], cell[1] - other[1]
    if (rows == 0) == (columns == 0):
        return None
    step = (rows > 0) - (rows < 0), (columns > 0) - (columns < 0)
    return next(name for name, direction in DIRECTIONS.items() if direction == step)


def describe_count(number: int, kind: Kind) -> str:
    return f"the number of {kind[0]} {PLURALS[kind[1]]} is {NUMBERS[number - 1]}"


def describe_colour(kind: Kind) -> str:
    return f"the {kind[1]} is {kind[0]}"


def describe_position(kind: Kind, cell: tuple[int, int]) -> str:
    return f"the {' '.join(kind)} is at the {ROWS[cell[0]]} {COLUMNS[cell[1]]}"


def describe_relation(kind: Kind, direction: str, other: Kind) -> str:
    return f"relative to the {' '.join(other)} the {' '.join(kind)} is {direction}"


def scatter(rng: Random, kinds: Sequence[Kind]) -> Scene:
    """Put things into random cells."""
    cells = rng.sample([(row, column) for row in range(SIDE) for column in range(SIDE)], len(kinds))
    return dict(zip(cells, kinds, strict=True))


def relate(rng: Random, kind: Kind, direction: str, other: Kind) -> Scene:
    """Put two things into one row or column, so that one direction holds and no other."""
    rows, columns = DIRECTIONS[direction]
    near, far = sorted(rng.sample(range(SIDE), 2))
    across = rng.randrange(SIDE)
    first, second = (near, far) if rows + columns < 0 else (far, near)
    if rows:
        return {(first, across): kind, (second, across): other}
    return {(across, first): kind, (across, second): other}


def fill(rng: Random, scene: Scene, kinds: Sequence[Kind], most: int = 3) -> Scene:
    """Add up to `most` other things."""
    free = [(row, column) for row in range(SIDE) for column in range(SIDE) if (row, column) not in scene]
    cells = rng.sample(free, min(len(free), rng.randint(0, most)))
    return scene | {cell: rng.choice(kinds) for cell in cells}


def draw_scene(rng: Random, scene: Scene) -> Image.Image:
    """Draw a scene; places, sizes, shades and the background differ a little each time."""
    grey = rng.randint(225, 250)
    image = Image.new("RGB", (SIDE * CELL, SIDE * CELL), (grey, grey, grey))
    draw = ImageDraw.Draw(image)
    for (row, column), (colour, shape) in scene.items():
        size = rng.randint(9, 12)
        x, y = (axis * CELL + rng.randint(1, CELL - size - 1) for axis in (column, row))
        _draw_shape(
            draw,
            shape,
            (x, y, size),
            tuple(min(255, max(0, value + rng.randint(-18, 18))) for value in COLOURS[colour]),
        )
    return image


def draw_blank() -> Image.Image:
    return Image.new("RGB", (SIDE * CELL, SIDE * CELL), (238, 238, 238))


def embed_picture(image: Image.Image) -> str:
    """Return a picture as a `data:` URI."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return make_data_uri(stream.getvalue(), "image/png")


def _draw_shape(draw: Any, shape: str, place: tuple[int, int, int], colour: tuple[int, ...]) -> None:
    x, y, size = place
    end = size - 1
    if shape == "circle":
        draw.ellipse((x, y, x + end, y + end), fill=colour)
    elif shape == "square":
        draw.rectangle((x, y, x + end, y + end), fill=colour)
    elif shape == "triangle":
        draw.polygon([(x + end / 2, y), (x, y + end), (x + end, y + end)], fill=colour)
    else:
        arm = size // 3
        draw.rectangle((x + arm, y, x + end - arm, y + end), fill=colour)
        draw.rectangle((x, y + arm, x + end, y + end - arm), fill=colour)
