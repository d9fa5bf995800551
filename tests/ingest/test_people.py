"""Verdicts of people count as people's, and people are known by pseudonyms."""

from __future__ import annotations

from typing import Any

import pytest

from curate.aggregate import aggregate_judgments
from curate.config.ingest import Fields, Source
from curate.config.project import Config
from curate.lake.lake import Lake
from tests.ingest.samples import Take, lines, native, rejected

VOTE = {"prompt": "q1", "a": "r0", "b": "r1", "annotator": "w", "winner": "a"}
NOW = """SELECT annotator_id, kind FROM judgments
    WHERE judgment_id NOT IN (SELECT supersedes FROM judgments WHERE supersedes IS NOT NULL) ORDER BY ALL"""


def hh(number: int) -> dict[str, str]:
    opening = f"\n\nHuman: Question {number}?\n\nAssistant:"
    return {"chosen": f"{opening} yes", "rejected": f"{opening} no, and at length"}


def test_verdicts_of_hh_rlhf_are_labels_of_people(lake: Lake, take: Take) -> None:
    take("hh.jsonl", lines(*map(hh, range(40))), format="hh-rlhf")
    aggregate_judgments(lake, Config())
    assert lake.rows("SELECT status, count(*) FROM final_preferences GROUP BY ALL") == [("verified", 40)]
    assert lake.value("SELECT count(*) FROM human_judgments") == 40


def test_a_source_says_that_its_annotators_are_people(lake: Lake, take: Take) -> None:
    row = {"p": "Which?", "x": "l", "y": "r", "vote": "a", "who": "W1"}
    fields = Fields(prompt="p", a="x", b="y", winner="vote", annotator="who", annotator_kind="type")
    take("a.jsonl", lines(row, row | {"who": "W2", "type": "rule"}), fields=fields, annotator_kind="human")
    take(
        "b.jsonl",
        lines({"prompt": "p", "chosen": "c", "rejected": "r"}),
        format="trl-preference",
        annotator="crowd",
    )
    assert lake.rows(NOW) == [("W1", "human"), ("W2", "rule"), ("crowd", "imported")]


def test_judgments_of_a_source_of_people(lake: Lake, take: Take) -> None:
    take("responses.jsonl", lines(native(1)))
    take("plain.jsonl", lines(VOTE, VOTE | {"annotator": "m", "kind": "llm"}, VOTE | {"odd": 1}),
         kind="judgments", annotator_kind="human")  # fmt: skip
    take(
        "votes.csv", b"prompt,a,b,annotator,winner\nq1,r0,r1,v,b\n", kind="judgments", annotator_kind="human"
    )
    mapped = VOTE | {"worker": "u"}
    take(
        "mapped.jsonl",
        lines(mapped),
        kind="judgments",
        annotator_kind="human",
        fields=Fields(annotator="worker"),
    )
    assert lake.rows(NOW) == [
        ("m", "llm"), ("u", "human"), ("v", "human"), ("w", "human"),
    ]  # fmt: skip
    assert [reason for _, reason in rejected(lake)] == ["`odd` is no known key."]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"annotator_kind": "person"}, "annotator_kind"),
        ({"annotator_kind": "meta"}, "annotator_kind"),
        ({"fields": {"annotator_kind": "human"}}, "write `annotator_kind: human` beside `fields`"),
    ],
)
def test_kinds_that_nobody_can_say(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source.model_validate({"source": "x", **options})


def test_what_people_said_supersedes_what_an_older_version_had_of_them(lake: Lake, take: Take) -> None:
    take("hh.jsonl", lines(hh(1)), format="hh-rlhf", annotator_kind="imported", annotator="crowd")
    for _ in range(2):
        take("hh.jsonl", lines(hh(1)), format="hh-rlhf", annotator="crowd")
        assert lake.rows(NOW) == [("crowd", "human")]
        assert lake.value("SELECT count(*) FROM judgments") == 2


ADDRESS = "Ada.L@example.org"


def test_people_known_by_address_get_a_pseudonym(lake: Lake, take: Take) -> None:
    take("responses.jsonl", lines(native(1)))
    names = {ADDRESS: "human", "ada.l@example.org ": "imported", "m@example.org": "llm", "m@v1.5": "human"}
    rows = [VOTE | {"annotator": name, "kind": kind} for name, kind in names.items()]
    rows[1]["shown"] = "ab"
    take("votes.jsonl", lines(*rows), kind="judgments")
    found = lake.rows("SELECT DISTINCT annotator_id FROM judgments WHERE annotator_id NOT LIKE 'm@%'")
    assert len(found) == 1
    assert found[0][0].startswith("person-")
    row = {"instruction": "p", "output_1": "x", "output_2": "y", "preference": 1, "annotator": ADDRESS}
    take("rows.jsonl", lines(row), format="alpaca-eval", annotator_kind="human")
    assert lake.value("SELECT count(*) FROM judgments WHERE annotator_id = ?", [found[0][0]]) == 3


def test_a_pseudonym_supersedes_the_address_of_an_older_version(
    lake: Lake, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    take("responses.jsonl", lines(native(1)))
    content = lines(VOTE | {"annotator": ADDRESS, "kind": "human"})
    with monkeypatch.context() as patch:
        patch.setattr("curate.ingest.people.is_address", lambda name: False)
        take("votes.jsonl", content, kind="judgments")
    assert lake.rows(NOW) == [(ADDRESS, "human")]
    take("again.jsonl", content, kind="judgments")
    take("again.jsonl", content + b"\n", kind="judgments")
    ((name, kind),) = lake.rows(NOW)
    assert name.startswith("person-")
    assert kind == "human"
    assert lake.value("SELECT count(*) FROM judgments") == 2


def test_columns_with_dots_and_tabs(lake: Lake, take: Take) -> None:
    content = b"Input.prompt\tInput.x\tInput.y\tAnswer.vote\tWorkerId\nWhich?\tl\tr\tA\tW1\n"
    fields = Fields(
        prompt="Input.prompt",
        a="Input.x",
        b="Input.y",
        winner="Answer.vote",
        annotator="WorkerId",
        winners={"A": "a"},
    )
    take("votes.tsv", content, fields=fields, annotator_kind="human")
    take("votes.csv", content.replace(b"\t", b","), fields=fields, annotator_kind="human")
    assert lake.rows(NOW) == [("W1", "human")]
