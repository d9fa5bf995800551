"""The two-stage loop on a real lake: models of words, judges that are rules, people who answer by the offline path."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.aggregate import aggregate_judgments
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.engine.local.embeddings import CachedEmbedder
from curate.lake.lake import Lake
from curate.lake.runs import Summary
from curate.pipeline.verification_loop import iterate_steps
from curate.verify.answers import OfflineAnswer, list_questions, record_answers
from curate.verify.consistency import count_rules, decide_labels
from curate.verify.forms import Verdict
from curate.verify.loop import find_best_checkpoint, list_checkpoints, read_loop_state, require_training


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A model of how long a text is; two rules beside the judges that the lake knows; turns of eight questions."""

    def encode(self: CachedEmbedder, texts: list[str]) -> np.ndarray:
        length = np.array([[1.0, text.count("explain"), text.count("?")] for text in texts])
        return (length / np.linalg.norm(length, axis=1, keepdims=True)).astype(np.float32)

    monkeypatch.setattr(CachedEmbedder, "_encode", encode)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    train = {
        "embedder": "encoder",
        "folds": 3,
        "hidden": 8,
        "learning_rate": 3e-3,
        "epochs": 10,
        "bootstrap": 0,
    }
    loop = {"turns": 2, "budget": 16, "through": "offline"}
    judges = [{"name": "brief", "kind": "rule", "rule": "length", "reverse": True}]
    config = Config.model_validate(
        {"train": train, "verify": {"loop": loop}, "judge": {"judges": judges}, "export": []}
    )
    object.__setattr__(config, "_folder", tmp_path)
    return config


def go_on(lake: Lake, config: Config) -> list[tuple[str, Summary]]:
    """One run of the flow, without Prefect around it."""
    return [(name, work(lake)) for name, work in iterate_steps(lake, config)]


def answer_all(lake: Lake, person: str) -> int:
    """`person` prefers the response with the lower number, as the data were made."""
    asked = list_questions(lake, person)
    better = dict(lake.rows("SELECT response_id, model FROM responses"))
    answers = [
        OfflineAnswer(
            question=entry,
            verdict=Verdict(
                "a" if better[entry.task.responses[0]] < better[entry.task.responses[1]] else "b"
            ),
        )
        for entry in asked
    ]
    return record_answers(lake, person, answers, part="answers")[0]


def labels(lake: Lake) -> list[tuple[object, ...]]:
    return lake.rows("SELECT * EXCLUDE (run_id) FROM preferences ORDER BY ALL")


def test_the_loop_asks_waits_goes_on_and_scales_out(sample_lake: Lake, config: Config) -> None:
    assert [name for name, _ in go_on(sample_lake, config)] == [
        *("judge", "aggregate", "train", "judge", "aggregate", "plan")
    ]
    now = read_loop_state(sample_lake, config)
    assert (len(now.turns), now.waiting, now.turns[0].gold) == (1, 16, 0)
    assert "16 questions wait" in str(now)
    assert go_on(sample_lake, config) == []  # nobody has answered: nothing to do, however often it is run

    assert answer_all(sample_lake, "ada") == 16
    go_on(sample_lake, config)
    second = read_loop_state(sample_lake, config)
    assert second.turns[1].gold == 16
    assert second.turns[1].strategies["random"] == 4
    assert second.waiting == 16
    the_best_model_is_the_one_that_agrees_with_people(sample_lake, config)
    answer_all(sample_lake, "ada")

    done = dict(go_on(sample_lake, config))
    assert list(done)[-3:] == ["train on people", "judge by people", "scale out"]
    now = read_loop_state(sample_lake, config)
    assert now.rules is not None
    assert now.rules["verified by people"] == 32
    decided = ("kept", "flipped", "discarded", "without a label or a model's word")
    assert sum(now.rules[word] for word in decided) == 72 - 32
    assert now.rules["gold model disagrees"] + now.rules["neither agrees"] == now.rules["flipped"]
    statuses = dict(sample_lake.rows("SELECT status, count(*) FROM final_preferences GROUP BY status"))
    assert statuses["verified"] == 32
    assert statuses.get("flipped", 0) == now.rules["flipped"]
    counts = done["scale out"].counts
    assert counts.rows_in == 72 == counts.rows_kept + counts.rows_dropped

    before = labels(sample_lake)
    again = dict(go_on(sample_lake, config))
    assert all(summary.skipped for summary in again.values()), again
    assert labels(sample_lake) == before
    new_answers_make_the_labels_of_stage_2_go(sample_lake, config)


