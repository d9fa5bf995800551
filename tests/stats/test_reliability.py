"""People of known quality: what is measured is what they are; as votes, the annotator model weighs the bad one down."""

from __future__ import annotations

import random
from io import StringIO
from itertools import combinations

import numpy as np
import pytest
from rich.console import Console

from curate.aggregate.annotators.panel import fit
from curate.aggregate.votes import Votes
from curate.config.project import Config
from curate.lake.lake import Lake
from curate.records import Judgment, VerifyTask
from curate.stats.reliability import measure_quality, too_fast_below
from curate.verify.quality_table import print_quality
from tests.conftest import make_prompt, make_response, table

PEOPLE = {"ada": 0.95, "bob": 0.9, "eve": 0.3}


@pytest.fixture
def answered(lake: Lake) -> Lake:
    """Three people on 72 pairs each; every third pair is a gold question; eve is careless, hurried and fickle."""
    rng = random.Random(0)
    prompts = [make_prompt(number) for number in range(12)]
    responses = [make_response(prompt, number) for prompt in prompts for number in range(4)]
    pairs = [
        sorted((x, y), key=lambda each: each.response_id)
        for x, y in combinations(responses, 2)
        if x.prompt_id == y.prompt_id
    ]
    judgments, tasks = [], []
    for number, (a, b) in enumerate(pairs):
        right = "a" if str(a.model) < str(b.model) else "b"
        for person, accuracy in PEOPLE.items():
            for sample in range(2 if number % 4 == 0 else 1):
                outcome = right if rng.random() < accuracy else {"a": "b", "b": "a"}[right]
                judgments.append(
                    Judgment(
                        judgment_id=f"{person}-{number}-{sample}", prompt_id=a.prompt_id, annotator_id=person,
                        kind="human",
                        form="pairwise", response_a=a.response_id, response_b=b.response_id, outcome=outcome,  # type: ignore[arg-type]
                        revision="r", sample=sample, run_id="r",
                        seconds=rng.lognormvariate(3, 0.3) if person != "eve" else rng.uniform(0.2, 1.0),
                    )
                )  # fmt: skip
        if number % 3 == 0:
            tasks.append(
                VerifyTask(
                    task_id=f"gold-{number}", prompt_id=a.prompt_id, form="pairwise", purpose="gold", run_id="r",
                    responses=(a.response_id, b.response_id), strategy="verified earlier",
                )
            )  # fmt: skip
    with lake.write("people") as writer:
        for name, records in (
            ("prompts", prompts),
            ("responses", responses),
            ("judgments", judgments),
            ("verify_tasks", tasks),
        ):
            writer.append(name, table(list(records)))
    return lake


def test_each_person_is_measured(answered: Lake) -> None:
    found = {person.annotator_id: person for person in measure_quality(answered).people}
    assert found["ada"].answers == 90
    assert found["ada"].itself.n == 18
    assert found["ada"].itself.value > 0.8
    assert found["eve"].itself.value < found["ada"].itself.value
    assert found["ada"].gold.n <= 24 * 2
    assert found["eve"].gold.interval[1] < 0.6
    assert found["eve"].fast.value == 1.0
    assert found["ada"].fast.right == found["bob"].fast.right == 0
    assert found["ada"].flags == found["bob"].flags == ()
    assert len(found["eve"].flags) >= 2


def test_agreement_is_of_people_not_of_repeats(answered: Lake) -> None:
    found = measure_quality(answered)
    assert found.alpha["all"].n == 72
    assert found.fleiss.n == 72
    assert found.alpha["all"].low < found.alpha["all"].value < found.alpha["all"].high
    assert found.cohen["ada", "bob"][0] > 0.6 > found.cohen["ada", "eve"][0]
    assert found.cohen["ada", "bob"][1] == 72
    assert found.disputed == 0  # two verdicts, three people: one always has more than half


def test_nothing_said_is_said(lake: Lake) -> None:
    out = StringIO()
    print_quality(measure_quality(lake), Console(file=out))
    assert "have not answered anything" in out.getvalue()


def test_the_table_names_who_to_look_at_first(answered: Lake) -> None:
    out = StringIO()
    print_quality(measure_quality(answered), Console(file=out, width=200))
    lines = [line for line in out.getvalue().splitlines() if line.strip().startswith(("ada", "bob", "eve"))]
    assert lines[0].strip().startswith("eve")
    assert "gold questions right" in lines[0]


def test_half_of_all_answers_may_be_hurried_before_the_rule_breaks() -> None:
    rng = np.random.default_rng(0)
    careful, hurried = rng.lognormal(3, 0.3, 700), rng.uniform(0.1, 0.5, 300)
    below = too_fast_below(np.concatenate([careful, hurried]), 3.0)
    assert hurried.max() < below < np.quantile(careful, 0.01)
    assert np.isnan(too_fast_below(np.ones(9), 3.0))


def test_a_failing_annotator_is_weighed_down_not_dropped() -> None:
    """People's votes given to the panel model as votes: the careless one keeps a small weight, all votes count."""
    rng = np.random.default_rng(0)
    pairs, people = 300, 4
    truth = rng.choice([-1, 1], pairs)
    right = rng.random((pairs, people)) < np.array([0.92, 0.9, 0.88, 0.5])
    outcome = np.where(right, truth[:, None], -truth[:, None]).astype(np.int8)
    index = np.repeat(np.arange(pairs, dtype=np.int32), people)
    votes = Votes(
        offsets=2 * np.arange(pairs + 1, dtype=np.int64), prompt=index, a=2 * index, b=2 * index + 1,
        annotator=np.tile(np.arange(people, dtype=np.int32), pairs), shown=np.zeros(pairs * people, np.int8),
        outcome=outcome.ravel(), p_a=((outcome.ravel() + 1) / 2).astype(np.float32),
        annotators=("ada", "bob", "cyd", "eve"), human=np.zeros(people, np.bool_),
    )  # fmt: skip
    fitted = fit(votes)
    assert fitted.n.tolist() == [pairs] * people
    assert fitted.ability[3] < 0.5 < 1.5 < fitted.ability[:3].min()
    assert np.mean(np.sign(fitted.p_a - 0.5) == truth) > 0.95
    assert Config().verify.quality.gold > 0
