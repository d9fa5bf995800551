"""Shapes that one row alone does not say: messages of trees, and reviews joined with answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import load_config
from curate.lake.lake import Lake


def message(name: str, parent: str | None, text: str, rank: int | None = None, **more: Any) -> dict[str, Any]:
    role = "prompter" if parent is None or parent.startswith("a") else "assistant"
    return {
        "message_id": name, "parent_id": parent, "user_id": "u", "text": text, "role": role, "lang": "en",
        "review_result": True, "deleted": False, "rank": rank, "model_name": None, "message_tree_id": "p1",
        "tree_state": "ready_for_export", "labels": {"name": ["quality"], "value": [0.5], "count": [3]}, **more,
    }  # fmt: skip


MESSAGES = [
    message("a1", "p1", "An oak.", 0),  # before what it answers
    message("p1", None, "Name a tree."),
    message("a2", "p1", "A cod.", 1),
    message("a3", "p1", "Spam.", 2, deleted=True),
    message("p2", "a1", "And a fish?"),
    message("a4", "p2", "A cod.", 1),
    message("a5", "p2", "A pike.", 0),
    message("x1", "gone", "Whose answer is this?", 0),
]


def call(project: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "-c", str(project / "curate.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def query(project: Path, text: str) -> list[tuple[Any, ...]]:
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        return lake.rows(text)


VERDICTS = """
SELECT memory.content_text(prompts.messages[-1].content), len(prompts.messages), judgments.kind,
    memory.response_text(if(outcome = 'a', a.messages, b.messages))
