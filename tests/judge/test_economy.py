"""What is asked of whom, what it may cost, and what is kept when it ends early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.judge import Panel, estimate_cost, judge_responses
from curate.judge.budget import Budget
from curate.judge.configured import ConfiguredJudge
from curate.judge.plan import Plan, make_plan
from curate.lake.lake import Lake
from curate.lake.status import read_status

MakeConfig = Callable[[str], Config]
PAIRS = 12 * 6  # of sample_lake


def yaml(*judges: str, engine: str = "", section: str = "") -> str:
    listed = "".join(f"    - {{{each}}}\n" for each in judges)
    return (
        f'engines:\n  m: {{kind: "./scripted.py:Scripted"{engine and ", "}{engine}}}\n'
        f"judge:\n  chunk: 5\n{section}  judges:\n{listed}"
    )


LLM = "name: llm, kind: pairwise, engine: m"
LONG = "name: long, kind: rule, rule: length"


def asked(folder: Path) -> int:
    log = folder / "asked.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def rows(lake: Lake, name: str) -> int:
    return int(lake.value("SELECT count(*) FROM judgments WHERE annotator_id = ?", [name]))


# What is asked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pairs", ["round-robin", "swiss", "active"])
def test_so_many_pairs_of_each_prompt(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path, pairs: str
) -> None:
    config = make_config(yaml(f"{LLM}, pairs: {pairs}, max_pairs: 3", engine="favourite: explain"))
    judge_responses(sample_lake, config)
    per_prompt = (
        "SELECT DISTINCT count(DISTINCT (response_a, response_b)), count(*) FROM judgments "
        "WHERE annotator_id = 'llm' GROUP BY prompt_id"
    )
    assert sample_lake.rows(per_prompt) == [(3, 6)]
    assert judge_responses(sample_lake, config).skipped
    assert asked(tmp_path) == 12 * 3 * 2
    judge_responses(sample_lake, make_config(yaml(f"{LLM}, pairs: all", engine="favourite: explain")))
    assert asked(tmp_path) == 2 * PAIRS  # the rest; which pairs are asked changes no revision


def test_rounds_do_not_retry_what_failed_in_the_same_run(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(yaml(f"{LLM}, pairs: swiss, max_pairs: 4", engine="fail: Question 7"))
    judge_responses(sample_lake, config)
    assert asked(tmp_path) == 12 * 4 * 2
    judge_responses(sample_lake, config)
    assert asked(tmp_path) == 12 * 4 * 2 + 8


def test_max_pairs_needs_a_rule(make_config: MakeConfig) -> None:
    with pytest.raises(CurateError, match="say which ones"):
        make_config(yaml(LLM, section="  max_pairs: 3\n"))
    with pytest.raises(CurateError, match=r"judge\.judges\[0\]\.max_pairs` is 3, but all pairs"):
        Panel(make_config(yaml(f"{LLM}, max_pairs: 3")))


def test_a_dear_judge_is_asked_where_cheap_ones_are_uncertain(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    """`length` ties where two answers are of about the same length, and decides all other pairs."""
    cheap = "name: long, kind: rule, rule: length, tie: 0.35"
    config = make_config(yaml(cheap, f"{LLM}, after: [long], uncertain: 0.3"))
    assert (
        judge_responses(sample_lake, config, only=["llm"]).counts.rows_in == 0
    )  # nobody has spoken yet: it waits
    judge_responses(sample_lake, config)
    tied = sample_lake.rows(
        "SELECT response_a, response_b FROM judgments WHERE annotator_id = 'long' AND outcome = 'tie' ORDER BY ALL"
    )
    assert 0 < len(tied) < PAIRS
    again = sample_lake.rows(
        "SELECT DISTINCT response_a, response_b FROM judgments WHERE annotator_id = 'llm' ORDER BY ALL"
    )
    assert again == tied
    assert asked(tmp_path) == 2 * len(tied)
    assert judge_responses(sample_lake, config).skipped
    with pytest.raises(CurateError, match=r"after` names 'llm', which is no judge before it"):
        Panel(make_config(yaml(f"{LONG}, after: [llm]", LLM)))


def test_only_the_first_prompts(sample_lake: Lake, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(yaml(LLM))
    first = judge_responses(sample_lake, config, limit=3)
    assert asked(tmp_path) == 3 * 12
    assert "108 questions are left (llm 108)" in first.note
    assert not judge_responses(sample_lake, config).note
    assert asked(tmp_path) == 2 * PAIRS


# What it costs ----------------------------------------------------------------------------------------------

PRICED = "price_in: 10, price_out: 10"


def test_a_dry_run_sends_nothing_and_is_right(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(yaml(LLM, LONG, engine=PRICED))
    snapshot = sample_lake.snapshot()
    llm, long = estimate_cost(sample_lake, config)
    assert asked(tmp_path) == 0
    assert sample_lake.snapshot() == snapshot
    assert (llm.questions, llm.calls, llm.counted) == (2 * PAIRS, 2 * PAIRS, False)
    assert (long.questions, long.calls, long.cost) == (PAIRS, 0, 0.0)
    summary = judge_responses(sample_lake, config)
    assert summary.counts.tokens_in < llm.tokens_in  # the script counts the user's turn alone
    assert llm.cost == pytest.approx(llm.tokens_in * 10 / 1e6)
    recorded = sample_lake.value("SELECT sum(cost) FROM runs WHERE part = 'llm'")
    assert recorded == pytest.approx(summary.counts.tokens_in * 10 / 1e6)
    assert [each.questions for each in estimate_cost(sample_lake, config)] == [0, 0]


def test_a_dry_run_counts_with_the_tokenizer_of_the_engine(
    sample_lake: Lake, make_config: MakeConfig, make_model: Callable[..., Path]
) -> None:
    text = yaml(LLM).replace('"./scripted.py:Scripted"', f"transformers, model: {make_model()}")
    config = make_config(text)
    (llm,) = estimate_cost(sample_lake, config, limit=2)
    summary = judge_responses(sample_lake, config, limit=2)
    assert llm.counted
    assert (llm.questions, llm.cost) == (24, None)
    assert llm.tokens_in == pytest.approx(summary.counts.tokens_in, rel=0.02)


def test_a_dry_run_says_what_may_come_at_most(sample_lake: Lake, make_config: MakeConfig) -> None:
    config = make_config(yaml(LONG, f"{LLM}, after: [long], pairs: swiss, max_pairs: 3"))
    _, llm = estimate_cost(sample_lake, config)
    assert (llm.questions, llm.at_most) == (12 * 3 * 2, True)


@pytest.mark.parametrize("limit", ["max_cost", "max_tokens"])
def test_a_budget_is_kept_and_the_next_run_goes_on(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path, limit: str
) -> None:
    free = estimate_cost(sample_lake, make_config(yaml(LLM, engine=PRICED)))[0]
    budget = {"max_cost": free.cost, "max_tokens": free.tokens_in}[limit] or 0
    config = make_config(
        yaml(LLM, LONG, engine=PRICED, section=f"  {limit}: {round(budget / 2, 6)}\n".replace(".0\n", "\n"))
    )
    first = judge_responses(sample_lake, config)
    counts = first.counts
    spent = counts.cost if limit == "max_cost" else counts.tokens_in
    assert 0 < spent <= budget / 2
    assert asked(tmp_path) in (60, 72)
    assert rows(sample_lake, "long") == PAIRS  # a rule costs nothing
    assert limit in first.note
    assert "run it again to go on" in first.note
    for _ in range(2):
        judge_responses(sample_lake, config)
    assert asked(tmp_path) == 2 * PAIRS
    assert judge_responses(sample_lake, config).skipped


def test_too_small_a_budget_asks_nothing(sample_lake: Lake, make_config: MakeConfig, tmp_path: Path) -> None:
    summary = judge_responses(sample_lake, make_config(yaml(LLM, section="  max_tokens: 10\n")))
    assert asked(tmp_path) == 0
    assert "144 questions are left" in summary.note
    assert not summary.skipped


def test_after_a_refusal_no_other_engine_is_planned_for(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[str] = []

    def noted(lake: Lake, panel: Panel, configured: ConfiguredJudge, *rest: Any, **also: Any) -> Plan:
        planned.append(configured.name)
        return make_plan(lake, panel, configured, *rest, **also)

    monkeypatch.setattr("curate.judge.stage.make_plan", noted)
    monkeypatch.setattr("curate.judge.stage.finish_judges", lambda *_, **__: (0, {}))
    judges = (LLM, LONG, LLM.replace("llm", "other"))
    judge_responses(sample_lake, make_config(yaml(*judges, section="  max_tokens: 10\n")))
    assert planned == ["llm", "long"]
    assert asked(tmp_path) == 0
    assert rows(sample_lake, "long") == PAIRS


def test_a_limit_on_cost_needs_prices(sample_lake: Lake, make_config: MakeConfig) -> None:
    with pytest.raises(CurateError, match="engine 'm' of judge 'llm' states no price"):
        judge_responses(sample_lake, make_config(yaml(LLM, section="  max_cost: 1\n")))


def test_budget() -> None:
    budget = Budget(max_tokens=100)
    assert budget.begin_chunk("free", 5) == ""
    budget.drop_chunks("free")
    budget.set_estimate("dear", 10, 60, 0.0)
    assert budget.begin_chunk("dear", 10) == ""
    budget.add_spending("dear", 10, 56, 0.0)
    assert "max_tokens 100 (56 taken)" in budget.begin_chunk("dear", 10)
    assert "56 taken" in budget.refusal
    assert budget.begin_chunk("dear", 3) == ""
    assert "tokens/s" in budget.progress_note


# When it ends early ------------------------------------------------------------------------------------------

MORTAL = """
from scripted import Scripted

