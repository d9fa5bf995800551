"""The library of features, and what the report makes of labels that reward a known thing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.core.errors import CurateError
from curate.data.preference_pairs import read_pairs
from curate.data.rubric import read_rubric
from curate.rubric import FEATURES, FeatureItem, SelectionOptions, TextView, open_features, report_features
from curate.rubric.labelled import convert_pairs, draw_pairs, read_labelled_pairs, take_pairs
from curate.rubric.wording import list_findings
from tests.rubric.samples import make_length_rows, make_pairs, make_rows, run, write_rows

FAST = SelectionOptions(halvings=15, resamples=60)


def measure(name: str, text: str, prompt: str = "What is it?", reference: str | None = None) -> float | None:
    item = FeatureItem(TextView(prompt), TextView(text), None if reference is None else TextView(reference))
    return FEATURES.find(name, where="test", folder=Path()).type().measure(item)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=80))
def test_every_feature_takes_any_text(text: str, prompt: str) -> None:
    item = FeatureItem(TextView(prompt), TextView(text), TextView(prompt[::-1]))
    for feature in FEATURES.registered.values():
        value = feature().measure(item)
        assert value is None or math.isfinite(value)


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("length", "one two three four", "one two"),
        ("paragraphs", "one\n\ntwo\n\nthree", "one two three"),
        ("bullets", "- one\n- two", "one two"),
        ("steps", "1. one\n2. two", "one two"),
        ("markdown", "# Title\n**bold**", "Title bold"),
        ("code", "see\n```\nx = 1\n```", "see x = 1"),
        ("emoji", "good 😀", "good"),
        ("exclamations", "good!", "good."),
        ("unfinished", "and then the boats went out to the sea and", "and then the boats went out to the open sea."),
        ("hedges", "It may perhaps be so.", "It is clearly so, yes."),
        ("boosters", "It is definitely so.", "It is so, I hear."),
        ("flattery", "Great question! It is so.", "A question. It is so."),
        ("apologies", "I'm sorry, it is not.", "It is not, I hear."),
        ("offers", "Let me know what you need.", "That is what you need."),
        ("first-person", "I think that I know.", "They think they know."),
        ("second-person", "You have your boat.", "They have their boat."),
        ("politeness", "Please sit, thank you.", "Sit down over there."),
        ("fillers", "It is important to note that it rains.", "It is raining in the whole town today."),
        ("insults", "That is stupid.", "That is wrong."),
        ("questions", "Is it? Is it so?", "It is. It is so."),
        ("ends-asking", "It is. Is it?", "Is it? It is."),
        ("refusal", "I'm sorry, but I can't help with that.", "Here is how."),
        ("hard-to-read", "Considerable institutional heterogeneity characterises municipal administrations.",
         "The cat sat on the mat and it was fat."),
        ("repetition", "a b c a b c a b c a b c a b c", "a b c d e f g h i j k l m n o"),
        ("examples", "For example, boats.", "That is, boats."),
        ("reasons", "It sinks because it leaks.", "It sinks and it leaks."),
        ("contrasts", "It leaks but floats.", "It leaks and floats."),
        ("cautions", "Be careful with it.", "Be happy with it."),
        ("advice", "You should go there.", "He would go there."),
        ("evidence", "According to a study, yes.", "As they say, yes."),
        ("numbers", "It has 12 boats.", "It has some boats."),
        ("names", "He met Maria in Lisbon.", "He met her in town."),
        ("links", "See https://example.org now", "See the page now"),
        ("quotations", 'He said "come in" to me', "He said come in to me"),
        ("specific", "Fishermen maintain wooden vessels here", "They keep old boats in here"),
        ("on-topic", "It is a harbour boat.", "It is a car."),
        ("new-words", "Wooden vessels carry fish.", "The harbour boat?"),
        ("echo", "what colour is the harbour boat", "it is a blue one you know"),
        ("constraints", "one two three", "one two three four"),
        ("reference-recall", "A blue boat.", "Nothing of it."),
        ("reference-precision", "blue", "blue whales swim far"),
    ],
)  # fmt: skip
def test_features_measure_what_they_are_called(name: str, more: str, less: str) -> None:
    prompt = "What colour is the harbour boat? Answer in exactly 3 words."
    high, low = (measure(name, text, prompt, reference="blue boat") for text in (more, less))
    assert high is not None
    assert low is not None
    assert high > low


def test_every_feature_has_a_sentence_and_is_tested_here() -> None:
    for name, feature in FEATURES.registered.items():
        assert feature.sentence.startswith("The response "), name
        assert feature.sentence.endswith("."), name
        assert feature.more, name
        assert feature.less, name


def test_constraints_say_nothing_without_any() -> None:
    assert measure("constraints", "one two three") is None
    assert measure("reference-recall", "one two three") is None


def test_ideographs_are_words() -> None:
    assert measure("length", "海はとても静かです") == pytest.approx(math.log1p(9))


def test_references_of_a_file_are_read(tmp_path: Path) -> None:
    rows = [{"prompt": "Which?", "chosen": "blue", "rejected": "red", "reference": "blue"}]
    assert convert_pairs(read_pairs(write_rows(tmp_path / "pairs.jsonl", rows))).references == ("blue",)


def test_the_report_names_what_is_rewarded(tmp_path: Path) -> None:
    pairs = read_labelled_pairs(write_rows(tmp_path / "pairs.jsonl", make_rows(120)))
    report = report_features(pairs, open_features([]), FAST)
    (row,) = [row for row in report.selected if row.name == "hedges"]
    assert row.weight is not None
    assert row.weight < 0
    assert report.accuracy["criteria"].value > 0.8
    assert report.gain["length"].low is not None
    assert report.gain["length"].low > 0
    sentences = list_findings(report)
    assert "it hedges less" in sentences[0]
    assert not [sentence for sentence in sentences if "surface features mislead" in sentence]
    assert all(pairs.p_chosen[pair] == 1.0 for pair in row.for_it)


@pytest.mark.parametrize(("sign", "warning"), [(1, "cannot be told from length and format"), (-1, "mislead")])
def test_the_report_warns_of_length_and_of_traps(tmp_path: Path, sign: int, warning: str) -> None:
    pairs = read_labelled_pairs(write_rows(tmp_path / "pairs.jsonl", make_length_rows(120, sign=sign)))
    report = report_features(pairs, open_features([]), FAST)
    assert any(warning in sentence for sentence in list_findings(report)), list_findings(report)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 3))
def test_prompts_are_drawn_whole(prompts: int, most: int, seed: int) -> None:
    pairs = make_pairs(prompts)
    doubled = take_pairs(pairs, np.repeat(np.arange(prompts), 2))
    drawn = draw_pairs(doubled, most, seed=seed)
    assert len(drawn) <= most
    if most >= 2:
        assert set(np.bincount(drawn.prompt)) <= {0, 2}
        assert len(drawn) >= min(len(doubled), most - 1)


def test_ties_alone_reward_nothing(tmp_path: Path) -> None:
    rows = [row | {"confidence": 0.5} for row in make_rows(30)]
    report = report_features(
        read_labelled_pairs(write_rows(tmp_path / "pairs.jsonl", rows)), open_features([]), FAST
    )
    assert report.ties == 30
    assert list_findings(report) == ["All pairs are ties: nothing says what the labels reward."]


def test_the_command_prints_and_writes_a_rubric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_rows(tmp_path / "pairs.jsonl", [*make_rows(60), {"prompt": "no answers"}])
    target = tmp_path / "rubrics" / "mine.yaml"
    code, out, err = run(
        capsys, monkeypatch, "rubric", "features", str(file), "--examples", "1", "--write", str(target)
    )
    assert code == 0, err
    assert "60 pairs of 60 prompts; 1 rows left out: missing key." in out
    assert "won by hedges" in out
    rubric = read_rubric(target)
    assert [criterion.feature for criterion in rubric.criteria] == ["hedges"]
    assert rubric.criteria[0].weight < 0
    assert rubric.criteria[0].reason in out
    code, _, err = run(capsys, monkeypatch, "rubric", "features", str(file), "--write", str(target))
    assert code == 1
    assert "is there already" in err
    code, out, err = run(capsys, monkeypatch, "rubric", "lint", str(target))
    assert code == 0, out + err


def test_the_command_prints_json_with_the_features_of_a_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "from curate.rubric import Feature\n\n\nclass So(Feature):\n    sentence = 'The response says so.'\n"
        "    more = 'says so more'\n\n    def measure(self, item):\n        return item.response.text.count('It g')\n"
    )
    file = write_rows(tmp_path / "pairs.jsonl", make_rows(60))
    monkeypatch.chdir(tmp_path)
    code, out, err = run(
        capsys, monkeypatch, "rubric", "features", str(file), "--feature", "./mine.py:So", "--json"
    )
    assert code == 0, err
    document = json.loads(out)
    (own,) = [row for row in document["evidence"] if row["name"] == "./mine.py:So"]
    assert own["wins"] > 0.8
    assert set(document["accuracy"]) == {"criteria", "surface", "content", "length", "longer", "tempting"}


def test_a_users_feature_that_fails_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from curate.rubric import Feature\n\n\nclass Bad(Feature):\n    sentence = 'The response is bad.'\n"
        "    more = 'is bad'\n\n    def measure(self, item):\n        return 1 / 0\n"
    )
    pairs = read_labelled_pairs(write_rows(tmp_path / "pairs.jsonl", make_rows(3)))
    with pytest.raises(
        CurateError, match=r"The feature \./bad\.py:Bad failed on a response .*division by zero"
    ):
        report_features(pairs, open_features(["length"], own=["./bad.py:Bad"], folder=tmp_path), FAST)


def test_files_without_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match=r"has no preference pairs \(1 missing key\)"):
        read_labelled_pairs(write_rows(tmp_path / "pairs.jsonl", [{"prompt": "x"}]))
