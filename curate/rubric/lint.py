"""Look for what is wrong with a rubric that can be seen without any data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from curate.data.rubric import Criterion, Rubric

_MOST_CRITERIA = 15
_SAME = 0.7  # share of words in common from which two criteria say nearly the same
# "best practices" and "answer a question" are no verdicts: a word of comparison must be said of the response.
_VERDICT = re.compile(
    r"\b(?:(?i:(?:is|are|be|was|were|seems) (?:much |clearly |overall |the )?"
    r"(?:better|best|worse|worst|superior|inferior|preferred|preferable|chosen|rejected)\b"
    r"|(?:better|best|worse|worst|superior|inferior|preferred|chosen|rejected|winning|losing) "
    r"(?:response|answer|option|one|candidate|output|completion)\b"
    r"|(?:better|worse) than (?:the other|its rival|the alternative))"
    r"|(?i:response|answer|option) [AB12]\b)"
)
_VAGUE = re.compile(
    r"\b(?:is|be|are) (?:very |really )?(?:good|bad|nice|great|high[- ]quality|of high quality)\b",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    r"\b(?:long|longer|short|shorter|length|concise|brief|verbose|detailed|comprehensive|thorough)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Finding:
    """A flaw of a criterion, or of the rubric where `criterion` is None; `is_error`: it makes verdicts worthless."""

    criterion: str | None
    problem: str
    is_error: bool = False


def lint_rubric(rubric: Rubric) -> list[Finding]:
    """List what is wrong with a rubric, errors first."""
    findings = [finding for criterion in rubric.criteria for finding in _lint_criterion(criterion)]
    findings += _find_repeats(rubric)
    if len(rubric.criteria) > _MOST_CRITERIA:
        findings.append(
            Finding(
                None,
                f"It has {len(rubric.criteria)} criteria: people and judges keep about {_MOST_CRITERIA} in mind. "
                "Keep those that predict with `curate rubric select`.",
            )
        )
    return sorted(findings, key=lambda finding: not finding.is_error)


def restates_label(text: str) -> bool:
    """Tell whether a criterion says which response is better in place of why."""
    return _VERDICT.search(text) is not None or _VAGUE.search(text) is not None


def _lint_criterion(criterion: Criterion) -> Iterator[Finding]:
    if criterion.kind != "feature" and (match := _VERDICT.search(criterion.text)):
        yield Finding(
            criterion.name,
            f"It speaks of {match[0]!r}: a criterion is true or false of one response, and does not restate the label.",
            is_error=True,
        )
    if match := _VAGUE.search(criterion.text):
        yield Finding(
            criterion.name, f"{match[0]!r} names the verdict in place of its reason.", is_error=True
        )
    if criterion.text.rstrip().endswith("?"):
        yield Finding(criterion.name, "It is a question: write it as a sentence that is true or false.")
    if criterion.kind != "feature" and (match := _LENGTH.search(criterion.text)):
        yield Finding(
            criterion.name,
            f"{match[0]!r} can reward length alone: see its correlation with length in `curate rubric verify`.",
        )
    if criterion.weight == 0.0:
        yield Finding(criterion.name, "Its weight is 0, so that it counts nothing.")
    if len(_WORD.findall(criterion.text)) > 60:
        yield Finding(
            criterion.name, "It has more than 60 words: split it into sentences that can be judged alone."
        )


def _find_repeats(rubric: Rubric) -> Iterator[Finding]:
    words = [set(_WORD.findall(criterion.text.lower())) for criterion in rubric.criteria]
    for second, criterion in enumerate(rubric.criteria):
        for first in range(second):
            other = rubric.criteria[first]
            if {criterion.kind, other.kind} & {"feature"}:
                if criterion.feature == other.feature:
                    yield Finding(criterion.name, f"It measures the same as {other.name}.", is_error=True)
                continue
            union = words[first] | words[second]
            if union and len(words[first] & words[second]) / len(union) >= _SAME:
                yield Finding(criterion.name, f"It says nearly the same as {other.name}.")