class Mortal(Scripted):
    lives = {lives}

    def close(self):
        Mortal.lives += {revived}

    def choose(self, requests):
        Mortal.lives -= 1
        if Mortal.lives < 0:
            raise ConnectionError("the engine's process is gone")
        return super().choose(requests)
"""


def test_an_engine_that_dies_is_opened_anew_once(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "scripted", raising=False)
    (tmp_path / "mortal.py").write_text(MORTAL.format(lives=1, revived=99))
    text = yaml(LLM).replace("./scripted.py:Scripted", "./mortal.py:Mortal")
    assert judge_responses(sample_lake, make_config(text)).counts.rows_kept == 2 * PAIRS
    assert asked(tmp_path) == 2 * PAIRS


def test_an_engine_that_stays_dead_is_reported_and_what_was_judged_is_kept(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "scripted", raising=False)
    (tmp_path / "mortal.py").write_text(MORTAL.format(lives=1, revived=0))
    text = yaml(LLM).replace("./scripted.py:Scripted", "./mortal.py:Mortal")
    with pytest.raises(
        CurateError, match=r"ConnectionError.*Opening the engine anew \(m\) did not help.*is kept"
    ):
        judge_responses(sample_lake, make_config(text))
    assert rows(sample_lake, "llm") == 60


SLOW = """
import time
from scripted import Scripted