FROM judgments JOIN prompts USING (prompt_id)
JOIN responses AS a ON a.response_id = response_a JOIN responses AS b ON b.response_id = response_b
ORDER BY 2
"""


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_messages_of_open_assistant_are_put_together(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"oasst1.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(MESSAGES), file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in MESSAGES), encoding="utf-8")
    (tmp_path / "curate.yaml").write_text("ingest: []\n", encoding="utf-8")
    assert "`oasst-messages`" in call(tmp_path, "ingest", "--explain", str(file))
    call(tmp_path, "ingest", "--yes", str(file))  # one row of two is an orphan, so it is not certain
    assert query(tmp_path, VERDICTS) == [
        ("Name a tree.", 1, "human", "An oak."),
        ("And a fish?", 3, "human", "A pike."),
    ]
    assert query(tmp_path, "SELECT line, reason FROM quarantine") == [
        (8, "No first message of a tree leads to it: `parent_id` is 'gone'.")
    ]


def test_reviews_of_faireval_are_joined_with_both_files_of_answers(tmp_path: Path) -> None:
    review = {
        "question_id": 1,
        "question": "Name a tree.",
        "review": ["Fine."],
        "review_bpc": [],
        "score": [9.0, 2.5],
    }
    files = {"review.jsonl": review} | {
        f"answer_{number}.jsonl": {
            "question_id": 1,
            "answer_id": text,
            "model_id": f"m{number}",
            "text": text,
        }
        for number, text in ((1, "An oak."), (2, "A cod."))
    }
    for name, row in files.items():
        (tmp_path / name).write_text(json.dumps(row) + "\n", encoding="utf-8")
    joins = ", ".join(f"{{source: answer_{n}.jsonl, by: question_id, name: answer_{n}}}" for n in (1, 2))
    source = f"{{source: review.jsonl, format: faireval, annotator: gpt-4, join: [{joins}]}}"
    (tmp_path / "curate.yaml").write_text(f"ingest: [{source}]\n", encoding="utf-8")
    call(tmp_path, "ingest")
    assert query(tmp_path, VERDICTS) == [("Name a tree.", 1, "llm", "An oak.")]
    assert query(tmp_path, "SELECT annotator_id, abs(score) FROM judgments") == [("gpt-4", 6.5)]
    assert query(tmp_path, "SELECT DISTINCT model FROM responses ORDER BY 1") == [("m1",), ("m2",)]


def test_two_files_of_one_name_are_two_annotators(tmp_path: Path) -> None:
    for folder, better in (("a", "An oak."), ("b", "A cod.")):
        (tmp_path / folder).mkdir()
        worse = {"An oak.": "A cod.", "A cod.": "An oak."}[better]
        row = {"prompt": "Name a tree.", "chosen": better, "rejected": worse}
        (tmp_path / folder / "votes.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    sources = (
        "{source: a/votes.jsonl, format: trl-preference}, {source: b/votes.jsonl, format: trl-preference}"
    )
    (tmp_path / "curate.yaml").write_text(f"ingest: [{sources}]\n", encoding="utf-8")
    call(tmp_path, "ingest")
    said = "SELECT annotator_id, count(*) FROM judgments GROUP BY 1 ORDER BY 1"
    assert query(tmp_path, said) == [("b/votes.jsonl", 1), ("votes.jsonl", 1)]
    for folder in "ab":  # files that grow keep their names
        with (tmp_path / folder / "votes.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"prompt": "A fish?", "chosen": "A cod.", "rejected": "An oak."}) + "\n")
    call(tmp_path, "ingest")
    assert query(tmp_path, said) == [("b/votes.jsonl", 2), ("votes.jsonl", 2)]


def test_people_in_meta_are_known_by_pseudonyms(tmp_path: Path) -> None:
    row = {
        "prompt": "Name a tree.", "chosen": "An oak.", "rejected": "A cod.", "annotator_name": "Zora Neale",
        "annotator": "Zora Lovelace", "contact": "Zora@lovelace.org", "worker_id": "W17", "topic": "Old Trees",
        "more": {"reviewer": "Grace Hopper", "seconds": 7, "mails": ["grace@hopper.org"]},
    }  # fmt: skip
    (tmp_path / "votes.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    fields = '{meta: ["*"]}'
    source = f"{{source: votes.jsonl, format: trl-preference, fields: {fields}}}"
    (tmp_path / "curate.yaml").write_text(f"ingest: [{source}]\n", encoding="utf-8")
    call(tmp_path, "ingest")
    ((meta, raw),) = query(tmp_path, "SELECT meta, raw FROM prompts JOIN judgments USING (prompt_id)")
    for text in (meta, raw):
        assert not any(name in text.lower() for name in ("zora", "lovelace", "grace", "hopper"))
        assert all(kept in text for kept in ("W17", "Old Trees", "seconds", "person-"))


def test_the_next_turns_of_a_chat_rate_the_answers_before_them(tmp_path: Path) -> None:
    def chat(*texts: str) -> dict[str, Any]:
        turns = [
            {"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)
        ]
        return {
            "conversation_id": texts[0],
            "model": "m1",
            "turn": len(texts) // 2,
            "language": "English",
            "conversation": turns,
        }

    chats = [
        chat("Name a tree.", "A cod.", "That's wrong.", "An oak.", "Thanks!", "You are welcome."),
        chat("Name a tree.", "An oak.", "Perfect, and a fish?", "A cod.", "And a bird?", "A tit."),
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats), encoding="utf-8")
    (tmp_path / "curate.yaml").write_text("ingest: [{source: chats.jsonl, format: auto}]\n", encoding="utf-8")
    call(tmp_path, "ingest")
    ratings = """
        SELECT memory.response_text(messages), score, rationale, kind, annotator_id FROM judgments
        JOIN responses ON response_id = response_a ORDER BY ALL
    """
    assert query(tmp_path, ratings) == [
        ("A cod.", 0.0, "complaint", "implicit", "next-turn"),
        ("An oak.", 1.0, "thanks", "implicit", "next-turn"),
        ("An oak.", 1.0, "thanks", "implicit", "next-turn"),
    ]
    same = "SELECT count(*) FROM responses GROUP BY prompt_id HAVING count(*) > 1"
    assert query(tmp_path, same) == [(2,)]  # both chats begin alike: two answers to compare
    call(tmp_path, "aggregate")
    assert query(tmp_path, "SELECT count(*) FROM preferences WHERE outcome <> 'tie'") == [(1,)]
