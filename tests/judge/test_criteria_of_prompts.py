"""Criteria that come with the rows of data: whatever they are, they cost one answer and end in time."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from curate.data.rubric import MOST_CRITERIA, Rubric
from curate.engine import build_chat
from curate.engine.base import Failure
from curate.judge.base import CandidateResponse, PromptItem
from curate.judge.rubric_source import RubricSource

SOURCE = RubricSource(meta="criteria")


def find(criteria: Any) -> Rubric | Failure | None:
    item = PromptItem(
        "p",
        build_chat(("user", "Why?")),
        None,
        (CandidateResponse("a", "So."),),
        meta=json.dumps({"criteria": criteria}),
    )
    return SOURCE.find_rubric(item)


@pytest.mark.parametrize(
    ("criteria", "reason"),
    [
        (["x" * 1_000_000], "criteria.0.text.*should have at most 2000 characters"),
        (["the same"] * 20_000, "they are 20,000, and a rubric has 1,000 at most"),
        ([{"text": {"a": [1]}}], "criteria.0.text.*should be a valid string"),
        ([["a"], None], "criteria.0.*should be a valid dictionary"),
        ([{"name": "é", "text": "a"}, {"name": "e\u0301", "text": "b"}], "criteria.0.name"),
        ([{"name": "a", "text": "x"}, {"name": "a", "text": "y"}], "two criteria have the name 'a'"),
        ([{"text": "a", "weight": 1e308}, {"text": "b", "weight": 1e308}], "criteria.0.weight"),
        ([{"text": "a", "examples": ["\ud800"]}], "cannot be read"),
        ([{"text": "a", "reason": "\ud800"}], "cannot be read"),
        ([{"text": "a", "kind": "feature", "feature": "os:system"}], "there is no feature 'os:system'"),
        ([{"nothing": n} for n in range(900)], "… and .* more of such errors"),
        ("always A", "neither a list of criteria nor a rubric"),
    ],
)
def test_criteria_that_are_none_are_one_failure_of_bounded_length(criteria: Any, reason: str) -> None:
    began = time.monotonic()
    found = find(criteria)
    assert isinstance(found, Failure)
    assert found.permanent

    assert re.search(reason, found.reason), found.reason[:500]
    assert len(found.reason) < 20_000
    assert time.monotonic() - began < 5


def test_the_most_criteria_of_one_sentence_have_names_in_time() -> None:
    began = time.monotonic()
    found = find(["The response is short."] * MOST_CRITERIA)
    assert isinstance(found, Rubric)
    assert len({criterion.name for criterion in found.criteria}) == MOST_CRITERIA
    assert time.monotonic() - began < 5