class Slow(Scripted):
    def choose(self, requests):
        (self._log.parent / "begun").touch()
        time.sleep(1.5)
        return super().choose(requests)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from curate.cli.app import main; main()", "judge"]
    path = f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, stdout=pipe, stderr=pipe, text=True
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.e2e
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_finishes_the_chunk_in_flight_and_a_second_one_drops_it(
    sample_lake: Lake, make_config: MakeConfig, tmp_path: Path, presses: int
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    text = yaml(LLM).replace("./scripted.py:Scripted", "./slow.py:Slow")
    config = make_config("workspace: .\n" + text)
    sample_lake.close()
    process = start(tmp_path)
    wait_for(tmp_path / "begun", process)
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
        time.sleep(0.4)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "finishing the chunk in flight" in err
    assert "run the same command to go on" in " ".join(err.split())
    assert "Traceback" not in err
    with Lake.open(config.location) as lake:
        assert rows(lake, "llm") == (60 if presses == 1 else 0)
        assert read_status(lake).reconciles
        left = 2 * PAIRS - rows(lake, "llm")
        assert judge_responses(lake, make_config("workspace: .\n" + yaml(LLM))).counts.rows_kept == left


# What status says --------------------------------------------------------------------------------------------


def test_status_by_judge(sample_lake: Lake, make_config: MakeConfig) -> None:
    config = make_config(yaml(LLM, LONG, engine=f"fail: Question 7, {PRICED}"))
    summary = judge_responses(sample_lake, config)
    found = read_status(sample_lake)
    llm, long = found.judges.to_dicts()
    assert (llm["judge"], llm["answered"], llm["failed"], llm["open"]) == ("llm", 2 * PAIRS - 12, 12, 12)
    assert llm["tokens_in"] == summary.counts.tokens_in
    assert llm["cost"] == pytest.approx(summary.counts.cost)
    assert (long["answered"], long["failed"], long["open"], long["cost"]) == (PAIRS, 0, 0, 0.0)
    assert found.failures.to_dicts() == [{"judge": "llm", "reason": "time-out", "failed": 12}]
    assert json.dumps(found.judges.to_dicts())


def test_ratings_and_lists_become_rows(sample_lake: Lake, make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "forms.py").write_text(
        "from curate.judge.base import Answer, Judge, ask_each_response, ask_shuffled_lists, from_rating\n"
        "class Rater(Judge):\n"
        "    def questions(self, item): return ask_each_response(item)\n"
        "    def answer(self, questions): return [from_rating(-len(q.a.text), sd=1.0) for q in questions]\n"
        "class Lister(Judge):\n"
        "    def questions(self, item): return ask_shuffled_lists(item, samples=2, size=9)\n"
        "    def answer(self, questions):\n"
        "        return [Answer(outcome='a', scores=tuple(-float(len(c.text)) for c in q.asked)) for q in questions]\n"
    )
    config = make_config(
        yaml("name: rater, kind: './forms.py:Rater'", "name: lister, kind: './forms.py:Lister'")
    )
    summary = judge_responses(sample_lake, config)
    assert summary.counts.rows_kept == 12 * 4 + 12 * 2
    query = (
        "SELECT form, count(*), count(response_a), count(response_b), count(score), count(score_sd), "
        "count(listed), count(scores), any_value(len(scores)) FROM judgments WHERE revision <> 'imported' "
        "GROUP BY form ORDER BY form"
    )
    assert sample_lake.rows(query) == [
        ("listwise", 24, 0, 0, 0, 0, 24, 24, 4),
        ("pointwise", 48, 48, 0, 48, 48, 0, 0, None),
    ]
    assert judge_responses(sample_lake, config).skipped
