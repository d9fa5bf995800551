"""Likeness to the reference: against sacrebleu itself and against cosines; silence where there is no reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from curate.config.validation import validate_options
from curate.core.errors import CurateError
from curate.engine import Engines, build_chat
from curate.judge import Answer, CandidateResponse, PromptItem, Question
from curate.judge.reference import (
    Reference,
    ReferenceOptions,
    compute_greedy_f1,
    compute_rouge_l,
    measure_regularity,
    split_sentences,
)

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
    candidates = (CandidateResponse("a", a), CandidateResponse("b", b))
    item = PromptItem("p", build_chat(("user", "Where did the cat sit?")), reference, candidates)
    return judge.answer([Question(item, candidates)])[0]


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


def test_sentences_are_matched_wherever_they_stand(tmp_path: Path) -> None:
    options = {"metric": "sentences", "engine": "letters", "reference": "Aaa bbb. Xyz zyx."}
    assert compare(tmp_path, "Xyz zyx.\nAaa bbb.", "Aaa bbb.", **options).outcome == "a"
    assert split_sentences(" One. Two?\n\nThree ") == ["One.", "Two?", "Three"]
    assert split_sentences("") == [""]


def test_greedy_matching_by_hand() -> None:
    left, right = np.eye(3, dtype=np.float32)[:2], np.eye(3, dtype=np.float32)[:1]
    assert compute_greedy_f1(left, right) == pytest.approx(2 * 0.5 * 1 / 1.5)  # precision ½, recall 1
    assert compute_greedy_f1(left, -right) == 0.0


words = st.lists(st.sampled_from("abcd"), max_size=8)


@given(words, words)
def test_rouge_l_against_all_subsequences(said: list[str], wanted: list[str]) -> None:
    def subsequences(of: list[str]) -> set[tuple[str, ...]]:
        found: set[tuple[str, ...]] = {()}
        for each in of:
            found |= {(*begin, each) for begin in found}
        return found

    longest = max(map(len, subsequences(said) & subsequences(wanted)))
    total = len(said) + len(wanted)
    expected = 2 * longest / total if total else 0.0
    assert compute_rouge_l(" ".join(said).upper(), " ".join(wanted)) == pytest.approx(expected)


def test_rouge_l_of_the_paper() -> None:
    """Lin 2004, section 3.1: S2 shares three words in order with S1, S3 two."""
    target = "police killed the gunman"
    assert compute_rouge_l("police kill the gunman", target) == pytest.approx(0.75)
    assert compute_rouge_l("the gunman kill police", target) == pytest.approx(0.5)


def test_brevity_and_repetition_cost(tmp_path: Path) -> None:
    assert measure_regularity("", enough=10) == 0.0
    assert measure_regularity("one two three four five", enough=10) == pytest.approx(0.5)
    assert measure_regularity("one two three four five", enough=5) == 1.0
    assert measure_regularity("so it is " * 10, enough=5) == pytest.approx(3 / 28)
    options = {"metric": "rouge-l", "regularized": True, "enough": 8}
    parrot = f"{REFERENCE} " * 9
    assert compare(tmp_path, NEAR, parrot, **options).outcome == "a"
    assert compare(tmp_path, NEAR, "cat", **options).outcome == "a"


def test_no_reference_no_opinion(tmp_path: Path) -> None:
    answer = compare(tmp_path, NEAR, FAR, reference=None)
    assert answer.outcome == "abstain"
    assert answer.raw == "the prompt has no reference"


def test_an_engine_is_for_embeddings_only() -> None:
    for options in ({"metric": "embedding"}, {"metric": "bleu", "engine": "letters"}):
        with pytest.raises(CurateError, match="`engine` is needed for metric: embedding, tokens, sentences"):
            validate_options(ReferenceOptions, {"name": "r", "kind": "reference"} | options, where="judge")


def test_tokens_match_greedily(tmp_path: Path) -> None:
    """BERTScore's F1, against its definition token by token; an empty answer is like nothing."""
    (tmp_path / "words.py").write_text(
        EMBEDDER.replace('{"embed"}', '{"embed-tokens"}').replace(
            "    def embed(",
            "    def embed_tokens(self, texts):\n"
            "        return [self.embed(t.split()) if t else np.zeros((0, 26), np.float32) for t in texts]\n"
            "    def embed(",
        )
    )
    engines = Engines({"words": {"kind": "./words.py:Letters"}}, tmp_path)
    judge = Reference(
        ReferenceOptions(name="r", kind="reference", metric="tokens", engine="words", tie=0.0), engines
    )
    candidates = (CandidateResponse("a", NEAR), CandidateResponse("b", ""))
    item = PromptItem("p", build_chat(("user", "?")), REFERENCE, candidates)
    (answer,) = judge.answer([Question(item, candidates)])
    vectors = [engines.get("words").embed(text.split()) for text in (NEAR, REFERENCE)]
    best = [[max(float(u @ v) for v in other) for u in one] for one, other in (vectors, vectors[::-1])]
    precision, recall = (sum(each) / len(each) for each in best)
    assert answer.score == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-5)
