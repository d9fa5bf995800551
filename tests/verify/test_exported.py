"""What whoever has a key of Label Studio can store: no answer of it takes another one with it, and none is invented."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.core.errors import CurateError
from curate.data.pseudonym import Pseudonyms
from curate.lake.forgotten import ForgottenNames
from curate.records import VerifyTask
from curate.verify.exported import read_task
from curate.verify.pull import Annotation, _find_newest, _People
from curate.verify.server import LabelStudioClient, LabelStudioProject

TASKS = {
    name: VerifyTask(
        task_id=name, prompt_id="p", form=form, responses=responses, strategy="random", run_id="r"
    )
    for name, form, responses in (
        ("pair", "pairwise", ("a", "b")),
        ("list", "listwise", ("a", "b", "c")),
        ("point", "pointwise", ("a",)),
        ("honest", "pairwise", ("a", "b")),
    )
}
HONEST = {
    "id": 1,
    "data": {"task": "honest", "form": "pairwise", "order": ["b", "a"]},
    "annotations": [
        {"id": 1, "completed_by": 2, "result": [{"from_name": "verdict", "value": {"choices": ["left-1"]}}]}
    ],
}
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        [10**400, -1, "left-1", "right-3", "1", "\ud800", "\0", "pair", "list", "point", "a", "b", "pass"]
    )
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("id"), inner, max_size=3)
    ),
    max_leaves=6,
)
FORMS = st.sampled_from(
    ["pairwise", "pairwise-turns", "ranking", "ranking-media", "pass-fail", "rubric", "critique"]
)
REGIONS = st.fixed_dictionaries(
    {},
    optional={
        "from_name": st.sampled_from(["verdict", "ranking", "met", "spans", "rationale"]) | ODD,
        "value": ODD
        | st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("choices", "ranker", "text", "labels", "start", "end"), ODD)
        ),
    },
)
ANNOTATIONS = ODD | st.fixed_dictionaries(
    {},
    optional={
        "id": ODD | st.integers(0, 9),
        "completed_by": ODD | st.integers(1, 2),
        "updated_by": ODD,
        "was_cancelled": ODD,
        "lead_time": ODD,
        "updated_at": ODD
        | st.sampled_from(["2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "zzz", "2026-01-01"]),
        "result": ODD | st.lists(REGIONS | ODD, max_size=3),
    },
)
ITEMS = ODD | st.fixed_dictionaries(
    {},
    optional={
        "id": ODD | st.integers(0, 9),
        "data": ODD
        | st.fixed_dictionaries(
            {},
            optional={
                "task": ODD | st.sampled_from(["pair", "list", "point"]),
                "form": ODD | FORMS,
                "order": ODD
                | st.permutations(["a", "b", "c"])
                | st.permutations(["a", "b"])
                | st.just(["a"]),
                "revision": ODD,
                "assist": ODD,
                "criteria": ODD | st.lists(st.fixed_dictionaries({"value": ODD}), max_size=2),
                "asked_criteria": ODD,
            },
        ),
        "annotations": ODD | st.lists(ANNOTATIONS, max_size=3),
    },
)


class Server:
    """The users of a Label Studio."""

    url = "http://localhost:8080"

    def list_emails(self) -> dict[int, str]:
        return {1: "ada@example.org", 2: "bob@example.org"}


PEOPLE = _People(Server(), Pseudonyms(b"secret"), ForgottenNames({}))  # type: ignore[arg-type]


def find_newest(
    items: list[Any],
) -> tuple[dict[tuple[str, str], Annotation], int, int, set[tuple[str, str | None]]]:
    newest, read, dropped, unread = _find_newest(list(map(read_task, items)), TASKS, PEOPLE)
    return newest, read, sum(dropped.values()), unread


@settings(max_examples=400, deadline=None)
@given(st.lists(ITEMS, max_size=3))
def test_no_answer_takes_another_one_with_it(items: list[Any]) -> None:
    newest, read, dropped, _ = find_newest([*items, HONEST])
    honest = [answer for (task, _), answer in newest.items() if task == "honest"]
    assert [answer.verdict.outcome for answer in honest] == ["b"]
    assert read >= len(newest) + dropped
    for (task, _), answer in newest.items():
        assert set(answer.data.order) == set(TASKS[task].responses)
        assert len(answer.digest) == 32  # whatever it holds can be stored
        json.dumps(answer.verdict.details, allow_nan=False).encode()


def make_item(**changes: Any) -> dict[str, Any]:
    annotation = {**HONEST["annotations"][0], **changes.pop("annotation", {})}  # type: ignore[index]
    data = {**HONEST["data"], "task": "pair", **changes.pop("data", {})}  # type: ignore[dict-item]
    return {"id": 5, "data": data, "annotations": [annotation], **changes}


@pytest.mark.parametrize(
    "item",
    [
        make_item(data={"form": "ranking"}),  # of a pair
        make_item(data={"form": "unheard"}),
        make_item(data={"form": None}),
        make_item(data={"order": ["a", "a"]}),
        make_item(data={"order": [["a"], "b"]}),
        make_item(annotation={"id": "seven"}),
        make_item(annotation={"completed_by": [2]}),
        make_item(annotation={"updated_at": "soon"}),
        make_item(annotation={"result": [{"from_name": "rationale", "value": {"text": "\ud800"}}]}),
        make_item(annotation={"result": [{"from_name": "rationale", "value": {"text": {"a": []}}}]}),
        make_item(annotations=["no annotation"]),
    ],
)
def test_what_cannot_be_read_is_counted_and_deletes_nothing(item: dict[str, Any]) -> None:
    newest, read, dropped, unread = find_newest([item])
    assert (newest, read, dropped) == ({}, 1, 1)
    assert {task for task, _ in unread} == {"pair"}


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -5, 10**400, "long", True, [1]])
def test_a_time_that_is_none_costs_no_answer(seconds: Any) -> None:
    newest, *_ = find_newest([make_item(annotation={"lead_time": seconds})])
    assert [answer.seconds for answer in newest.values()] == [0.0]


def test_the_newest_answer_is_the_newest_by_time_not_by_its_letters() -> None:
    times = ["2026-03-01T10:00:00Z", "2026-03-01T12:30:00+05:00"]  # the second is 07:30
    items = [
        make_item(
            annotation={
                "id": number,
                "updated_at": time,
                "result": [{"from_name": "verdict", "value": {"choices": [choice]}}],
            }
        )
        for number, (time, choice) in enumerate(zip(times, ["left-1", "right-1"], strict=True))
    ]
    newest, *_ = find_newest(items)
    assert [answer.verdict.outcome for answer in newest.values()] == ["b"]


@pytest.mark.parametrize("text", [b"[" * 100_000, b"{}", b"null", b"\xff", b"[" + b"9" * 5000 + b"]", b""])
def test_an_export_that_is_no_list_of_tasks_is_a_sentence(text: bytes) -> None:
    class Exports:
        def download_sync(self, *_: Any, **__: Any) -> list[bytes]:
            return [text]

    class Sdk:
        class projects:  # noqa: N801
            exports = Exports()

    pytest.importorskip("label_studio_sdk")
    client = LabelStudioClient("http://localhost:8080", Sdk(), None)  # type: ignore[arg-type]
    with pytest.raises(CurateError, match="something else than a list of tasks: look at"):
        list(client.iterate_annotations(LabelStudioProject(3, "demo - pairwise")))
