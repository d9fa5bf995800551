"""Likeness to the reference: against sacrebleu itself and against cosines; silence where there is no reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from curate.config import explain
from curate.engine import Engines, chat
from curate.judge import Answer, Candidate, Contest, Question
from curate.judge.reference import Reference, ReferenceOptions

REFERENCE = "The cat sat on the mat and looked at the rain."
NEAR, FAR = "The cat sat on the mat and watched the rain.", "Taxes are due in spring."
EMBEDDER = '''
import numpy as np
from curate.engine import ConfiguredEngine

class Letters(ConfiguredEngine):
    """Counts of letters, as unit vectors."""
    capabilities = frozenset({"embed"})
    revision = "letters"
    asked = 0
    def embed(self, texts):
        type(self).asked += len(texts)
        counts = np.array([[t.lower().count(c) + 1e-9 for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
'''


def compare(folder: Path, a: str, b: str, *, reference: str | None = REFERENCE, **options: Any) -> Answer:
    (folder / "letters.py").write_text(EMBEDDER)
    engines = Engines({"letters": {"kind": "./letters.py:Letters"}}, folder)
    judge = Reference(ReferenceOptions(name="r", kind="reference", **options), engines)
    candidates = (Candidate("a", a), Candidate("b", b))
    contest = Contest("p", chat(("user", "Where did the cat sit?")), reference, candidates)
    return judge.answer([Question(contest, candidates)])[0]


@pytest.mark.parametrize(
    ("metric", "measure"), [("bleu", sacrebleu.sentence_bleu), ("chrf", sacrebleu.sentence_chrf)]
)
def test_the_score_is_the_difference_of_the_metric(tmp_path: Path, metric: str, measure: Any) -> None:
    expected = measure(NEAR, [REFERENCE]).score - measure(FAR, [REFERENCE]).score
    there, back = compare(tmp_path, NEAR, FAR, metric=metric), compare(tmp_path, FAR, NEAR, metric=metric)
    assert (there.outcome, back.outcome) == ("a", "b")
    assert there.score == pytest.approx(expected, abs=1e-5)
    assert back.score == pytest.approx(-expected, abs=1e-5)
    assert there.p_a is None
    assert compare(tmp_path, NEAR, NEAR, metric=metric).outcome == "tie"
    assert compare(tmp_path, NEAR, FAR, metric=metric, tie=100).outcome == "tie"


def test_embeddings(tmp_path: Path) -> None:
    options = {"metric": "embedding", "engine": "letters"}
    assert compare(tmp_path, FAR, NEAR, **options).outcome == "b"
    relevant = compare(tmp_path, "the cat did sit where", "zzz", reference=None, against="request", **options)
    assert relevant.outcome == "a"


def test_no_reference_no_opinion(tmp_path: Path) -> None:
    answer = compare(tmp_path, NEAR, FAR, reference=None)
    assert answer.outcome == "abstain"
    assert answer.raw == "the prompt has no reference"


def test_an_engine_is_for_embeddings_only() -> None:
    from pydantic import ValidationError

    for options in ({"metric": "embedding"}, {"metric": "bleu", "engine": "letters"}):
        with pytest.raises(ValidationError) as caught:
            ReferenceOptions.model_validate({"name": "r", "kind": "reference"} | options)
        assert "`engine` is needed for metric: embedding" in explain(caught.value, ReferenceOptions, "judge")
