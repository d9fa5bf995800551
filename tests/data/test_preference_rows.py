"""Reading preference data sets in the shapes that people have."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from curate.core.errors import CurateError
from curate.data.conversation import Conversation
from curate.data.preference_files import digest_data
from curate.data.preference_pairs import PreferencePairs, read_pairs
from curate.records import plain_text

USER = {"role": "user", "content": "Why?"}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def read(path: Path, *rows: Any) -> PreferencePairs:
    file = path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return read_pairs(file)


def told(pairs: PreferencePairs) -> list[tuple[str, str, str]]:
    return [
        (pairs.questions[prompt], pairs.texts[chosen], pairs.texts[rejected])
        for prompt, chosen, rejected in zip(pairs.prompt, pairs.chosen, pairs.rejected, strict=True)
    ]


def list_turns(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role, plain_text(message.content)) for message in conversation]


HH = "\n\nHuman: Why?\n\nAssistant:"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Why?", "chosen": "Because.", "rejected": "No."},
        {"prompt": [USER], "chosen": [said("Because.")], "rejected": [said("No.")]},
        {"chosen": [USER, said("Because.")], "rejected": [USER, said("No.")]},
        {"prompt": "Why?", "chosen": [USER, said("Because.")], "rejected": [USER, said("No.")]},
        {"prompt": [said("Hi"), USER], "chosen": "Because.", "rejected": "No."},
        {
            "prompt": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}],
            "chosen": [said("Because.")],
            "rejected": [said("No.")],
        },
    ],
    ids=["plain", "conversational", "implicit", "repeated", "mixed", "parts"],
)
def test_every_shape_of_a_pair(row: dict[str, Any], tmp_path: Path) -> None:
    assert told(read(tmp_path, row)) == [("Why?", "Because.", "No.")]


def test_transcripts_are_conversations_with_the_turns_in_common_as_prompt(tmp_path: Path) -> None:
    earlier = "\n\nHuman: Hi\n\nAssistant: Hello."
    pairs = read(tmp_path, {"chosen": f"{earlier}{HH} Because.", "rejected": f"{earlier}{HH} Be still."})
    assert told(pairs) == [("Why?", "Because.", "Be still.")]
    assert list_turns(pairs.contexts[0]) == [("user", "Hi"), ("assistant", "Hello."), ("user", "Why?")]


@pytest.mark.parametrize("texts", [("Sure! Yes.", "Sure! No."), ("Well\nYes.", "Well\nNo."), ("a", "b")])
def test_what_two_answers_begin_with_is_no_prompt(texts: tuple[str, str], tmp_path: Path) -> None:
    pairs = read(tmp_path, {"chosen": texts[0], "rejected": texts[1]})
    assert pairs.dropped == {"no prompt": 1}


@pytest.mark.parametrize("prompt", ["q1", "q2 ", [USER, {"role": "user", "content": "q2"}]])
def test_a_prompt_beside_whole_conversations_adds_and_loses_nothing(prompt: Any, tmp_path: Path) -> None:
    opening = [{"role": "system", "content": "s"}, {"role": "user", "content": "q1"}, said("a1"), USER]
    opening.append({"role": "user", "content": "q2"})
    row = {"prompt": prompt, "chosen": [*opening, said("yes")], "rejected": [*opening, said("no")]}
    pairs = read(tmp_path, row, {**row, "prompt": "another"})
    assert [list_turns(context) for context in pairs.contexts] == [
        [(turn["role"], turn["content"]) for turn in opening]
    ]
    assert told(pairs) == [("q2", "yes", "no")]
    assert pairs.dropped == {"different contexts": 1}


def test_a_system_column_is_the_system_message(tmp_path: Path) -> None:
    row = {"prompt": "Why?", "chosen": "a", "rejected": "b"}
    spoken = [{"role": "system", "content": "s"}, USER]
    pairs = read(
        tmp_path, {**row, "system": "s"}, {**row, "system": " "}, {**row, "system": "t", "prompt": spoken}
    )
    assert list(map(list_turns, pairs.contexts)) == [[("system", "s"), ("user", "Why?")], [("user", "Why?")]]
    assert pairs.dropped == {"two system messages": 1}


def test_confidence_weight_and_ids_are_taken(tmp_path: Path) -> None:
    one = {"prompt": "p", "chosen": "a", "rejected": "b", "prompt_id": "x", "confidence": 0.8, "weight": 2}
    pairs = read(tmp_path, one, {**one, "chosen": "c", "confidence": None, "weight": None})
    assert pairs.prompt_ids == ("x",)
    assert pairs.texts == ("a", "b", "c")
    assert pairs.p_chosen.tolist() == [0.8, 1.0]
    assert pairs.weight.tolist() == [2.0, 1.0]


def test_without_an_id_equal_prompts_are_one_and_roles_tell_them_apart(tmp_path: Path) -> None:
    pair = {"chosen": "a", "rejected": "b"}
    pairs = read(tmp_path, {"prompt": "p", **pair}, {"prompt": "p", **pair}, {"prompt": [said("p")], **pair})
    assert pairs.prompt.tolist() == [0, 0, 1]


def test_rows_that_are_no_pair_are_counted_by_reason(tmp_path: Path) -> None:
    good = {"prompt": "p", "chosen": "a", "rejected": "b"}
    bad: list[Any] = [
        {**good, "rejected": "a"},
        {**good, "confidence": 1.5},
        {**good, "confidence": "high"},
        {**good, "weight": -1},
        {"prompt": "p", "chosen": "a"},
        {**good, "chosen": [{"content": "no role"}]},
        {"chosen": "a", "rejected": "b"},
        ["a", "b"],
    ]
    pairs = read(tmp_path, good, *bad)
    assert len(pairs) == 1
    assert pairs.dropped == {
        "same response twice": 1,
        "wrong value": 3,
        "missing key": 2,
        "no prompt": 1,
        "not an object": 1,
    }


def test_the_same_rows_from_every_kind_of_file(tmp_path: Path) -> None:
    rows = [{"prompt": [USER], "chosen": [said(f"yes {n}")], "rejected": [said("no")]} for n in range(3)]
    text = "\n".join(map(json.dumps, rows)).encode()
    (tmp_path / "a.jsonl").write_bytes(text)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text))
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(text))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = [
        told(read_pairs(tmp_path / f"a{end}")) for end in (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
    ]
    assert found == [[("Why?", f"yes {n}", "no") for n in range(3)]] * 4


def test_a_folder_is_read_once_and_its_training_part_only(tmp_path: Path) -> None:
    def row(answer: str) -> dict[str, str]:
        return {"prompt": "p", "chosen": answer, "rejected": "b"}

    for folder in ("data", "jsonl"):
        (tmp_path / folder).mkdir()
    pq.write_table(pa.Table.from_pylist([row("train")]), tmp_path / "data" / "train-00000.parquet")
    pq.write_table(pa.Table.from_pylist([row("test")]), tmp_path / "data" / "test-00000.parquet")
    (tmp_path / "jsonl" / "train-00000.jsonl").write_text(json.dumps(row("train")))
    (tmp_path / "README.md").write_text("card")
    assert told(read_pairs(tmp_path)) == [("p", "train", "b")]
    before = digest_data(tmp_path)
    (tmp_path / "README.md").write_text("another card")
    assert digest_data(tmp_path) == before
    pq.write_table(pa.Table.from_pylist([row("new")]), tmp_path / "data" / "train-00000.parquet")
    assert digest_data(tmp_path) != before


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="no preference data at"):
        read_pairs(tmp_path / "nowhere")
    with pytest.raises(CurateError, match=r"holds no \.parquet"):
        read_pairs(tmp_path)
    for name in ("broken.parquet", "broken.jsonl.gz", "broken.jsonl.zst"):
        (tmp_path / name).write_bytes(b"this is something else")
        with pytest.raises(CurateError, match=f"Cannot read .*{name}"):
            read_pairs(tmp_path / name)


RANKING = {
    "prompt": [USER],
    "responses": [
        {"response_id": "1", "text": "so so"},
        {"response_id": "2", "text": "good"},
        "bad",
        "as bad",
    ],
    "rankings": [2, 1, 3, 3],
    "prompt_id": "x",
}


def test_a_ranking_is_all_its_pairs_of_different_rank(tmp_path: Path) -> None:
    pairs = read(tmp_path, RANKING)
    assert sorted((good, bad) for _, good, bad in told(pairs)) == [
        *(("good", other) for other in ("as bad", "bad", "so so")),
        *(("so so", other) for other in ("as bad", "bad")),
    ]
    assert pairs.rank.tolist() == [2, 1, 3, 3]
    assert pairs.weight.tolist() == [0.5] * 5
    assert list(map(list_turns, pairs.contexts)) == [[("user", "Why?")]]


def test_rankings_that_say_nothing_are_counted_by_reason(tmp_path: Path) -> None:
    bad = [
        {**RANKING, "rankings": [1, 2]},
        {**RANKING, "rankings": [1, 1, 1, 1]},
        {**RANKING, "rankings": [0, 1, 2, 3]},
        {**RANKING, "responses": ["a", "a", "b", "c"]},
        {**RANKING, "responses": [{"text": None}, "a", "b", "c"]},
    ]
    assert read(tmp_path, *bad).dropped == {
        "wrong type": 1,
        "all tied": 1,
        "wrong value": 1,
        "same response twice": 1,
        "missing key": 1,
    }


def test_strength_may_be_negative_and_may_be_missing(tmp_path: Path) -> None:
    pair = {"prompt": "p", "chosen": "a", "rejected": "b"}
    pairs = read(tmp_path, {**pair, "strength": -0.5}, pair, {**pair, "strength": "strong"})
    assert pairs.strength[0] == -0.5
    assert pairs.strength[1] != pairs.strength[1]
    assert pairs.rank.tolist() == [0, 0]
    assert pairs.dropped == {"wrong value": 1}


def shown(conversation: Conversation) -> list[str | None]:
    """Addresses of images and texts, in the order in which a vision-language model sees them."""
    return [part.uri or part.text for message in conversation for part in message.content]


ASK = {"type": "text", "text": "Which?"}
PAIR = {"chosen": [said("A")], "rejected": [said("B")]}


@pytest.mark.parametrize(
    ("row", "seen", "text"),  # content and images of a row, what a model sees, and what it reads without eyes
    [
        ({"content": [{"type": "image", "uri": "a.png"}, ASK]}, ["a.png", "Which?"], "[image a.png]\nWhich?"),
        (
            {"content": [ASK, {"type": "image"}], "images": ["a.png"]},
            ["Which?", "a.png"],
            "Which?\n[image a.png]",
        ),
        (
            {"content": [{"type": "image", "image": "a.png"}, ASK]},
            ["a.png", "Which?"],
            "[image a.png]\nWhich?",
        ),
        (
            {"content": "Which?", "images": ["a.png", "b.png"]},
            ["a.png", "b.png", "Which?"],
            "[image a.png]\n[image b.png]\nWhich?",
        ),
        ({"content": "Which?", "images": [{"path": "a.png"}]}, ["a.png", "Which?"], "[image a.png]\nWhich?"),
        ({"content": "Which?", "image": {"path": "a.png"}}, ["a.png", "Which?"], "[image a.png]\nWhich?"),
        ({"content": [{"type": "image", "uri": "a.png"}], "images": ["a.png"]}, ["a.png"], "[image a.png]"),
        ({"content": "Which?", "images": []}, ["Which?"], "Which?"),
    ],
)
def test_images_keep_their_places_and_the_text_its_marks(
    row: dict[str, Any], seen: list[str], text: str, tmp_path: Path
) -> None:
    content, images = row["content"], {name: row[name] for name in row if name != "content"}
    turns = [{"role": "user", "content": content}]
    repeated = {name: [*turns, *PAIR[name]] for name in PAIR}
    for pair in ({"prompt": turns, **PAIR}, {"prompt": turns, **repeated}, repeated):
        (context,) = read(tmp_path, {**pair, **images}).contexts
        assert (shown(context), list_turns(context)) == (seen, [("user", text)])
    ranked = {"prompt": turns, "responses": ["A", "B"], "rankings": [1, 2], **images}
    assert shown(read(tmp_path, ranked).contexts[0]) == seen


@pytest.mark.parametrize(
    ("content", "images", "reason"),
    [
        ([{"type": "image"}, ASK], ["a", "b"], "images do not fit"),
        ([{"type": "image", "uri": "c.png"}, ASK], ["a"], "images do not fit"),
        ([{"type": "image"}, ASK], [], "image without address"),
        ("Which?", [3], "image without address"),
    ],
)
def test_images_that_have_no_place_or_no_address_are_refused(
    content: Any, images: list[Any], reason: str, tmp_path: Path
) -> None:
    row = {"prompt": [{"role": "user", "content": content}], **PAIR, "images": images}
    assert read(tmp_path, row).dropped == {reason: 1}


def test_images_that_a_parquet_file_holds_are_read(tmp_path: Path) -> None:
    """The layout of TRL's vision preference sets on the hub."""
    ask = {"role": "user", "content": [{"type": "image", "text": None}, ASK]}
    row = {"prompt": [ask], **PAIR, "images": [{"bytes": b"png", "path": None}]}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train.parquet")
    pairs = read_pairs(tmp_path)
    assert shown(pairs.contexts[0]) == ["data:;base64,cG5n", "Which?"]
    assert pairs.questions == ("[image]\nWhich?",)


def test_prompts_that_differ_in_their_images_alone_are_two(tmp_path: Path) -> None:
    ask = [{"role": "user", "content": [{"type": "image"}, ASK]}]
    pairs = read(tmp_path, *({"prompt": ask, **PAIR, "images": [f"{name}.png"]} for name in "aba"))
    assert len(pairs.prompt_ids) == 2
    assert pairs.prompt.tolist() == [0, 1, 0]


def test_images_of_answers_are_kept(tmp_path: Path) -> None:
    answers = {
        side: [{"role": "assistant", "content": [{"type": "image", "uri": f"{side}.png"}]}] for side in PAIR
    }
    pairs = read(tmp_path, {"prompt": "Draw.", **answers})
    assert pairs.texts == ("[image chosen.png]", "[image rejected.png]")
    assert [shown(response) for response in pairs.responses] == [["chosen.png"], ["rejected.png"]]
