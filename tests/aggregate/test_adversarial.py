"""Judges that hack answers fool do not vote, if that is asked for and certain."""

from __future__ import annotations

import pyarrow as pa

from curate.aggregate import aggregate_judgments
from curate.config.project import Config
from curate.judge.adversarial import METRIC
from curate.lake.lake import Lake
from curate.lake.runs import StageRun
from curate.records import Evaluation, arrow_schema


def configured(most: float | None) -> Config:
    return Config.model_validate({"aggregate": {"guard": None if most is None else {"most": most}}})


def file(lake: Lake, judge: str, *, rate: float, low: float | None, subset: str = "all") -> None:
    row = Evaluation(
        subject=judge,
        benchmark="guard",
        subset=subset,
        metric=METRIC,
        value=rate,
        low=low,
        high=1.0,
        n=9,
        run_id="r",
    )
    with lake.write("guard") as writer:
        writer.append(
            "evaluations", pa.Table.from_pylist([row.model_dump()], schema=arrow_schema(Evaluation))
        )


def voters(lake: Lake) -> set[str]:
    return {name for (name,) in lake.rows("SELECT annotator_id FROM annotators")}


def test_a_fooled_judge_has_no_vote(sample_lake: Lake) -> None:
    aggregate_judgments(sample_lake, configured(None))
    everybody = voters(sample_lake)
    fooled, unsure, unmeasured = sorted(everybody)[:3]
    file(sample_lake, fooled, rate=0.8, low=0.7)
    file(sample_lake, unsure, rate=0.8, low=0.4)
    file(sample_lake, unmeasured, rate=1.0, low=0.9, subset="empty")  # one hack is not all of them
    assert aggregate_judgments(sample_lake, configured(None)).skipped  # off unless asked for
    told = aggregate_judgments(sample_lake, configured(0.5))
    assert f"since hack answers fool them: {fooled} (0.80, at least 0.70)" in told.note
    assert voters(sample_lake) == everybody - {fooled}
    assert aggregate_judgments(sample_lake, configured(0.5)).skipped
    assert "fool" not in aggregate_judgments(sample_lake, configured(0.75)).note
    assert voters(sample_lake) == everybody


def test_a_person_called_like_a_fooled_judge_keeps_the_vote(sample_lake: Lake) -> None:
    sample_lake.rows("UPDATE lake.judgments SET revision = 'r1' WHERE annotator_id = 'good'")
    sample_lake.rows(
        "UPDATE lake.judgments SET annotator_id = 'good', kind = 'human' WHERE annotator_id = 'fair'"
    )
    run = StageRun(sample_lake, "judge", config_hash="c")
    with run.chunk("good", fingerprint="f", status="done") as (_, counts):
        counts.details["revision"] = "r1"
    file(sample_lake, "good", rate=0.9, low=0.8)
    document = {
        "judge": {"judges": [{"name": "good", "kind": "rule"}]},
        "aggregate": {"guard": {"most": 0.5}},
    }
    told = aggregate_judgments(sample_lake, Config.model_validate(document))
    assert "fool them: good (0.90" in told.note
    kinds = sample_lake.rows("SELECT annotator_id, kind FROM annotators ORDER BY ALL")
    assert kinds == [("good", "human"), ("random", "llm")]
