"""Real sets: each table is read with its right meaning by one command, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.config.ingest import Source
from curate.config.project import Config
from curate.ingest.recognition import recognize_source
from tests.ingest.test_recognition import last_text

# Table → columns of the prompt, the answers and the verdict with its words for the first and the second answer.
READ = {
    "llmbar/items": ("prompt", "response_a", "response_b", "gold", "A", "B"),
    "prd_vicuna80/lfqa_expert_pairs": ("prompt", "response_a", "response_b", "gold", "A", "B"),
    "hh_rlhf_test/pairs": ("", "chosen", "rejected", "", "", ""),
    "prometheus_rubrics/hhh_pairs": ("prompt", "chosen", "rejected", "", "", ""),
    "pandalm/items": ("", "response_a", "response_b", "annotator1", "A", "B"),
}
RANKED_IMAGES = "image_preferences/imagereward_test_rankings"
ANSWERS_ALONE = {"prd_vicuna80/responses": 5}


def list_tables(shared_data: Path) -> list[str]:
    return sorted(
        path.relative_to(shared_data).with_suffix("").as_posix() for path in shared_data.rglob("*.parquet")
    )


def test_every_table_is_read_rightly_or_refused(shared_data: Path) -> None:
    config = Config()
    object.__setattr__(config, "_folder", shared_data)
    outcomes = {}
    for name in list_tables(shared_data):
        recognition = recognize_source(Source(source=f"{name}.parquet", format="auto"), config)
        outcomes[name] = recognition.certainty != "refused"
        if recognition.certainty == "refused":
            assert recognition.problems
            continue
        assert recognition.trial is not None
        rows = recognition.trial.rows
        if name in ANSWERS_ALONE:
            assert {len(row.responses) for row in rows} == {ANSWERS_ALONE[name]}
            assert not any(row.verdicts for row in rows)
            continue
        if name == RANKED_IMAGES:
            ranked = pq.read_table(shared_data / f"{name}.parquet").slice(0, len(rows)).to_pylist()
            for row, item in zip(rows, ranked, strict=True):
                assert last_text(row.prompt) == item["prompt"]
                assert len(row.responses) == len(item["generations"])
                for verdict in row.verdicts:
                    gap = item["ranking"][verdict.a] - item["ranking"][verdict.b]
                    assert verdict.winner == ("tie" if gap == 0 else "b" if gap > 0 else "a")
            continue
        prompt, first, second, winner, a, b = READ[name]
        table = pq.read_table(shared_data / f"{name}.parquet").slice(0, recognition.trial.total).to_pylist()
        truth = {
            (
                item[prompt] if prompt else "",
                item[first],
                item[second],
                words[item[winner]] if winner else "a",
            )
            for item in table
            for words in [{a: "a", b: "b", "tie": "tie"}]
        }
        for row in rows:
            one, other = (last_text(response.answer) for response in row.responses)
            asked = last_text(row.prompt) if prompt else ""
            assert (asked, one, other, row.verdicts[0].winner) in truth
    assert {name for name, is_read in outcomes.items() if is_read} == {*READ, *ANSWERS_ALONE, RANKED_IMAGES}


@pytest.mark.parametrize("name", ["llmbar/verdicts", "ukpconvarg1/pairs", "llmfao/verdicts"])
def test_tables_of_keys_are_no_texts(name: str, shared_data: Path) -> None:
    config = Config()
    object.__setattr__(config, "_folder", shared_data)
    recognition = recognize_source(Source(source=f"{name}.parquet", format="auto"), config)
    assert recognition.certainty == "refused"
