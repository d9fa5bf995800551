"""The figures of the page, each against a plain count over the same rows in Python."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import combinations
from typing import Any

import pyarrow as pa
import pytest

from curate.config.project import Config
from curate.lake.lake import Lake
from curate.records import Judgment, arrow_schema, judgment_id
from curate.report.facts import Facts, gather_facts

CONFIG = Config.model_validate({"report": {"examples": 0}})  # explained prompts have tests of their own


def facts_of(lake: Lake, config: Config = CONFIG) -> Facts:
    with Lake.open(lake.location, read_only=True) as reader:
        return gather_facts(reader, config)


def judgments_of(lake: Lake) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.arrow("SELECT * FROM judgments").to_pylist()
    return rows


def test_headline(full_lake: Lake) -> None:
    headline = facts_of(full_lake).headline
    assert (headline.prompts, headline.responses, headline.models, headline.annotators) == (20, 80, 4, 5)
    rows = judgments_of(full_lake)
    assert headline.judgments == len(rows)
    assert headline.failed == sum(row["outcome"] == "failed" for row in rows)
    assert headline.by_people == sum(row["kind"] == "human" for row in rows)
    assert (headline.pairs, headline.iteration) == (120, 0)


def test_position_bias_is_counted_over_both_orders(full_lake: Lake) -> None:
    rows = judgments_of(full_lake)
    for panelist in facts_of(full_lake).panel:
        firsts: list[bool] = []
        by_pair: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for row in rows:
            if row["annotator_id"] == panelist.name and row["outcome"] in ("a", "b"):
                first = row["outcome"] == row["shown"][0]
                firsts.append(first)
                by_pair[row["response_a"], row["response_b"]].append(first)
        both = [sides for sides in by_pair.values() if len(sides) == 2]
        assert (panelist.positioned, panelist.first_won) == (len(firsts), sum(firsts))
        assert (panelist.swapped, panelist.follow) == (len(both), sum(x == y for x, y in both))


def test_agreement_with_labels(full_lake: Lake) -> None:
    labels = {
        (a, b): outcome
        for a, b, outcome in full_lake.rows("SELECT response_a, response_b, outcome FROM preferences")
    }
    rows = judgments_of(full_lake)
    for panelist in facts_of(full_lake).panel:
        agrees = [
            row["outcome"] == label
            for row in rows
            if row["annotator_id"] == panelist.name
            and row["outcome"] in ("a", "b")
            and (label := labels[row["response_a"], row["response_b"]]) != "tie"
        ]
        assert (panelist.labelled, panelist.agreed) == (len(agrees), sum(agrees))
        assert panelist.failed == sum(
            row["outcome"] == "failed" for row in rows if row["annotator_id"] == panelist.name
        )


def test_failures_by_judge_and_reason(full_lake: Lake) -> None:
    wrong = "SELECT min(judgment_id) FROM judgments WHERE outcome = 'failed' AND annotator_id = ?"
    failed = Counter(row["annotator_id"] for row in judgments_of(full_lake) if row["outcome"] == "failed")
    name, number = failed.most_common(1)[0]
    full_lake.rows(
        f"UPDATE lake.judgments SET raw = ? WHERE judgment_id = ({wrong})",
        ["no verdict: none of A, B\nAs a bee, I", name],
    )
    found = [(each.name, each.reason, each.failed, each.example) for each in facts_of(full_lake).failures]
    assert (name, "no verdict", 1, "As a bee, I") in found
    assert (name, "failed", number - 1, None) in found
    assert sum(each[2] for each in found) == failed.total()


def test_the_matrix_counts_common_verdicts(full_lake: Lake) -> None:
    net: dict[str, dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for row in judgments_of(full_lake):
        sign = {"a": 1, "b": -1}.get(row["outcome"], 0)
        net[row["annotator_id"]][row["response_a"], row["response_b"]] += sign
    expected = {}
    for one, other in combinations(sorted(net), 2):
        common = [pair for pair in net[one] if net[one][pair] and net[other][pair]]
        alike = sum((net[one][pair] > 0) == (net[other][pair] > 0) for pair in common)
        expected[one, other] = (len(common), alike)
    assert {
        (each.one, each.other): (each.pairs, each.alike) for each in facts_of(full_lake).agreements
    } == expected


def test_win_rates(full_lake: Lake) -> None:
    models = dict(full_lake.rows("SELECT response_id, model FROM responses"))
    won: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for prompt, a, b, outcome in full_lake.rows(
        "SELECT prompt_id, response_a, response_b, outcome FROM preferences"
    ):
        share = {"a": 1.0, "b": 0.0, "tie": 0.5}[outcome]
        won[models[a]][prompt].append(share)
        won[models[b]][prompt].append(1 - share)
    found = facts_of(full_lake).models
    assert [each.win_rate for each in found] == sorted((each.win_rate for each in found), reverse=True)
    for each in found:
        means = [sum(shares) / len(shares) for shares in won[each.name].values()]
        assert each.win_rate == pytest.approx(sum(means) / len(means))
        assert each.prompts == len(means)


def test_scores_and_places_are_votes_too(sample_lake: Lake) -> None:
    """An annotator that scores responses, and one that ranks them, both by the truth, agree with each other."""
    responses: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for prompt, response, model in sample_lake.rows("SELECT prompt_id, response_id, model FROM responses"):
        responses[prompt].append((response, int(model[-1])))
    rows = []
    for prompt, answers in responses.items():
        ranking = tuple(response for response, _ in sorted(answers, key=lambda each: each[1]))
        rows.append(_judgment(prompt, "ranker", "listwise", ranking=ranking))
        rows += [
            _judgment(prompt, "scorer", "pointwise", a=response, score=-float(number))
            for response, number in answers
        ]
    table = pa.Table.from_pylist([row.model_dump() for row in rows], schema=arrow_schema(Judgment))
    with sample_lake.write("more") as writer:
        writer.append("judgments", table)
    facts = facts_of(sample_lake)
    pair = next(each for each in facts.agreements if (each.one, each.other) == ("ranker", "scorer"))
    assert (pair.pairs, pair.alike) == (72, 72)
    shares = {each.one: each.share for each in facts.agreements if each.other == "scorer"}
    assert shares["good"] > shares["fair"] > 0.5
    scorer = next(each for each in facts.panel if each.name == "scorer")
    assert (scorer.judgments, scorer.positioned, scorer.first_rate) == (48, 0, None)


def _judgment(
    prompt: str,
    annotator: str,
    form: Any,
    *,
    a: str | None = None,
    score: float | None = None,
    ranking: tuple[str, ...] | None = None,
) -> Judgment:
    shown = [a] if a is not None else list(ranking or ())
    return Judgment(
        judgment_id=judgment_id(
            prompt=prompt, annotator=annotator, revision="imported", form=form, responses=shown
        ),
        prompt_id=prompt,
        annotator_id=annotator,
        kind="rule",
        form=form,
        response_a=a,
        outcome="a",
        score=score,
        ranking=ranking,
        revision="imported",
        run_id="more",
    )


def test_the_flow_counts_replaced_work_once(full_lake: Lake) -> None:
    """A second ingest adds up; a second aggregation replaces the first."""
    for stage, part in (("ingest", "raw/batch-1.jsonl"), ("aggregate", "iteration-0")):
        full_lake.rows(
            "INSERT INTO lake.runs SELECT * REPLACE ('again' AS fingerprint, '2026-11-21T00:00:00' AS finished_at) "
            f"FROM lake.runs WHERE stage = '{stage}' AND part = '{part}'"
        )
    work = {(each.stage, each.part): each for each in facts_of(full_lake).work}
    assert work["ingest", "raw/batch-1.jsonl"].rows_in == 2 * 2
    assert work["aggregate", "iteration-0"].rows_in == 120
    assert all(each.rows_in == each.kept + each.duplicates + each.dropped for each in work.values())


def test_reasons_and_cycles_come_from_the_runs(full_lake: Lake) -> None:
    facts = facts_of(full_lake)
    assert {(each.stage, each.reason): each.number for each in facts.reasons}["ingest", "not valid JSON"] == 2
    details = json.loads(full_lake.value("SELECT details FROM runs WHERE stage = 'aggregate'"))
    (cycles,) = facts.cycles
    assert (cycles.before, cycles.after, cycles.prompts) == (details["cyclic_before"], 0, 20)


def test_only_the_panel_of_today_counts(full_lake: Lake) -> None:
    """A judge that is no longer configured, or has a newer revision, does not speak."""
    full_lake.rows(
        "UPDATE lake.judgments SET revision = 'old' WHERE annotator_id IN ('contrary', 'quick-1b')"
    )
    full_lake.rows(
        """UPDATE lake.runs SET details = '{"dropped": {}, "revision": "old"}' WHERE part IN ('contrary', 'quick-1b')"""
    )
    config = Config.model_validate({"judge": {"judges": [{"name": "quick-1b", "kind": "pairwise"}]}})
    names = {each.name for each in facts_of(full_lake, config).panel}
    assert names == {"sturdy-8b", "quick-1b", "first-135m", "alice"}


def test_the_newest_score_counts(full_lake: Lake) -> None:
    full_lake.rows(
        "INSERT INTO lake.evaluations VALUES "
        "('reward-model', 'demo gold', 'all', 'accuracy', 0.9, 0.8, 1.0, 9, 'r-export')"
    )
    scores = [each for each in facts_of(full_lake).scores if each.subject == "reward-model"]
    assert {each.benchmark: each.value for each in scores} == {"demo gold": 0.9, "held-out pairs": 0.74}
