"""What people who were forgotten have answered, in Label Studio or elsewhere, does not come in again."""

from __future__ import annotations

from typing import Any

import pytest

from curate.core.errors import CurateError
from curate.data.pseudonym import Pseudonyms
from curate.lake.forgotten import ForgottenNames, digest_name
from curate.lake.lake import Lake
from curate.records import VerifyTask
from curate.verify.answers import OfflineAnswer, OfflineQuestion, record_answers
from curate.verify.exported import read_task
from curate.verify.forms import Verdict
from curate.verify.pull import _find_newest, _People


class Server:
    """The users of a Label Studio."""

    url = "http://localhost:8080"

    def list_emails(self) -> dict[int, str]:
        return {1: "ada@example.org", 2: "bob@example.org"}


def test_annotations_of_a_forgotten_person_are_left_and_counted() -> None:
    pseudonyms = Pseudonyms(b"secret")
    digest = digest_name("person", pseudonyms.of("ada@example.org"))
    people = _People(Server(), pseudonyms, ForgottenNames({"person": frozenset({digest})}))  # type: ignore[arg-type]
    task = VerifyTask(
        task_id="t", prompt_id="p", form="pairwise", responses=("a", "b"), strategy="random", run_id="r"
    )
    annotations = [
        {"id": 7, "completed_by": 1, "was_cancelled": True, "updated_at": "1"},
        {"id": 8, "completed_by": 2, "was_cancelled": True, "updated_at": "2", "updated_by": 1},
    ]
    data = {"task": "t", "form": "pairwise", "order": ["b", "a"]}
    item = read_task({"id": 5, "data": data, "annotations": annotations})
    newest, read, dropped, _ = _find_newest([item], {"t": task}, people)
    assert [(answer.annotator, answer.edited_by) for answer in newest.values()] == [
        (pseudonyms.of("bob@example.org"), None)
    ]
    assert (read, dropped) == (2, {"of a forgotten person": 1})


def test_a_forgotten_person_cannot_answer(lake: Lake) -> None:
    task = VerifyTask(
        task_id="t", prompt_id="p", form="pairwise", responses=("a", "b"), strategy="random", run_id="r"
    )
    question = OfflineQuestion(
        task=task, asked_as="pairwise", order=("a", "b"), prompt="", texts=("one", "two")
    )
    answer = OfflineAnswer(question=question, verdict=Verdict("a"))
    with lake.write("forget") as writer:
        writer.append(
            "forgotten",
            lake.arrow(
                "SELECT 'person' AS kind, ? AS digest, 'r' AS run_id", [digest_name("person", "person-1")]
            ),
        )
    with pytest.raises(CurateError, match="person-1 was forgotten"):
        record_answers(lake, "person-1", [answer], part="terminal")
    assert record_answers(lake, "person-2", [answer], part="terminal") == (1, 0)


@pytest.mark.parametrize(
    ("order", "result"),
    [
        (["b", "a"], [{"from_name": "verdict", "value": {"choices": ["left-999"]}}]),
        (["b", "a"], [{"from_name": "verdict", "value": {"choices": ["best"]}}]),
        (["b", "a"], [{"from_name": "verdict", "value": {"choices": 5}}]),
        (["b", "a"], [{"from_name": "verdict", "value": ["left-1"]}]),
        (["b", "a"], [None]),
        (["b", "c"], [{"from_name": "verdict", "value": {"choices": ["left-1"]}}]),
    ],
)
def test_an_answer_that_no_form_gives_is_left_and_takes_no_other_one_with_it(
    order: list[str], result: list[Any]
) -> None:
    people = _People(Server(), Pseudonyms(b"secret"), ForgottenNames({}))  # type: ignore[arg-type]
    tasks = {
        name: VerifyTask(
            task_id=name, prompt_id="p", form="pairwise", responses=("a", "b"), strategy="random", run_id="r"
        )
        for name in ("forged", "honest")
    }
    answered: list[dict[str, Any]] = [
        {"order": order, "result": result},
        {"order": ["b", "a"], "result": [{"from_name": "verdict", "value": {"choices": ["left-1"]}}]},
    ]
    items = [
        {
            "id": number,
            "data": {"task": name, "form": "pairwise", "order": answer["order"]},
            "annotations": [
                {"id": number, "completed_by": 2, "lead_time": float("nan"), "result": answer["result"]}
            ],
        }
        for number, (name, answer) in enumerate(zip(tasks, answered, strict=True))
    ]
    newest, read, dropped, unread = _find_newest(list(map(read_task, items)), tasks, people)
    assert [(task, answer.verdict.outcome, answer.seconds) for (task, _), answer in newest.items()] == [
        ("honest", "b", 0.0)
    ]
    assert (read, dropped, {task for task, _ in unread}) == (2, {"that cannot be read": 1}, {"forged"})
