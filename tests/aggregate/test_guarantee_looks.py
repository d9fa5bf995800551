"""A guarantee at every look, through a lake: what is remembered, what tests what, and what new judgments change."""

from __future__ import annotations

import random

from curate.aggregate import aggregate_judgments
from curate.lake.lake import Lake
from curate.records import Response
from tests.aggregate.test_guaranteed_statuses import config, fill
from tests.conftest import judge_pair, table

Pairs = list[tuple[Response, Response]]


def label(lake: Lake, pairs: Pairs, numbers: range, *, accuracy: float = 1.0) -> None:
    rng = random.Random(numbers.start)
    rows = [
        judge_pair(*pairs[k], annotator="person", shown="ab", accuracy=accuracy, rng=rng) for k in numbers
    ]
    with lake.write("labels") as writer:
        writer.append("judgments", table(rows))


def read_test(lake: Lake) -> tuple[int, float, int, int, int, bool]:
    row = lake.rows(
        "SELECT revision, wealth, looks, learnt, tested, holds FROM guarantee_tests ORDER BY revision DESC LIMIT 1"
    )[0]
    return tuple(row)  # type: ignore[return-value]


def test_each_look_goes_on_where_the_last_one_ended(lake: Lake) -> None:
    pairs = fill(lake)
    settings = config(annotator_model="majority")
    aggregate_judgments(lake, settings)
    promised = []
    for start in range(0, 100, 10):
        label(lake, pairs, range(start, start + 10))
        promised.append("Guarantee: " in aggregate_judgments(lake, settings).note)
    assert promised[0] is False
    assert promised[-1] is True
    assert promised == sorted(promised)
    revision, wealth, looks, learnt, tested, holds = read_test(lake)
    assert (revision, wealth, looks, learnt, holds) == (1, 1.0, 10, 0, True)
    assert 90 < tested <= 100  # some pairs have no label to test
    orders = lake.rows("SELECT place FROM label_uses WHERE use = 'test' ORDER BY place")
    assert [place for (place,) in orders] == list(range(tested))
    assert "look 10 at revision 1" in lake.value("SELECT claim FROM assessments")


def test_a_model_that_learns_waits_for_labels_and_never_sees_what_tests_it(lake: Lake) -> None:
    pairs = fill(lake)
    for start in range(0, 120, 30):
        label(lake, pairs, range(start, start + 30))
        aggregate_judgments(lake, config())
        if start == 0:
            assert lake.value("SELECT count(*) FROM guarantee_tests") == 0
    revision, _, looks, learnt, tested, holds = read_test(lake)
    assert (revision, holds) == (1, True)
    assert learnt >= 20
    assert looks >= 2
    twice = "SELECT count(*) FROM label_uses GROUP BY response_a, response_b HAVING count(*) > 1"
    assert lake.rows(twice) == []
    assert learnt + tested >= 115


def test_new_settings_begin_a_new_revision_with_new_labels_only(lake: Lake) -> None:
    pairs = fill(lake, accuracy=0.8)
    label(lake, pairs, range(60))
    aggregate_judgments(lake, config(annotator_model="majority"))
    _, _, _, _, tested, _ = read_test(lake)
    aggregate_judgments(lake, config(annotator_model="majority", guarantee={"alpha": 0.2}))
    revision, wealth, looks, _, again, holds = read_test(lake)
    assert (revision, looks, again, holds) == (2, 1, 0, False)
    assert 0.1 <= wealth <= 1
    assert lake.value("SELECT count(*) FROM label_uses WHERE revision = 1 AND use = 'test'") <= tested
    label(lake, pairs, range(60, 120))
    aggregate_judgments(lake, config(annotator_model="majority", guarantee={"alpha": 0.2}))
    assert read_test(lake)[4] > 40


def test_a_few_new_judgments_keep_the_promise_and_many_begin_anew(lake: Lake) -> None:
    pairs = fill(lake)
    label(lake, pairs, range(0, 200, 2))
    settings = config(annotator_model="majority")
    assert "Guarantee: " in aggregate_judgments(lake, settings).note
    before = lake.value("SELECT accepted FROM guarantees")

    def overrule(numbers: range) -> None:
        rng = random.Random(1)
        rows = [
            judge_pair(*pairs[k], annotator=f"late {n}", shown="ab", accuracy=0.0, rng=rng)
            for k in numbers
            for n in range(5)
        ]
        with lake.write("late") as writer:
            writer.append("judgments", table(rows))

    overrule(range(201, 207, 2))
    assert "Guarantee: " in aggregate_judgments(lake, settings).note
    assert read_test(lake)[0] == 1
    assert lake.value("SELECT accepted FROM guarantees") < before
    assert lake.value("SELECT count(*) FROM preferences WHERE reason LIKE '%changed the label since%'") >= 3
    overrule(range(207, 300))
    assert "No guarantee: " in aggregate_judgments(lake, settings).note
    assert read_test(lake)[0] == 2


def test_a_label_that_is_taken_back_still_counts_as_it_tested(lake: Lake) -> None:
    pairs = fill(lake)
    label(lake, pairs, range(50), accuracy=0.0)
    settings = config(annotator_model="majority")
    aggregate_judgments(lake, settings)
    errors = lake.value("SELECT errors FROM guarantee_tests")
    assert errors > 40
    lake.rows("DELETE FROM lake.judgments WHERE annotator_id = 'person' AND hash(judgment_id) % 2 = 0")
    aggregate_judgments(lake, settings)
    assert lake.value("SELECT errors FROM guarantee_tests") == errors


def test_two_label_sets_share_delta(lake: Lake) -> None:
    from curate.aggregate.guarantee_memory import GuaranteeMemory

    alone = GuaranteeMemory(identity="x", scope="x", revision=1)
    shared = alone.limit_share(0.5)
    assert (shared.start, shared.identity) == (0.5, "")
    assert shared.limit_share(1.0) is shared
