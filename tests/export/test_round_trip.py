"""What is exported comes back: prompts, responses, who wins, and by how much, in every format that `ingest` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.export import write_export
from curate.ingest import ingest_sources
from curate.lake.lake import Lake, Location

Pair = tuple[str, str, str]

# Format, what a user says of the source beside its name (nothing: the file is recognised), and whether the margin
# of a pair comes back.
ROUND_TRIPS: list[tuple[Any, dict[str, Any], bool]] = [
    ("trl-preference", {}, True),
    ({"kind": "trl-preference", "prompt": "implicit"}, {}, True),
    ("tree-preference", {}, True),
    ("ms-swift", {}, True),
    ("nemo-rl", {}, False),
    ("openai-messages", {"format": "trl-preference", "fields": {"ignore": ["*"]}}, False),
    (
        "llama-factory",
        {"format": "llamafactory-sharegpt-dpo", "fields": {"prompt": "messages", "ignore": ["*"]}},
        False,
    ),
    ("axolotl", {"format": "trl-preference", "fields": {"prompt": "messages", "ignore": ["*"]}}, False),
    ("reward-bench", {"format": "trl-preference", "fields": {"ignore": ["*"]}}, False),
]


def read_pairs(lake: Lake) -> dict[Pair, float | None]:
    """Return prompt, winner and loser as texts → margin."""
    rows = lake.rows(
        "SELECT p.messages[1].content[1].text, a.messages[1].content[1].text, b.messages[1].content[1].text, outcome, "
        "abs(score) FROM judgments j JOIN prompts p USING (prompt_id) JOIN responses a ON a.response_id = response_a "
        "JOIN responses b ON b.response_id = response_b WHERE outcome IN ('a', 'b')"
    )
    return {
        (prompt, a, b) if outcome == "a" else (prompt, b, a): score for prompt, a, b, outcome, score in rows
    }


def ingest_export(lake: Lake, folder: Path, form: Any, said: dict[str, Any]) -> Lake:
    """Export a lake, and return another one with what came back."""
    write_export(lake, Config(), ExportEntry.model_validate({"path": str(folder / "out"), "format": form}))
    config = Config.model_validate({"ingest": [{"source": "out/data/train-00000.parquet", **said}]})
    object.__setattr__(config, "_folder", folder)
    back = Lake.open(Location.under(folder / "back"))
    ingest_sources(back, config)
    assert back.value("SELECT count(*) FROM quarantine") == 0
    return back


def list_labels(lake: Lake) -> dict[Pair, float]:
    rows = lake.rows(
        "SELECT p.messages[1].content[1].text, a.messages[1].content[1].text, b.messages[1].content[1].text, outcome, "
        "greatest(0, if(outcome = 'a', strength, -strength)) FROM final_preferences "
        "JOIN prompts p USING (prompt_id) JOIN responses a ON a.response_id = response_a "
        "JOIN responses b ON b.response_id = response_b WHERE outcome <> 'tie'"
    )
    return {
        (prompt, a, b) if outcome == "a" else (prompt, b, a): lead for prompt, a, b, outcome, lead in rows
    }


@pytest.mark.parametrize(("form", "said", "has_margin"), ROUND_TRIPS, ids=str)
def test_pairs_come_back(
    labelled_lake: Lake, tmp_path: Path, form: Any, said: dict[str, Any], has_margin: bool
) -> None:
    labels = list_labels(labelled_lake)
    with ingest_export(labelled_lake, tmp_path, form, said) as back:
        pairs = read_pairs(back)
        assert pairs.keys() == labels.keys()
        assert back.value("SELECT count(*) FROM prompts") == 12
        assert back.value("SELECT count(*) FROM responses") == 48
        for pair, lead in labels.items():
            assert pairs[pair] == (pytest.approx(lead) if has_margin else None)


def test_rankings_come_back_with_their_scores(labelled_lake: Lake, tmp_path: Path) -> None:
    labels = list_labels(labelled_lake)
    with ingest_export(labelled_lake, tmp_path, "ranking", {}) as back:
        pairs = read_pairs(back)
        models = dict(back.rows("SELECT messages[1].content[1].text, model FROM responses"))
    rows = pl.read_parquet(tmp_path / "out" / "data" / "train-00000.parquet").to_dicts()
    assert pairs.keys() == labels.keys()
    for row in rows:
        (prompt,) = row["prompt"]
        scored = dict(zip((one["text"] for one in row["responses"]), row["scores"], strict=True))
        for (asked, winner, loser), margin in pairs.items():
            if asked == prompt["content"]:
                assert margin == pytest.approx(scored[winner] - scored[loser])
        for response in row["responses"]:
            assert models[response["text"]] == response["model"]


def test_votes_come_back_under_their_annotators(labelled_lake: Lake, tmp_path: Path) -> None:
    with ingest_export(labelled_lake, tmp_path, "annotator-votes", {}) as back:
        came = back.rows("SELECT annotator_id, kind, count(*) FROM judgments GROUP BY ALL ORDER BY ALL")
    rows = pl.read_parquet(tmp_path / "out" / "data" / "train-00000.parquet")
    sent = rows.group_by("annotator_id", "kind").len().sort("annotator_id", "kind").rows()
    assert came == sent


def test_single_answers_come_back_with_their_labels(labelled_lake: Lake, tmp_path: Path) -> None:
    with ingest_export(labelled_lake, tmp_path, "trl-unpaired", {}) as back:
        came = back.rows(
            "SELECT messages[1].content[1].text, score FROM judgments JOIN responses ON response_a = response_id "
            "ORDER BY 1"
        )
    rows = pl.read_parquet(tmp_path / "out" / "data" / "train-00000.parquet").to_dicts()
    assert came == sorted((row["completion"][0]["content"], float(row["label"])) for row in rows)


def test_best_responses_come_back_as_the_prompts_and_responses_that_they_were(
    labelled_lake: Lake, tmp_path: Path
) -> None:
    texts = {
        (prompt, response)
        for prompt, response in labelled_lake.rows(
            "SELECT p.messages[1].content[1].text, r.messages[1].content[1].text FROM responses r "
            "JOIN prompts p USING (prompt_id)"
        )
    }
    with ingest_export(labelled_lake, tmp_path, "alpaca", {}) as back:
        rows = back.rows(
            "SELECT p.messages[1].content[1].text, r.messages[1].content[1].text FROM responses r "
            "JOIN prompts p USING (prompt_id)"
        )
        assert len(rows) == 12
        assert set(rows) <= texts
        native = [{"prompt": prompt, "responses": [{"text": response}]} for prompt, response in rows]
        (tmp_path / "native.jsonl").write_text("".join(json.dumps(row) + "\n" for row in native))
        config = Config.model_validate({"ingest": [{"source": "native.jsonl"}]})
        object.__setattr__(config, "_folder", tmp_path)
        ingest_sources(back, config)
        for table in ("prompts", "responses"):  # the same ids
            assert back.value(f"SELECT count(*) FROM {table}") == 12
