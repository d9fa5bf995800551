"""The check of answers between any judge (ours, a server's, a user's own) and the lake.

An answer that is no judgment becomes a failed one: a probability of 1.7, NaN, an outcome that does not exist, a ranking
of other responses, a verdict against its own probability. Its `raw` says why, and keeps the judge's own `raw`.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real

from curate.data.native import explain_contradiction
from curate.engine.base import Failure
from curate.judge.base import Answer, Question, fail
from curate.records import Outcome

_OUTCOMES: tuple[str, ...] = typing.get_args(Outcome)
_MOST_TOKENS = 1 << 62  # the sum over a chunk has to fit into 64 bits
_SHOWN = 80  # characters of a value that a reason repeats


def check_answer(question: Question, answer: Answer) -> Answer:
    """Return the answer as the lake can hold it, or a failed one."""
    reason = _find_fault(question, answer)
    if reason is not None:
        tokens = [
            count if _find_bad_count(count) is None else 0 for count in (answer.tokens_in, answer.tokens_out)
        ]
        raw = answer.raw if answer.raw is None else str(answer.raw)
        answer = fail(Failure(f"no judgment: {reason}", raw), tokens_in=tokens[0], tokens_out=tokens[1])
    changes: dict[str, object] = {}
    for name, value in (("p_a", answer.p_a), ("score", answer.score), ("score_sd", answer.score_sd)):
        if value is not None and (answer.outcome == "failed" or type(value) is not float):
            changes[name] = None if answer.outcome == "failed" else float(value)
    if answer.scores is not None:
        changes["scores"] = None if answer.outcome == "failed" else tuple(map(float, answer.scores))
    if answer.ranking is not None:
        changes["ranking"] = None if answer.outcome == "failed" else tuple(map(str, answer.ranking))
    for name, text in (("raw", answer.raw), ("rationale", answer.rationale)):
        if text is not None and not text.isascii() and (stored := _replace_surrogates(text)) != text:
            changes[name] = stored
    return replace(answer, **changes) if changes else answer  # type: ignore[arg-type]  # each of its field's type


def _find_fault(question: Question, answer: Answer) -> str | None:
    """Explain why the answer is no judgment of this question; None if it is one."""
    if not isinstance(answer.outcome, str) or answer.outcome not in _OUTCOMES:
        return f"the outcome is {_show_value(answer.outcome)}, and not one of {', '.join(_OUTCOMES)}"
    texts: tuple[tuple[str, object], ...] = (("raw", answer.raw), ("rationale", answer.rationale))
    for name, text in texts:
        if text is not None and not isinstance(text, str):
            return f"`{name}` is {_show_value(text)}, and not a text"
    for name, count in (("tokens_in", answer.tokens_in), ("tokens_out", answer.tokens_out)):
        if (fault := _find_bad_count(count)) is not None:
            return f"`{name}` is {fault}"
    if answer.outcome == "failed":
        return None
    for name, value in (("p_a", answer.p_a), ("score", answer.score), ("score_sd", answer.score_sd)):
        if value is not None and not _is_finite(value):
            return f"`{name}` is {_show_value(value)}, and not a finite number"
    if answer.p_a is not None and not 0 <= answer.p_a <= 1:
        return f"`p_a` is {answer.p_a:g}, and not between 0 and 1"
    if answer.score_sd is not None and answer.score_sd < 0:
        return f"`score_sd` is {answer.score_sd:g}, below 0"
    if question.form == "pairwise":
        return (
            None
            if (fault := explain_contradiction(answer.outcome, answer.p_a)) is None
            else fault.replace("winner", "outcome")
        )
    if answer.outcome not in ("a", "abstain"):
        return f"the outcome is {answer.outcome!r}, but a {question.form} judgment has the outcome 'a' or 'abstain'"
    if question.form == "pointwise":
        return "there is no `score`" if answer.outcome == "a" and answer.score is None else None
    return _find_fault_of_list(question, answer)


def _find_fault_of_list(question: Question, answer: Answer) -> str | None:
    ids = [candidate.response_id for candidate in question.asked]
    scores, ranking = answer.scores, answer.ranking
    if scores is not None:
        if not isinstance(scores, Sequence) or len(scores) != len(ids):
            return f"`scores` has to hold {len(ids)} numbers, one for each response in the order of `asked`"
        wrong = [score for score in scores if not _is_finite(score)]
        if wrong:
            return f"a score is {_show_value(wrong[0])}, and not a finite number"
    if ranking is not None:
        if not isinstance(ranking, Sequence) or sorted(map(str, ranking)) != sorted(ids):
            return "`ranking` has to name each response of the list once, by its id"
        if scores is not None:
            by_id = dict(zip(ids, scores, strict=True))
            ordered = [by_id[response_id] for response_id in ranking]
            if ordered != sorted(ordered, reverse=True):
                return "`ranking` contradicts `scores`"
    if answer.outcome == "a" and scores is None and ranking is None:
        return "there are neither `scores` nor a `ranking`"
    return None


def _is_finite(value: object) -> bool:
    if type(value) is float:  # nearly all are, and the tests below take ten times as long
        return math.isfinite(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _find_bad_count(count: object) -> str | None:
    if type(count) is int and 0 <= count <= _MOST_TOKENS:
        return None
    if isinstance(count, bool) or not isinstance(count, Integral):
        return f"{_show_value(count)}, and not a whole number"
    return None if 0 <= int(count) <= _MOST_TOKENS else f"{_show_value(count)}, and no number of tokens"


def _replace_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs, which no table can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _show_value(value: object) -> str:
    try:
        return repr(value)[:_SHOWN]
    except Exception:
        return f"a {type(value).__name__}"
