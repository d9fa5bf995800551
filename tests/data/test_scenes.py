"""The scenes that a small model learns to see: texts alone say nothing about which caption is right."""

from __future__ import annotations

from random import Random

import pytest

from tests.scenes import FAMILIES, KEPT_BACK, SHOWN, ask_question, list_facts


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_picture_says_which_caption_is_right(family: str) -> None:
    rng, places = Random(0), [0] * 4
    for kinds in (SHOWN, KEPT_BACK):
        for _ in range(200):
            question = ask_question(rng, family, kinds=kinds)
            places[question.right] += 1
            true = {fact for fact, _ in list_facts(question.scene)[family]}
            assert question.captions[question.right] in true
            assert true.isdisjoint(
                question.captions[: question.right] + question.captions[question.right + 1 :]
            )
            if kinds is SHOWN:
                words = {" ".join(kind) for kind in KEPT_BACK}
                assert not words & {" ".join(kind) for kind in question.scene.values()}
    assert min(places) > 60  # of 400: each place is right about as often
