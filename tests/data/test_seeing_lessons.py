"""The lessons of a small seeing model: what they say of a scene is true of it, and words alone do not tell."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.scenes import FAMILIES, Scene, ask_question, is_held_out, list_facts
from tests.seeing_lessons import UNLEARNT, Teacher, find_meaning
from tests.seeing_model import build_model

SCENE: Scene = {(0, 0): ("red", "circle"), (1, 2): ("red", "circle"), (2, 1): ("blue", "circle")}


@pytest.mark.parametrize(
    ("colour", "cells", "colours", "number"),
    [
        ("red", {0, 5}, {"red"}, 2),
        ("the", {0, 5, 7}, {"red", "blue"}, 3),
        ("green", set(), set(), 0),
    ],
)
def test_a_noun_means_its_cells_colours_and_number(
    colour: str, cells: set[int], colours: set[str], number: int
) -> None:
    meaning = find_meaning(SCENE, "circle", colour)
    assert {cell for cell in range(9) if meaning[cell]} == cells
    names = ("red", "green", "blue", "yellow", "purple", "black")
    assert {name for name, is_there in zip(names, meaning[9:15], strict=True) if is_there} == colours
    assert meaning[15:] == [float(number >= reached) for reached in (1, 2, 3, 4)]


def test_scenes_to_measure_with_are_not_those_to_learn_from() -> None:
    rng = Random(0)
    for family in FAMILIES:
        for held_out in (False, True):
            scenes = [ask_question(rng, family, held_out=held_out).scene for _ in range(50)]
            assert {is_held_out(scene) for scene in scenes} == {held_out}


def test_the_answers_are_true_of_the_scene_and_words_alone_do_not_tell() -> None:
    processor, _ = build_model(width=16, layers=1, sight=16)
    teacher = Teacher(processor, seed=0)
    words = {number: word for word, number in processor.tokenizer.get_vocab().items()}
    verdicts: dict[str, Counter[str]] = {}
    for _ in range(300):
        question = ask_question(teacher.rng, teacher.rng.choice(FAMILIES))
        true = {fact for facts in list_facts(question.scene).values() for fact, _ in facts}
        row = teacher._write_statements(question)
        start = len(teacher.opening)
        stated: list[str] = []
        right: list[str] = []
        for token, answer, behind in zip(
            row.tokens[start:], row.answers[start - 1 :], row.answers[start:], strict=False
        ):
            word = words[token]
            if word == "<|im_end|>":
                assert " ".join(right) in true
                assert (words[behind] == "yes") == (stated == right)
                verdicts.setdefault(stated[-1], Counter())[words[behind]] += 1
                stated, right = [], []
                continue
            is_given = not stated or answer == UNLEARNT  # before the first word is the last verdict
            right.append(word if is_given else words[answer])
            stated.append(word)
    for counts in verdicts.values():
        if counts.total() > 60:
            assert 0.3 < counts["yes"] / counts.total() < 0.7
