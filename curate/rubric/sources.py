"""Find the verdicts on a rubric's criteria beside labels, wherever both are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from curate.config.project import Config, load_config
from curate.core.errors import CurateError
from curate.data.rubric import Criterion, Rubric
from curate.lake.lake import Lake
from curate.rubric.labelled import LabelledPairs, read_labelled_pairs, read_labels, take_pairs
from curate.rubric.matrix import CriterionMatrix
from curate.rubric.measure import NamedFeature, open_features
from curate.rubric.recorded import build_from_file, build_from_lake, join_matrices, measure_criteria


def find_verdicts(
    rubric: Rubric, source: Path, *, verdicts: Path | None = None, people: bool = False
) -> tuple[CriterionMatrix, int]:
    """Return verdicts beside labels, and how many pairs were left out since the rubric was learnt from their prompts.

    Features are measured. Other criteria have recorded verdicts: rows of a project's lake, or of the file `verdicts`.

    Args:
        rubric: The rubric.
        source: Preference data, or a project.
        verdicts: File of recorded verdicts, beside preference data.
        people: Of a project, only the labels that people gave.

    Raises:
        CurateError: There are no labels, or no verdicts on a criterion.
    """
    config = source / "curate.yaml" if source.is_dir() else source
    is_project = config.suffix in (".yaml", ".yml") and config.is_file()
    settings = load_config(config) if is_project else Config()
    measured = [criterion for criterion in rubric.criteria if criterion.kind == "feature"]
    judged = [criterion for criterion in rubric.criteria if criterion.kind != "feature"]
    left_out = 0
    parts = []
    if is_project and verdicts is None:
        with Lake.open(settings.location, read_only=True) as lake:
            pairs, left_out = _leave_out(read_labels(lake, people=people), _list_learnt(lake, rubric))
            if judged:
                parts.append(build_from_lake(lake, pairs, judged))
    else:
        pairs = read_labelled_pairs(source, people=people)
        if judged and verdicts is None:
            raise CurateError(
                f"The criteria of {rubric.name} need verdicts, and {source} is no project that has any: name a file of "
                "recorded verdicts with --verdicts."
            )
        if judged and verdicts is not None:
            parts.append(build_from_file(verdicts, pairs, judged))
    if not len(pairs):
        raise CurateError(f"{source} has no labelled pairs that {rubric.name} was not learnt from.")
    if measured:
        parts.append(measure_criteria(pairs, measured, open_for(measured, settings)))
    matrix = parts[0] if len(parts) == 1 else join_matrices(*parts)
    _refuse_silence(matrix, rubric)
    return matrix, left_out


def open_for(criteria: list[Criterion], settings: Config) -> list[NamedFeature]:
    """Open the features that criteria measure; relative files start at the folder of curate.yaml."""
    folder = settings.resolve(".")
    return [open_features([str(criterion.feature)], folder=folder)[0] for criterion in criteria]


def _refuse_silence(matrix: CriterionMatrix, rubric: Rubric) -> None:
    silent = [
        criterion.name
        for column, criterion in enumerate(matrix.criteria)
        if np.isnan(matrix.differences[:, column]).all()
    ]
    if silent and len(silent) == len(matrix.criteria):
        raise CurateError(
            f"No pair has verdicts on both responses by any criterion of {rubric.name}: let a verifier judge them "
            "first."
        )


def _list_learnt(lake: Lake, rubric: Rubric) -> set[str]:
    """List the prompts from which a rubric was learnt, where its row names them as `learnt_from`."""
    listed: set[str] = set()
    for (details,) in lake.rows("SELECT details FROM rubrics WHERE revision = ?", [rubric.revision]):
        listed.update(json.loads(details).get("learnt_from") or ())
    return listed


def _leave_out(pairs: LabelledPairs, prompts: set[str]) -> tuple[LabelledPairs, int]:
    """Leave out the pairs of some prompts; return the others, and how many were left out."""
    if not prompts:
        return pairs, 0
    learnt = np.array([identity in prompts for identity in pairs.prompt_ids], np.bool_)[pairs.prompt]
    return take_pairs(pairs, ~learnt), int(learnt.sum())
