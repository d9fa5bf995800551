"""Planning on a real aggregation of a small lake: budget, strata, and planning again."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.aggregate import aggregate_judgments
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.records import Judgment, arrow_schema
from curate.verify.plan import extend_random_stratum, plan_questions


def read_waiting(lake: Lake) -> pl.DataFrame:
    """The questions that nobody has answered yet, most important first."""
    return lake.frame(read_query("verify_waiting"))


@pytest.fixture
def lake_with_labels(sample_lake: Lake) -> Lake:
    aggregate_judgments(sample_lake, Config())
    return sample_lake


def answer(lake: Lake, person: str, *, wanted: str = "label", verdicts: dict[str, str] | None = None) -> int:
    """`person` answers every waiting question of that purpose, a unless told otherwise by task id."""
    tasks = read_waiting(lake).filter(purpose=wanted).to_dicts()
    rows = [
        Judgment(
            judgment_id=f"{person}-{task['task_id']}",
            prompt_id=task["prompt_id"],
            annotator_id=person,
            kind="human",
            form="pairwise",
            response_a=task["responses"][0],
            response_b=task["responses"][1],
            outcome=(verdicts or {}).get(task["task_id"], "a"),  # type: ignore[arg-type]
            revision="r",
            raw=f'{{"task": "{task["task_id"]}"}}',
            run_id="people",
        ).model_dump()
        for task in tasks
    ]
    with lake.write("people") as writer:
        writer.append("judgments", pa.Table.from_pylist(rows, schema=arrow_schema(Judgment)))
    return len(rows)


def rows(lake: Lake) -> list[tuple[object, ...]]:
    return lake.rows("SELECT * EXCLUDE (run_id) FROM verify_tasks ORDER BY task_id")


def test_the_budget_is_filled_with_a_random_stratum_and_the_rest_by_value(lake_with_labels: Lake) -> None:
    summary = plan_questions(lake_with_labels, Config(), budget=30)
    waiting = read_waiting(lake_with_labels)
    assert waiting.height == 30 == summary.counts.rows_kept
    assert dict(waiting.group_by("strategy").len().iter_rows()) == {"random": 6, "expected-value": 24}
    probability = waiting.filter(strategy="random")["probability"].unique().to_list()
    assert probability == [6 / 72]
    assert waiting.filter(strategy="expected-value")["probability"].null_count() == 24
    assert "10% wrong, with confidence 90%" in summary.note


def test_the_forecast_is_at_the_level_that_aggregation_is_asked_to_guarantee(lake_with_labels: Lake) -> None:
    strict = {"guarantee": {"alpha": 0.05, "delta": 0.2}}
    asked = Config.model_validate({"aggregate": strict})
    assert "5% wrong, with confidence 80%" in plan_questions(lake_with_labels, asked, budget=30).note
    nothing = Config.model_validate({"aggregate": {"guarantee": None}})
    assert "wrong with confidence" not in plan_questions(lake_with_labels, nothing, budget=40).note


def test_planning_again_adds_nothing_until_people_have_answered(lake_with_labels: Lake) -> None:
    plan_questions(lake_with_labels, Config(), budget=30)
    before = rows(lake_with_labels)
    assert plan_questions(lake_with_labels, Config(), budget=30).counts.rows_in == 0
    assert rows(lake_with_labels) == before
    answer(lake_with_labels, "ada")
    assert read_waiting(lake_with_labels).height == 0
    plan_questions(lake_with_labels, Config(), budget=30)
    assert read_waiting(lake_with_labels).height == 30
    tasks = lake_with_labels.rows("SELECT count(*), count(DISTINCT task_id) FROM verify_tasks")[0]
    assert tasks[0] == tasks[1]
    assert {row[0] for row in before} <= {row[0] for row in rows(lake_with_labels)}


def test_one_seed_gives_one_plan(lake_with_labels: Lake) -> None:
    plan_questions(lake_with_labels, Config(), budget=20)
    first = rows(lake_with_labels)
    with lake_with_labels.write("again") as writer:
        writer.delete("verify_tasks", "true")
    plan_questions(lake_with_labels, Config(), budget=20)
    assert rows(lake_with_labels) == first


def test_every_pair_may_be_asked_and_no_more(lake_with_labels: Lake) -> None:
    plan_questions(lake_with_labels, Config(), budget=1000)
    assert read_waiting(lake_with_labels).height == 72


def test_disputes_go_to_an_adjudicator_and_verified_pairs_come_back_as_gold(lake_with_labels: Lake) -> None:
    config = Config.model_validate({"verify": {"quality": {"gold": 0.1, "repeat": 0.1}}})
    plan_questions(lake_with_labels, config, budget=20)
    planned = read_waiting(lake_with_labels)["task_id"].to_list()
    disputed = set(planned[:5])
    tasks = read_waiting(lake_with_labels).to_dicts()
    for person in ("ada", "bob"):
        with lake_with_labels.write(person) as writer:
            writer.append(
                "judgments",
                pa.Table.from_pylist(
                    [
                        {
                            "judgment_id": f"{person}-{task['task_id']}",
                            "prompt_id": task["prompt_id"],
                            "annotator_id": person,
                            "kind": "human",
                            "form": "pairwise",
                            "response_a": task["responses"][0],
                            "response_b": task["responses"][1],
                            "outcome": "b" if person == "bob" and task["task_id"] in disputed else "a",
                            "revision": "r",
                            "run_id": "people",
                        }
                        for task in tasks
                    ],
                    schema=arrow_schema(Judgment),
                ),
            )
    plan_questions(lake_with_labels, config, budget=20)
    purposes = dict(read_waiting(lake_with_labels).group_by("purpose").len().iter_rows())
    assert purposes == {"adjudicate": 5, "gold": 2, "repeat": 2, "label": 11}
    assert read_waiting(lake_with_labels)["purpose"][0] == "adjudicate"  # before everything else
    assert answer(lake_with_labels, "eve", wanted="adjudicate") == 5
    plan_questions(lake_with_labels, config, budget=20)
    assert read_waiting(lake_with_labels).filter(purpose="adjudicate").height == 0


def test_without_an_aggregation_there_is_nothing_to_plan(sample_lake: Lake) -> None:
    with pytest.raises(CurateError, match="run `curate aggregate` first"):
        plan_questions(sample_lake, Config(), budget=10)
    with pytest.raises(CurateError, match="at least one question"):
        plan_questions(sample_lake, Config(), budget=0)


def test_strategies_of_the_mix_share_the_questions(lake_with_labels: Lake) -> None:
    mix = {"uncertainty": 2.0, "disagreement": 1.0, "dropped-arcs": 1.0}
    config = Config.model_validate({"verify": {"plan": {"mix": mix, "random": 0.5}}})
    plan_questions(lake_with_labels, config, budget=24)
    by_strategy = dict(read_waiting(lake_with_labels).group_by("strategy").len().iter_rows())
    assert by_strategy["random"] == 12
    assert by_strategy["uncertainty"] >= 6
    assert by_strategy["disagreement"] == 3
    assert sum(by_strategy.values()) == 24


@given(st.integers(1, 40), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_the_random_stratum_is_always_the_lowest_numbers(size: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    draw, asked = rng.random(size), rng.random(size) < 0.3
    first = np.zeros(size, np.bool_)
    first[np.argsort(draw)[: rng.integers(0, size + 1)]] = True
    fresh, converted = extend_random_stratum(draw, first, asked | first, n)
    assert len(fresh) <= n
    assert asked[converted].all()
    assert not (asked | first)[fresh].any()
    after = first.copy()
    after[fresh] = after[converted] = True
    assert not after.any() or after.all() or draw[after].max() < draw[~after].min()
    if not after.all():
        assert len(fresh) == n
