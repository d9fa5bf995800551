"""What is no judgment never reaches the lake as one: whatever gave it, it is a failed row that says why."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.engine import Engines, build_chat
from curate.judge import Answer, CandidateResponse, Panel, PromptItem, Question, judge_responses
from curate.judge.base import from_margin, from_probability, from_rating
from curate.judge.reward_model import RewardModelJudge, RewardModelOptions
from curate.judge.runner import run_judge
from curate.judge.validity import check_answer
from curate.lake.lake import Lake

MakeConfig = Callable[[str], Config]
A, B, C = (CandidateResponse(name, name.upper()) for name in "abc")
CONTEST = PromptItem("p", build_chat(("user", "?")), None, (A, B, C))
PAIR = Question(CONTEST, (A, B))
ONE = Question(CONTEST, (A,), form="pointwise")
LIST = Question(CONTEST, (C, A, B), form="listwise")
NONE = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("value", NONE)
def test_what_is_no_number_is_a_failure_and_not_a_vote(value: float) -> None:
    for answer in (
        from_probability(value, raw="said", tokens_in=3),
        from_probability(value, tie=0.5),
        from_margin(value),
        from_margin(value, tie=9.0),
        from_rating(value, raw="said"),
    ):
        assert (answer.outcome, answer.p_a, answer.score, answer.score_sd) == ("failed", None, None, None)
        assert "not a finite number" in (answer.raw or "")
    assert from_probability(value, raw="said", tokens_in=3).tokens_in == 3
    assert (from_probability(value, raw="said").raw or "").endswith("\nsaid")
    assert from_probability(1.0000001).p_a == 1.0  # the last bits' noise is none


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        (PAIR, Answer(outcome="a", p_a=1.7), "`p_a` is 1.7, and not between 0 and 1"),
        (PAIR, Answer(outcome="a", p_a=math.nan), "`p_a` is nan, and not a finite number"),
        (PAIR, Answer(outcome="a", p_a="0.7"), "`p_a` is '0.7', and not a finite number"),  # type: ignore[arg-type]
        (PAIR, Answer(outcome="a", p_a=True), "`p_a` is True"),
        (PAIR, Answer(outcome="a", score=math.inf), "`score` is inf"),
        (PAIR, Answer(outcome="a", score=10**400), "`score` is 1000"),
        (PAIR, Answer(outcome="x"), "the outcome is 'x', and not one of a, b, tie, abstain, failed"),  # type: ignore[arg-type]
        (PAIR, Answer(outcome=None), "the outcome is None"),  # type: ignore[arg-type]
        (PAIR, Answer(outcome=["a"]), "the outcome is ['a']"),  # type: ignore[arg-type]
        (PAIR, Answer(outcome="b", p_a=0.9), "`outcome` is 'b', but `p_a` = 0.9 says the opposite"),
        (PAIR, Answer(outcome="abstain", p_a=0.9), "`outcome` is 'abstain', but `p_a` is 0.9"),
        (PAIR, Answer(outcome="a", raw={"p": 1}), "`raw` is {'p': 1}, and not a text"),  # type: ignore[arg-type]
        (PAIR, Answer(outcome="a", tokens_in=2**70), "`tokens_in` is 1180591620717411303424"),
        (PAIR, Answer(outcome="a", tokens_out=1.5), "`tokens_out` is 1.5"),  # type: ignore[arg-type]
        (ONE, Answer(outcome="b", score=1.0), "the outcome is 'b', but a pointwise judgment has"),
        (ONE, Answer(outcome="a"), "there is no `score`"),
        (ONE, Answer(outcome="a", score=1.0, score_sd=-1.0), "`score_sd` is -1, below 0"),
        (ONE, Answer(outcome="a", score=1.0, score_sd=math.nan), "`score_sd` is nan"),
        (LIST, Answer(outcome="a"), "there are neither `scores` nor a `ranking`"),
        (LIST, Answer(outcome="a", scores=(1.0, 2.0)), "`scores` has to hold 3 numbers"),
        (LIST, Answer(outcome="a", scores=(1.0, math.nan, 2.0)), "a score is nan"),
        (LIST, Answer(outcome="a", scores=(1.0, None, 2.0)), "a score is None"),  # type: ignore[arg-type]
        (LIST, Answer(outcome="a", ranking=("a", "b", "z")), "`ranking` has to name each response"),
        (LIST, Answer(outcome="a", ranking=("a", "b", "b")), "`ranking` has to name each response"),
        (
            LIST,
            Answer(outcome="a", scores=(3.0, 2.0, 1.0), ranking=("b", "a", "c")),
            "`ranking` contradicts `scores`",
        ),
    ],
)
def test_an_answer_that_is_no_judgment_has_failed(question: Question, answer: Answer, reason: str) -> None:
    found = check_answer(question, answer)
    assert (found.outcome, found.p_a, found.score, found.scores, found.ranking) == (
        "failed",
        None,
        None,
        None,
        None,
    )
    assert (found.raw or "").startswith(f"no judgment: {reason}")
    assert found.tokens_in >= 0


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (PAIR, Answer(outcome="a", p_a=0.7, score=1.5, raw="said", tokens_in=3)),
        (PAIR, Answer(outcome="tie", p_a=0.6)),
        (PAIR, Answer(outcome="abstain", raw="…")),
        (PAIR, Answer(outcome="failed", raw="time-out")),
        (ONE, Answer(outcome="a", score=3.0, score_sd=0.0)),
        (LIST, Answer(outcome="a", scores=(1.0, 1.0, 2.0), ranking=("b", "a", "c"))),
        (LIST, Answer(outcome="a", ranking=("b", "a", "c"))),
    ],
)
def test_a_judgment_stays_as_it_is(question: Question, answer: Answer) -> None:
    assert check_answer(question, answer) == answer


def test_a_judgment_is_made_storable() -> None:
    found = check_answer(PAIR, Answer(outcome="a", p_a=np.float32(0.75), score=1, raw="a\ud800b"))  # type: ignore[arg-type]
    assert (found.outcome, found.p_a, found.score, found.raw) == ("a", 0.75, 1.0, "a?b")
    assert type(found.p_a) is float


@pytest.mark.parametrize("tie_band", [0.0, 0.01])
def test_a_reward_that_is_no_number_fails_alone(tmp_path: Path, tie_band: float) -> None:
    (tmp_path / "rewards.py").write_text(
        "from curate.engine import ConfiguredEngine\nfrom curate.engine.base import Score\n"
        "class Rewards(ConfiguredEngine):\n"
        "    capabilities = frozenset({'score'})\n    revision = '1'\n"
        "    def score(self, chats):\n"
        "        values = {'A': 1.0, 'B': float('nan'), 'C': 0.0, 'D': float('inf')}\n"
        "        return [Score(values[chat[-1].content[0].text], 1) for chat in chats]\n"
    )
    engines = Engines({"rm": {"kind": "./rewards.py:Rewards"}}, tmp_path)
    options = RewardModelOptions(name="rm", kind="reward-model", engine="rm", tie_band=tie_band)
    made = RewardModelJudge(options, engines)
    item = PromptItem("p", build_chat(("user", "?")), None, (A, B, C, CandidateResponse("d", "D")))
    questions = list(made.questions(item))
    found = {
        "".join(response.text for response in question.asked): check_answer(question, answer).outcome
        for question, answer in zip(questions, made.answer(questions), strict=True)
    }
    if not tie_band:  # then it rates the responses, and pairs follow from the ratings
        assert found == {"A": "a", "B": "failed", "C": "a", "D": "failed"}
        return
    assert found == {
        "AB": "failed",
        "AC": "a",
        "AD": "failed",
        "BC": "failed",
        "BD": "failed",
        "CD": "failed",
    }


CUSTOM = """
from curate.judge.base import Answer, Judge

