"""Verdicts on criteria as they were recorded: rows of the lake, or a file beside a file of preferences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.data.preference_files import read_data_rows
from curate.data.rubric import Criterion
from curate.lake.lake import Lake
from curate.rubric.labelled import LabelledPairs
from curate.rubric.matrix import CriterionMatrix, subtract_verdicts
from curate.rubric.measure import NamedFeature, measure_features, subtract_pairs

_COLUMNS = (
    "criterion",
    "response",
    "prompt_id",
    "prompt",
    "response_id",
    "satisfied",
    "p_satisfied",
    "failed",
)


def build_from_lake(lake: Lake, pairs: LabelledPairs, criteria: Sequence[Criterion]) -> CriterionMatrix:
    """Build the matrix of a lake's verdicts on criteria; the mean of several annotators counts, people's among them.

    Args:
        lake: The lake.
        pairs: Its labelled pairs.
        criteria: Criteria that verifiers judge (no features).
    """
    names = {criterion.criterion_id: criterion.name for criterion in criteria}
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    by_kind: dict[tuple[str, str, bool], list[float]] = defaultdict(list)
    failed: Counter[str] = Counter()
    for criterion, response, _, kind, satisfied, failures in lake.rows(read_query("rubric_verdicts")):
        if criterion not in names:
            continue
        failed[names[criterion]] += failures
        if satisfied is not None:
            values[criterion, response].append(satisfied)
            by_kind[criterion, response, kind == "human"].append(satisfied)
    mean = {key: float(np.mean(listed)) for key, listed in values.items()}
    return CriterionMatrix(
        pairs=pairs,
        criteria=tuple(criteria),
        differences=subtract_verdicts(pairs, criteria, mean),
        failed={name: number for name, number in failed.items() if number},
        people=_compare_people(names, by_kind),
    )


def _compare_people(
    names: Mapping[str, str], by_kind: Mapping[tuple[str, str, bool], list[float]]
) -> dict[str, tuple[int, int]]:
    """Count, by criterion, responses on which people and verifiers say the same, of those that both judged."""
    shared: dict[str, tuple[int, int]] = {}
    for (criterion, response, is_human), people in by_kind.items():
        others = by_kind.get((criterion, response, False))
        if not is_human or not others:
            continue
        same, both = shared.get(names[criterion], (0, 0))
        agree = (np.mean(people) > 0.5) == (np.mean(others) > 0.5)
        shared[names[criterion]] = same + int(agree), both + 1
    return shared


def build_from_file(path: Path, pairs: LabelledPairs, criteria: Sequence[Criterion]) -> CriterionMatrix:
    """Build the matrix of verdicts in a file beside labelled pairs.

    A row names a `criterion` (name or text), a response (`response_id`, or `response` as text with `prompt_id` or
    `prompt`), and says `satisfied` (true, false, null: it cannot be said) or `p_satisfied`; `failed: true` is counted.
    Several rows about the same are averaged.

    Raises:
        CurateError: A row names no criterion of the rubric, no response of the pairs, or no verdict.
    """
    known = {criterion.name: criterion for criterion in criteria} | {
        criterion.text: criterion for criterion in criteria
    }
    responses = _index_responses(pairs)
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    failed: Counter[str] = Counter()
    for number, row in enumerate(read_data_rows(path, _COLUMNS), start=1):
        where = f"{path}, row {number}"
        if not isinstance(row, Mapping):
            raise CurateError(f"{where}: is no JSON object with `criterion`, a response and `satisfied`.")
        criterion = known.get(str(row.get("criterion")))
        if criterion is None:
            raise CurateError(f"{where}: the rubric has no criterion {row.get('criterion')!r}.")
        if row.get("failed"):
            failed[criterion.name] += 1
            continue
        response = _find_response(row, responses)
        if response is None:
            raise CurateError(
                f"{where}: no such response is among the pairs: name it by `response_id`, or by `response` with "
                "`prompt` or `prompt_id`, as the preferences do."
            )
        satisfied = _read_verdict(row, where)
        if satisfied is not None:
            values[criterion.criterion_id, response].append(satisfied)
    mean = {key: float(np.mean(listed)) for key, listed in values.items()}
    return CriterionMatrix(
        pairs=pairs,
        criteria=tuple(criteria),
        differences=subtract_verdicts(pairs, criteria, mean),
        failed=dict(failed),
    )


def measure_criteria(
    pairs: LabelledPairs, criteria: Sequence[Criterion], features: Sequence[NamedFeature]
) -> CriterionMatrix:
    """Build the matrix of criteria that are features: each is measured, in units of its scale."""
    differences = subtract_pairs(pairs, measure_features(pairs, features))
    scale = np.array([criterion.scale or 1.0 for criterion in criteria])
    return CriterionMatrix(pairs=pairs, criteria=tuple(criteria), differences=differences / scale)


def join_matrices(first: CriterionMatrix, second: CriterionMatrix) -> CriterionMatrix:
    """Return one matrix with the criteria of both, which are about the same pairs."""
    return CriterionMatrix(
        pairs=first.pairs,
        criteria=(*first.criteria, *second.criteria),
        differences=np.hstack([first.differences, second.differences]),
        failed={**first.failed, **second.failed},
        people={**first.people, **second.people},
    )


def _index_responses(pairs: LabelledPairs) -> dict[tuple[str, ...], str]:
    index: dict[tuple[str, ...], str] = {}
    for identity, text, prompt in zip(pairs.response_ids, pairs.responses, pairs.prompt_of, strict=True):
        index[(identity,)] = identity
        index["id", pairs.prompt_ids[prompt], text] = identity
        index["text", pairs.prompts[prompt], text] = identity
    return index


def _find_response(row: Mapping[str, Any], responses: Mapping[tuple[str, ...], str]) -> str | None:
    keys: Iterable[tuple[str, ...]] = (
        (str(row.get("response_id")),),
        ("id", str(row.get("prompt_id")), str(row.get("response"))),
        ("text", str(row.get("prompt")), str(row.get("response"))),
    )
    return next((responses[key] for key in keys if key in responses), None)


def _read_verdict(row: Mapping[str, Any], where: str) -> float | None:
    likely, satisfied = row.get("p_satisfied"), row.get("satisfied")
    if isinstance(likely, int | float) and not isinstance(likely, bool) and 0.0 <= likely <= 1.0:
        return float(likely)
    if likely is None and satisfied is None and ("satisfied" in row or "p_satisfied" in row):
        return None
    if isinstance(satisfied, bool) and likely is None:
        return float(satisfied)
    raise CurateError(
        f"{where}: `satisfied` should be true, false or null, or `p_satisfied` a number from 0 to 1."
    )
