"""Perturbed pairs: the words stay, the better response stays the better one."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.core.progress import no_progress
from curate.data.conversation import text_answer
from curate.engine.base import build_chat
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.perturb import (
    dress_in_markdown,
    measure_robustness,
    pad_text,
    perturb_items,
    strip_markdown,
)
from curate.evaluate.verdicts import BASELINES, ItemVerdict

ITEM = BenchmarkItem(
    key="1",
    context=build_chat(("user", "?")),
    responses=tuple(map(text_answer, ("**Good** and long enough.", "Bad. Very bad.", "Bad too."))),
    tiers=(1, 2, 2),
)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


@given(st.text(alphabet=st.sampled_from("ab .!?\n"), max_size=60), st.integers(0, 200))
def test_padding_keeps_the_text_and_reaches_the_length(text: str, length: int) -> None:
    outcome = pad_text(text, length)
    assert len(outcome) >= length
    assert outcome.lstrip().startswith(text.strip())


@given(st.text(alphabet=st.sampled_from("ab .!?\n`"), max_size=60))
def test_markdown_keeps_the_words(text: str) -> None:
    assert words(dress_in_markdown(text)) == ["Answer", *words(text)]


def test_plain_text_has_no_marks() -> None:
    assert strip_markdown("## Title\n\n- **One** thing\n* two\n__three__") == "Title\n\nOne thing\ntwo\nthree"
    assert strip_markdown("a * b * c, 2**3, -1") == "a * b * c, 2**3, -1"
    code = "```python\n# comment\n```"
    assert strip_markdown(code) == code


def test_only_the_side_that_is_named_changes() -> None:
    ((longer,), (dressed,), (bare,), (turned,)) = (
        perturb_items([ITEM], name)
        for name in ("rejected padded", "rejected in markdown", "chosen plain", "order reversed")
    )
    assert longer.texts[0] == dressed.texts[0] == ITEM.texts[0]
    assert all(len(entry) > 1.2 * len(ITEM.texts[0]) for entry in longer.texts[1:])
    assert dressed.texts[1] == "## Answer\n\n- **Bad.**\n- Very bad."
    assert bare.texts == ("Good and long enough.", *ITEM.texts[1:])
    assert (turned.responses, turned.tiers) == (ITEM.responses[::-1], (2, 2, 1))


def test_length_falls_for_padding_and_nobody_for_order() -> None:
    length = BASELINES[0]
    before = length.judge_items([ITEM], track=no_progress)
    outcome = {}
    for name in ("rejected padded", "order reversed"):
        after = length.judge_items(perturb_items([ITEM], name), track=no_progress)
        for score in measure_robustness("length", name, [ITEM], before, after, resamples=0):
            outcome[name, score.metric] = score.estimate.value
    assert outcome == {
        ("rejected padded", "accuracy"): 0.0,
        ("rejected padded", "kept"): 0.0,
        ("order reversed", "accuracy"): 1.0,
        ("order reversed", "kept"): 1.0,
    }


def test_what_was_wrong_before_is_not_kept() -> None:
    before, after = ItemVerdict(np.array([0.0, 1.0, -1.0])), ItemVerdict(np.array([1.0, 0.0, 2.0]))
    scores = measure_robustness("m", "chosen plain", [ITEM], [before], [after], resamples=0)
    assert [(entry.metric, entry.estimate.value, entry.estimate.n) for entry in scores] == [
        ("accuracy", pytest.approx(0.5), 2),
        ("kept", 0.0, 1),
    ]
