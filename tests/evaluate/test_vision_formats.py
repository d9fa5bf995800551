"""Rows of published benchmarks with images and videos, as their authors publish them (invented contents)."""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path
from typing import Any

import pytest

from curate.evaluate.benchmark_reader import read_benchmark

CONTENT = {"bytes": b"png", "path": None}
DATA = "data:;base64," + base64.b64encode(b"png").decode()
ROWS: dict[str, list[dict[str, Any]]] = {
    "vl-rewardbench": [
        {
            "id": "RLAIF-1",
            "query": "What?",
            "image": "a.png",
            "response": ["x", "y"],
            "human_ranking": [1, 0],
        },
        {
            "id": "mathverse_2",
            "query": "Sum?",
            "image": "b.png",
            "response": ["1", "2"],
            "human_ranking": [0, 1],
        },
        {
            "id": "wildvision-3",
            "query": "Q",
            "image": "c.png",
            "response": ["1", "2"],
            "human_ranking": [0, 1],
        },
    ],
    "mr2bench": [
        {"prompt": "Q", "responses": ["a", "b", "c", "d"], "rankings": [3, 1, 1, 4], "image": "i.jpg"},
        {"prompt": "Q", "responses": ["a", "b", "c", "d"], "rankings": [1, 2, 3, 4], "video": "v.mp4"},
    ],
    "imagereward": [{"id": "1", "prompt": "a cat", "generations": ["1.webp", "2.webp"], "ranking": [2, 1]}],
    "genai-bench": [
        {"prompt": "p", "left_image": "l.jpg", "right_image": "r.jpg", "vote_type": "rightvote"},
        {"prompt": "p", "left_video": "l.mp4", "right_video": "r.mp4", "vote_type": "leftvote"},
        {"prompt": "p", "left_image": "l.jpg", "right_image": "r.jpg", "vote_type": "tievote"},
        {"prompt": "p", "left_image": "l.jpg", "right_image": "r.jpg", "vote_type": "bothbad_vote"},
        {"instruct_prompt": "redder", "source_image": "s.jpg", "left_output_image": "l.jpg"}
        | {"right_output_image": "r.jpg", "vote_type": "leftvote"},
    ],
}
for _row in ROWS["genai-bench"]:
    _row |= {"left_model": "m", "right_model": "n"}


def write(folder: Path, rows: list[dict[str, Any]]) -> str:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "rows.jsonl"


@pytest.mark.parametrize("name", ROWS)
def test_formats_are_recognised_by_their_columns(tmp_path: Path, name: str) -> None:
    assert read_benchmark(write(tmp_path, ROWS[name]), folder=tmp_path).format == name


def test_vl_rewardbench_has_the_image_in_the_prompt_and_its_authors_groups(tmp_path: Path) -> None:
    items = read_benchmark(write(tmp_path, ROWS["vl-rewardbench"]), folder=tmp_path).items
    assert [item.subset for item in items] == ["hallucination", "reasoning", "general"]
    assert [item.tiers for item in items] == [(2, 1), (1, 2), (1, 2)]
    image, text = items[0].context[0].content
    assert (image.type, image.uri, text.text) == ("image", "a.png", "What?")


def test_rankings_keep_their_ties(tmp_path: Path) -> None:
    items = read_benchmark(write(tmp_path, ROWS["mr2bench"]), folder=tmp_path).items
    assert items[0].tiers == (3, 1, 1, 4)
    assert [item.context[0].content[0].type for item in items] == ["image", "video"]
    assert len(list(items[0].iterate_pairs())) == 5


def test_a_folder_of_media_is_put_before_relative_addresses(tmp_path: Path) -> None:
    form = {"kind": "imagereward", "root": "pixels"}
    (item,) = read_benchmark(write(tmp_path, ROWS["imagereward"]), folder=tmp_path, form=form).items
    assert [answer[0].content[0].uri for answer in item.responses] == ["pixels/1.webp", "pixels/2.webp"]


def test_votes_that_are_ties_are_counted_and_decide_nothing(tmp_path: Path) -> None:
    benchmark = read_benchmark(write(tmp_path, ROWS["genai-bench"]), folder=tmp_path)
    assert benchmark.dropped == {"people call it a tie": 2}
    assert [item.subset for item in benchmark.items] == [
        "image generation",
        "video generation",
        "image editing",
    ]
    assert [part.type for part in benchmark.items[2].context[0].content] == ["image", "text"]
    assert benchmark.items[1].responses[0][0].content[0].type == "video"


def test_bytes_of_images_become_data_addresses() -> None:
    from curate.evaluate.vision_formats import VlRewardBench

    item = VlRewardBench("vl-rewardbench").read_row(ROWS["vl-rewardbench"][0] | {"image": CONTENT}, "1")
    assert item.context[0].content[0].uri == DATA


def test_mmrb2_reads_the_pairs_of_its_files(tmp_path: Path) -> None:
    pair = {
        "pair_id": "7",
        "prompt_source": "blink",
        "prompt_content": [["image", "input_images/1.jpg"], ["text", "Which?"]],
        "response_a": {"model": "m", "response_content": [["text", "left"]]},
        "response_b": {"model": "n", "response_content": [["image", "images/2.png"], ["text", "right"]]},
        "human_preference": "B",
    }
    (tmp_path / "edit.json").write_text(json.dumps({"pairs": [pair]}))
    benchmark = read_benchmark("edit.json", folder=tmp_path)
    assert benchmark.format == "mmrb2"
    (item,) = benchmark.items
    assert (item.key, item.subset, item.tiers) == ("7", "blink", (2, 1))
    assert [part.type for part in item.responses[1][0].content] == ["image", "text"]


def test_videogen_rewardbench_is_a_table_with_verdicts_by_aspect(tmp_path: Path) -> None:
    with (tmp_path / "bench.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path_A", "path_B", "prompt", "Overall", "VQ", "MQ", "TA"])
        writer.writerow(["a.mp4", "b.mp4", "a fox", "A", "same", "B", "A"])
    benchmark = read_benchmark("bench.csv", folder=tmp_path)
    assert benchmark.format == "videogen-rewardbench"
    assert benchmark.items[0].tiers == (1, 2)
    form = {"kind": "videogen-rewardbench", "aspect": "MQ"}
    assert read_benchmark("bench.csv", folder=tmp_path, form=form).items[0].tiers == (2, 1)
