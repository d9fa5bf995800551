"""The rows of the table `annotators`: measured habits, and the estimates of the annotator model."""

from __future__ import annotations

import numpy as np
import polars as pl

from curate.aggregate.calibration import compute_calibration_error
from curate.aggregate.human_votes import People
from curate.aggregate.labelling import Labelling
from curate.aggregate.posterior import DIGITS
from curate.aggregate.rewards.fused import NAME as ENSEMBLE
from curate.aggregate.votes import Float64, Votes


def build_annotator_rows(
    judged: pl.DataFrame, measured: pl.DataFrame, votes: Votes, labelling: Labelling
) -> pl.DataFrame:
    """Build one row per annotator: its judgments, its measured habits, and the model's estimates where there are any.

    Biases of the model, which are log-odds, become their effect on an even pair: P(first or longer wins) - 1/2.

    Args:
        judged: How many judgments each annotator made; `name` is unique.
        measured: The measured habits, as of `measure_annotators`.
        votes: The votes of judges and people.
        labelling: The labels of all pairs.
    """
    fit = labelling.posterior.fit
    columns = {
        "calibration_error": _measure_calibration(votes, labelling.people),
        "trust": np.where(votes.human, labelling.people.trust, np.nan),
    }
    if fit is not None:
        columns |= {"ability": fit.ability, "length_bias": 1 / (1 + np.exp(-fit.length_bias)) - 0.5}
    # Once an annotator's contradictions are dropped, the fit does not see its position bias any more.
    if fit is not None and fit.model == "panel" and labelling.section.method == "ensemble-then-denoise":
        columns["position_bias"] = 1 / (1 + np.exp(-fit.position_bias)) - 0.5
    fitted = pl.DataFrame({"name": votes.annotators} | columns, schema_overrides={"name": pl.String})
    fitted = fitted.with_columns(pl.exclude("name").round(DIGITS).fill_nan(None))
    measured = judged.join(
        measured.rename({"annotator_id": "name"}), on="name", how="left", maintain_order="left"
    )
    if votes.annotators[-1:] and votes.annotators[-1] not in judged["name"].to_list():
        own = {
            "annotator_id": ENSEMBLE,
            "name": votes.annotators[-1],
            "kind": "reward-model",
            "n": int(np.sum(votes.annotator == len(votes.human) - 1)),
        }
        measured = pl.concat(
            [measured, pl.DataFrame([own], schema_overrides={"n": measured.schema["n"]})], how="diagonal"
        )
    joined = measured.join(fitted, on="name", how="left", suffix="_fitted", maintain_order="left")
    return joined.with_columns(
        pl.coalesce(f"{name}_fitted", name).alias(name)
        for name in columns
        if f"{name}_fitted" in joined.columns
    )


def _measure_calibration(votes: Votes, people: People) -> Float64:
    """Measure the calibration error of each judge's own probabilities on the pairs that people judged, float64[A].

    NaN for people, for judges that give no probabilities, and without labels.
    """
    errors = np.full(len(votes.annotators), np.nan)
    if not len(people):
        return errors
    key = votes.pair_keys()
    known = np.flatnonzero(np.isin(key, people.pairs) & ~votes.human[votes.annotator])
    outcome = (1 + np.sign(people.verdict[np.searchsorted(people.pairs, key[known])])) / 2
    p_a = votes.p_a[known].astype(np.float64)
    for k in np.unique(votes.annotator[known]):
        is_own = votes.annotator[known] == k
        if not np.isin(p_a[is_own], (0.0, 0.5, 1.0)).all():
            errors[k] = compute_calibration_error(p_a[is_own], outcome[is_own])
    return errors