def the_best_model_is_the_one_that_agrees_with_people(lake: Lake, config: Config) -> None:
    assert config.train is not None
    models = list_checkpoints(lake, config.train)
    assert len(models) == 2
    assert {entry.gold for entry in models} == {16}
    best = find_best_checkpoint(lake, config.train)
    assert best.agrees == max(entry.agrees for entry in models)
    assert 0 <= best.calls <= 8 * best.gold


def new_answers_make_the_labels_of_stage_2_go(lake: Lake, config: Config) -> None:
    contrary = [
        OfflineAnswer(question=entry, verdict=Verdict("tie"))
        for entry in list_questions(lake, "bob", overlap=2)[:3]
    ]
    record_answers(lake, "bob", contrary, part="answers")
    aggregate_judgments(lake, config)
    assert lake.value("SELECT max(iteration) FROM preferences") == 1


def test_a_turn_that_was_cut_off_before_its_questions_is_done_again(
    sample_lake: Lake, config: Config
) -> None:
    for name, work in iterate_steps(sample_lake, config):
        if name == "plan":
            break  # killed here
        work(sample_lake)
    assert read_loop_state(sample_lake, config).turns == ()
    go_on(sample_lake, config)
    assert [turn.number for turn in read_loop_state(sample_lake, config).turns] == [1]


def test_without_a_reward_model_there_is_no_loop(sample_lake: Lake) -> None:
    with pytest.raises(CurateError, match="needs `train`"):
        require_training(Config())


COLUMNS = ("original", "panel", "best", "gold")


def pairs(*rows: tuple[float | None, ...], status: str = "routed") -> pl.DataFrame:
    """Pairs as stage 2 reads them: what came with the data, the panel, the best model, the gold model."""
    schema = dict.fromkeys(COLUMNS, pl.Float64)
    kept = {
        "p_a": 0.5,
        "strength": 0.0,
        "outcome": "tie",
        "confidence": 0.5,
        "status": status,
        "reason": None,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        **{name: pl.lit(value) for name, value in kept.items()}
    )


def test_each_rule_of_stage_2_by_hand() -> None:
    rows = pairs(
        (1.0, 0.0, 0.9, 0.8),  # the gold and the best model agree: kept against the panel
        (1.0, 1.0, 0.2, 0.8),  # the gold model and the panel agree
        (1.0, 1.0, 0.9, 0.3),  # the gold model disagrees
        (1.0, 0.0, 0.2, 0.8),  # only the gold model agrees
        (None, 0.2, 0.3, 0.1),  # no label came along: the panel's is held against the models
        (None, None, 0.9, 0.9),  # no label at all
        (0.0, 0.0, None, 0.2),  # one model has not seen it
    )
    decided = decide_labels(rows, recycle=True)
    assert decided["status"].to_list() == [
        *("accepted", "accepted", "flipped", "flipped", "accepted", "discarded", "routed")
    ]
    assert decided["outcome"].to_list() == ["a", "a", "b", "b", "b", "tie", "tie"]
    assert float(decided["confidence"].to_numpy().min()) >= 0.5
    assert count_rules(decided) == {
        "verified by people": 0,
        "best model agrees": 3,
        "gold model disagrees": 1,
        "neither agrees": 1,
        "panel agrees": 1,
        "kept": 3,
        "flipped": 2,
        "discarded": 0,
        "without a label or a model's word": 2,
    }
    kept = decide_labels(rows, recycle=False)
    assert kept["status"].to_list().count("discarded") == 3
    people = decide_labels(pairs((1.0, 1.0, 0.1, 0.1), status="verified"), recycle=True)
    assert people["status"].to_list() == ["verified"]


def test_the_rules_agree_with_a_plain_reading_of_them() -> None:
    rng = random.Random(0)
    rows = [tuple(rng.choice([None, 0.0, 0.2, 0.5, 0.9, 1.0]) for _ in COLUMNS) for _ in range(2000)]
    decided = decide_labels(pairs(*rows), recycle=True)

    def says(p: float | None, wanted: bool) -> bool:
        return p is not None and p != 0.5 and (p > 0.5) == wanted

    for (original, panel, best, gold), status, outcome in zip(
        rows, decided["status"], decided["outcome"], strict=True
    ):
        label = original if original is not None else panel
        if label is None or label == 0.5:
            assert status == "discarded"
        elif best is None or gold is None:
            assert status == "routed"
        else:
            keep = says(gold, label > 0.5) and (says(panel, label > 0.5) or says(best, label > 0.5))
            assert (status, outcome == "a") == (("accepted" if keep else "flipped"), keep == (label > 0.5))
