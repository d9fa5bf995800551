"""Rules say what they claim, and hold their tongue where they have nothing to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.data.prompt_constraints import find_constraints
from curate.data.refusals import is_refusal
from curate.engine import Engines, build_chat
from curate.judge import Answer, CandidateResponse, PromptItem, Question
from curate.judge.rule import RuleJudge, RuleOptions
from curate.judge.rules import RULES
from curate.judge.rules.repetition import RepetitionRule

FINE = "The tide rises and falls twice a day because the moon pulls at the sea."
LOOP = "I think that I think that I think that I think that I think that."


def compare(rule: str, a: str, b: str, *, request: str = "Hi", **options: Any) -> Answer:
    candidates = (CandidateResponse("a", a), CandidateResponse("b", b))
    item = PromptItem("p", build_chat(("user", request)), None, candidates)
    judge = RuleJudge(RuleOptions(name="r", kind="rule", rule=rule, **options), Engines({}, Path()))  # type: ignore[arg-type]
    return judge.answer([Question(item, candidates)])[0]


@pytest.mark.parametrize(
    ("rule", "a", "b", "outcome"),
    [
        ("length", "one two three", "one", "a"),
        ("length", "word " * 100, "word " * 103, "tie"),
        ("length", "", "one", "b"),
        ("repetition", LOOP, FINE, "b"),
        ("repetition", FINE, FINE.upper(), "tie"),
        ("repetition", LOOP, "Short.", "abstain"),
        ("refusal", "I'm sorry, but I can't help with that.", FINE, "b"),
        ("refusal", FINE, "I’m sorry, but I cannot assist with this.", "a"),
        ("refusal", FINE, LOOP, "abstain"),
        ("refusal", "As an AI language model, I do not have feelings.", "I cannot answer that.", "abstain"),
        ("format", FINE, LOOP, "abstain"),
    ],
)
def test_rules(rule: str, a: str, b: str, outcome: str) -> None:
    assert compare(rule, a, b).outcome == outcome


@given(st.sampled_from(RULES.names), st.text(max_size=80), st.text(max_size=80))
def test_rules_do_not_care_for_the_order(rule: str, a: str, b: str) -> None:
    flipped = {"a": "b", "b": "a"}
    there, back = compare(rule, a, b), compare(rule, b, a)
    assert flipped.get(there.outcome, there.outcome) == back.outcome
    assert there.p_a is None
    opposite = compare(rule, a, b, reverse=True)
    assert opposite.outcome == back.outcome


@given(st.lists(st.sampled_from("abc"), min_size=12, max_size=40))
def test_repetition_is_the_share_of_repeated_trigrams(words: list[str]) -> None:
    item = PromptItem("p", (), None, ())
    grams = ["".join(words[at : at + 3]) for at in range(len(words) - 2)]
    repeated = sum(gram in grams[:at] for at, gram in enumerate(grams))
    assert RepetitionRule().score_response(item, " ".join(words)) == pytest.approx(-repeated / len(grams))


@pytest.mark.parametrize(
    "text", ["I can help you with that.", "Sorry to hear that! Rest and drink water.", FINE, "I can't wait!"]
)
def test_no_refusal(text: str) -> None:
    assert not is_refusal(text)


KEPT = [
    ("Answer in exactly 3 sentences.", "One. Two! Three?", "One. Two."),
    ("Explain it in one sentence.", "It rains because 2.5 mm fell.", "It rains. A lot."),
    ("Use at most five words.", "Four words are here", "But here are six whole words"),
    ("Write no more than 20 words.", "Short.", "long " * 21),
    ("Give at least 4 words, please, using at least 4 words", "a b c d", "a b c"),
    ("Write about 10 words on rain.", "a b c d e f g h i", "a b c"),
    ("List them with 3 bullet points.", "- a\n- b\n- c", "- a\n- b"),
    ("Reply as JSON.", '```json\n{"a": 1}\n```', "a: 1"),
    ("Return valid JSON only", "[1, 2]", "[1, 2"),
    ("Answer as a numbered list.", "1. a\n2. b", "a, b"),
    ("Write in all lower case.", "quiet rain", "Quiet rain"),
    ("ANSWER IN CAPITAL LETTERS", "RAIN 2", "Rain 2"),
    ("Describe rain without using any commas.", "It is wet and cold", "It is wet, cold"),
    ("Do not use the word 'wet'.", "Rain is wetter", "Rain is WET."),
    ('Include the word "umbrella" somewhere.', "Take an umbrella.", "Take cover."),
    ("Start with 'Dear'.", "Dear friend", "Hello, dear"),
    ("End with 'The end.'", "It rained. The end.", "The end. Or not"),
]


@pytest.mark.parametrize(("request_text", "kept", "broken"), KEPT)
def test_constraints_that_are_spelt_out(request_text: str, kept: str, broken: str) -> None:
    answer = compare("format", kept, broken, request=request_text)
    assert answer.outcome == "a"
    assert answer.score is not None
    assert answer.score > 0
    assert compare("format", kept, kept, request=request_text).outcome == "tie"


@pytest.mark.parametrize(
    "request_text",
    [
        "What is the capital of France?",
        "I have 3 apples and 2 pears. How many is that?",
        "Fix the second sentence of the text: it is in line 3 of the file.",
        "Who wrote the first words of the bible?",
    ],
)
def test_ordinary_requests_hold_no_constraint(request_text: str) -> None:
    assert find_constraints(request_text) == []