class Odd(Judge):
    kind = "rule"
    def answer(self, questions):
        odd = [
            Answer(outcome="a", p_a=1.7),
            Answer(outcome="x"),
            Answer(outcome="b", p_a=0.9, raw="why not"),
            Answer(outcome="a", p_a=float("nan")),
            Answer(outcome="a", tokens_in=2**70),
            Answer(outcome="a", p_a=0.75, raw="a\\ud800b"),
        ]
        return [odd[number % len(odd)] for number in range(len(questions))]
"""


def test_a_judge_of_ones_own_commits_no_nonsense(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    (tmp_path / "odd.py").write_text(CUSTOM)
    judge_responses(
        sample_lake, make_config("judge: {judges: [{name: odd, kind: './odd.py:Odd', attempts: 1}]}\n")
    )
    rows = sample_lake.rows("SELECT outcome, p_a, raw FROM judgments WHERE annotator_id = 'odd'")
    assert len(rows) == 72
    assert [row for row in rows if row[0] != "failed"] == [("a", 0.75, "a?b")] * 12
    assert {row[1] for row in rows if row[0] == "failed"} == {None}
    assert {row[2] for row in rows if row[0] == "failed"} == {
        "no judgment: `p_a` is 1.7, and not between 0 and 1",
        "no judgment: the outcome is 'x', and not one of a, b, tie, abstain, failed",
        "no judgment: `outcome` is 'b', but `p_a` = 0.9 says the opposite\nwhy not",
        "no judgment: `p_a` is nan, and not a finite number",
        "no judgment: `tokens_in` is 1180591620717411303424, and no number of tokens",
    }


def test_a_judge_that_gives_no_answers_is_named(tmp_path: Path, make_config: MakeConfig) -> None:
    (tmp_path / "odd.py").write_text(
        "from curate.judge.base import Judge\n"
        "class Odd(Judge):\n    def answer(self, questions):\n        return [0.7] * len(questions)\n"
    )
    config = make_config("judge: {judges: [{name: odd, kind: './odd.py:Odd'}]}\n")
    with (
        Panel(config) as panel,
        pytest.raises(CurateError, match="Judge 'odd' gave a float in place of an Answer"),
    ):
        run_judge(panel.judges["odd"], [PAIR])
