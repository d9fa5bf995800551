"""Published rankings of images, texts and ranks only: taken in, exported N-way, and scores measured against them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from curate.aggregate import aggregate_judgments
from curate.config.project import load_config
from curate.evaluate.benchmark import BenchmarkItem
from curate.evaluate.benchmark_reader import read_benchmark
from curate.evaluate.measures import measure_subject
from curate.evaluate.verdicts import ItemVerdict
from curate.export.stage import write_exports
from curate.ingest import ingest_sources
from curate.lake.lake import Lake

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "image_preferences"
ROWS = [
    {
        "id": "p1",
        "prompt": "a red boat",
        "generations": [f"{k}.webp" for k in "abcd"],
        "ranking": [2, 1, 2, 4],
    },
    {
        "id": "p2",
        "prompt": "a quiet hill",
        "generations": [f"{k}.webp" for k in "efgh"],
        "ranking": [1, 2, 3, 4],
    },
]


@pytest.fixture(params=["invented", "published"])
def rankings(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file of rankings: invented rows, or ImageReward's test set where it lies beside the checkout."""
    if request.param == "published":
        file = DATA / "imagereward_test_rankings.parquet"
        if not file.exists():
            pytest.skip(f"there is no {file}")
        return file
    file = tmp_path / "rankings.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def test_rankings_of_images_with_ties_go_from_files_to_exports(rankings: Path, tmp_path: Path) -> None:
    document = {
        "ingest": [{"source": str(rankings)}],  # the shape is recognised by its columns
        "export": [{"path": "export", "format": "ranking", "license": "apache-2.0"}],
    }
    (tmp_path / "curate.yaml").write_text(yaml.safe_dump(document))
    config = load_config(tmp_path / "curate.yaml")
    with Lake.open(config.location) as lake:
        ingest_sources(lake, config)
        assert lake.value("SELECT count(*) FROM quarantine") == 0
        ties = lake.value("SELECT count(*) FROM judgments WHERE outcome = 'tie'")
        parts = lake.value("SELECT count(*) FROM responses WHERE messages[1].content[1].type = 'image'")
        assert parts == lake.value("SELECT count(*) FROM responses")
        aggregate_judgments(lake, config)
        write_exports(lake, config)
    benchmark = read_benchmark(str(rankings), folder=tmp_path)
    assert benchmark.format == "imagereward"
    expected = sum(
        item.tiers[i] == item.tiers[j]
        for item in benchmark.items
        for i in range(len(item.tiers))
        for j in range(i)
    )
    assert ties == expected
    assert ties > 0
    (shard,) = (tmp_path / "export").rglob("*.parquet")
    exported = read_benchmark(str(shard), folder=tmp_path)
    assert len(exported.items) == len(benchmark.items)
    agree, total = 0, 0
    tiers = {
        image: tier
        for item in benchmark.items
        for image, tier in zip(_get_images(item), item.tiers, strict=True)
    }
    for item in exported.items:
        for better, worse in item.iterate_pairs():
            one, other = (tiers[_get_images(item)[place]] for place in (better, worse))
            if one != other:
                agree, total = agree + (one < other), total + 1
    assert agree == total > 0


def test_recorded_scores_are_measured_n_way(rankings: Path, tmp_path: Path) -> None:
    """Recorded scores here are the ranks themselves, and then the same turned round."""
    import numpy as np

    benchmark = read_benchmark(str(rankings), folder=tmp_path)
    for sign, accuracy in ((-1.0, 1.0), (1.0, 0.0)):
        verdicts = [ItemVerdict(np.array(item.tiers) * sign) for item in benchmark.items]
        scores = {
            (score.metric, score.subset): score.estimate.value
            for score in measure_subject("recorded", benchmark, verdicts, resamples=0)
        }
        assert scores["accuracy", "all"] == accuracy
        assert scores["best-of-n", "all"] == pytest.approx(accuracy)


def test_ratings_of_images_are_taken_in(tmp_path: Path) -> None:
    """ImagenHub: three people rate each image; no prompts and no pixels are published with them."""
    polars = pytest.importorskip("polars")
    file = DATA / "imagenhub_ratings.parquet"
    if not file.exists():
        pytest.skip(f"there is no {file}")
    frame = polars.read_parquet(file).filter(polars.col("task") == "Text-To-Image")
    rows, ratings = {}, []
    for row in frame.iter_rows(named=True):
        name = f"{row['model']}/{row['item']}"
        item = rows.setdefault(
            row["item"], {"id": row["item"], "prompt": f"Make {row['item']}.", "responses": {}}
        )
        content = [{"type": "image", "uri": name}]
        item["responses"][row["model"]] = {
            "id": row["model"],
            "model": row["model"],
            "messages": [{"role": "assistant", "content": content}],
        }
        ratings.append(
            {"prompt": row["item"], "response": row["model"], "annotator": f"rater {row['rater']}"}
            | {"kind": "human", "score": row["semantic"] * row["quality"]}
        )
    (tmp_path / "rows.jsonl").write_text(
        "".join(
            json.dumps(row | {"responses": list(row["responses"].values())}) + "\n" for row in rows.values()
        )
    )
    (tmp_path / "ratings.jsonl").write_text("".join(json.dumps(rating) + "\n" for rating in ratings))
    document = {"ingest": [{"source": "rows.jsonl"}, {"source": "ratings.jsonl", "kind": "ratings"}]}
    (tmp_path / "curate.yaml").write_text(yaml.safe_dump(document))
    config = load_config(tmp_path / "curate.yaml")
    with Lake.open(config.location) as lake:
        ingest_sources(lake, config)
        assert lake.value("SELECT count(*) FROM quarantine") == 0
        assert lake.value("SELECT count(*) FROM judgments WHERE form = 'pointwise'") == len(ratings)
        aggregate_judgments(lake, config)
        assert lake.value("SELECT count(*) FROM preferences") == len(rows) * 7 * 6 // 2


def _get_images(item: BenchmarkItem) -> list[str]:
    return [str(answer[0].content[0].uri) for answer in item.responses]
