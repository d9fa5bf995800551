"""Old names that judges of users may import for one release: each comes with a sentence that says the new one."""

from __future__ import annotations

import pytest

import curate.judge
from curate.judge import Answer, CandidateResponse, Judge, PromptItem, Question, base


@pytest.mark.parametrize(("old", "new"), sorted(base.RENAMED.items()))
def test_an_old_name_is_the_new_object_with_a_warning(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(vars(curate.judge), old, raising=False)
    for module in (curate.judge, base):
        with pytest.warns(DeprecationWarning, match=f"`{old}` is now called `{new}`"):
            assert getattr(module, old) is getattr(module, new)
    monkeypatch.delitem(vars(curate.judge), old)


def test_old_members_of_a_judge_still_count() -> None:
    with pytest.warns(DeprecationWarning, match="is now called") as warnings:

        class Mine(Judge):
            hears = True
            quick = True

            def unessential(self) -> frozenset[str]:
                return frozenset({"colour"})

            def answer(self, questions: list[Question]) -> list[Answer]:  # type: ignore[override]
                return [Answer(outcome="tie") for _ in questions]

    assert len(warnings) == 3
    assert Mine.sees_other_judgments
    assert Mine.is_cheap
    assert Mine.non_identity_options is Mine.unessential


def test_the_old_name_of_a_question_s_item() -> None:
    item = PromptItem("p", (), None, (CandidateResponse("a", "x"), CandidateResponse("b", "y")))
    question = Question(item, item.candidates)
    with pytest.warns(DeprecationWarning, match=r"question\.item"):
        assert question.contest is item
