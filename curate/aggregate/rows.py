"""The rows of the lake's tables that an aggregation writes, as columns in the types of the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from curate.aggregate.annotator_rows import build_annotator_rows
from curate.aggregate.encode import EncodedVotes
from curate.aggregate.graph.solution import DenoisedGraphs
from curate.aggregate.guarantee_report import build_guarantee_rows
from curate.aggregate.labelling import Labelling
from curate.aggregate.posterior import DIGITS
from curate.aggregate.ranking.prompt_scores import as_votes, fit_prompt_scores, order_scores
from curate.aggregate.votes import Int8
from curate.records import TABLES, arrow_schema

Columns = Mapping[str, pa.Array | NDArray[Any] | list[Any]]
Row = Mapping[str, Any]


def build_tables(
    encoded: EncodedVotes,
    labelling: Labelling,
    *,
    judged: pl.DataFrame,
    measured: pl.DataFrame,
    assessment: Row,
    stamp: Row,
) -> dict[str, pa.Table]:
    """Build the rows of all tables of an aggregation.

    Args:
        encoded: The votes with the ids behind their indexes.
        labelling: The labels of all pairs.
        judged: How many judgments each annotator made.
        measured: The measured habits of each annotator, as of `measure_annotators`.
        assessment: The row of the table `assessments`.
        stamp: Columns that are the same in every row: `iteration` and `run_id`.

    Returns:
        Table name → rows.
    """
    graphs = labelling.graphs
    annotators = build_annotator_rows(judged, measured, encoded.votes, labelling)
    columns = {
        "preferences": _build_preferences(encoded, labelling),
        "rankings": _build_rankings(encoded, labelling),
        "dropped_arcs": _build_dropped_arcs(encoded, graphs),
        "graphs": _build_graphs(encoded, graphs),
        "annotators": annotators.to_dict(as_series=False),
    }
    tables = {name: _build_table(values, name, stamp) for name, values in columns.items()}
    guarantees = build_guarantee_rows(labelling)
    return tables | {
        "guarantees": _build_table_of_rows([{**row, **stamp} for row in guarantees], "guarantees"),
        "assessments": _build_table_of_rows([{**assessment, **stamp}], "assessments"),
    }


def _build_preferences(encoded: EncodedVotes, labelling: Labelling) -> Columns:
    """Build the columns of `preferences`.

    `p_a` is the calibrated posterior of the pair alone; `outcome` follows the denoised order. The two may disagree.
    """
    pairs, direction = labelling.posterior.tally, labelling.graphs.direction
    edge = np.clip(labelling.p_a, 1e-6, 1 - 1e-6)
    return {
        "prompt_id": _take_ids(encoded.prompt_ids, pairs.prompt),
        "response_a": _take_ids(encoded.response_ids, pairs.a),
        "response_b": _take_ids(encoded.response_ids, pairs.b),
        "p_a": labelling.p_a,
        "strength": np.round(np.log(edge) - np.log1p(-edge), DIGITS),
        "outcome": _take_texts(["b", "tie", "a"], direction + 1),
        "status": _take_texts([status for status, _ in labelling.cases], labelling.case),
        "confidence": labelling.confidence,
        "n_judgments": pairs.n.astype(np.int64),
        "dropped_weight": np.round(labelling.graphs.dropped, DIGITS),
        "reason": _take_texts([reason or None for _, reason in labelling.cases], labelling.case),
    }


def _build_rankings(encoded: EncodedVotes, labelling: Labelling) -> Columns:
    """Build the columns of `rankings`.

    `score` is the Bradley–Terry strength within the prompt in logits, `score_sd` its standard deviation. The strengths
    are fitted to the posterior of the pairs, and order the responses as `rank` does.
    """
    graphs = labelling.graphs
    pairs = graphs.tally
    if labelling.posterior.fit is not None:
        weight_a, weight_b = as_votes(labelling.p_a)
        pairs = replace(pairs, weight_a=weight_a, weight_b=weight_b, weight_tie=np.zeros(len(pairs)))
    strength = fit_prompt_scores(pairs)
    score = order_scores(strength.score, graphs.rank, pairs.responses)
    ranked = np.flatnonzero(graphs.rank > 0)
    prompt = np.repeat(np.arange(encoded.votes.n_prompts), np.diff(encoded.votes.offsets))
    return {
        "prompt_id": _take_ids(encoded.prompt_ids, prompt[ranked]),
        "response_id": _take_ids(encoded.response_ids, ranked),
        "rank": graphs.rank[ranked].astype(np.int64),
        "score": np.round(score[ranked], DIGITS),
        "score_sd": np.round(strength.sd[ranked], DIGITS),
    }


def _build_dropped_arcs(encoded: EncodedVotes, graphs: DenoisedGraphs) -> Columns:
    """Build the columns of `dropped_arcs`: one row per arc against the prompt's order."""
    dropped = graphs.dropped
    arcs = np.flatnonzero(dropped > 0)
    pairs, forward = graphs.tally, graphs.net[arcs] > 0
    return {
        "prompt_id": _take_ids(encoded.prompt_ids, pairs.prompt[arcs]),
        "winner": _take_ids(encoded.response_ids, np.where(forward, pairs.a[arcs], pairs.b[arcs])),
        "loser": _take_ids(encoded.response_ids, np.where(forward, pairs.b[arcs], pairs.a[arcs])),
        "weight": np.round(dropped[arcs], DIGITS),
    }


def _build_graphs(encoded: EncodedVotes, graphs: DenoisedGraphs) -> Columns:
    """Build the columns of `graphs`: one row per judged prompt."""
    pairs = np.diff(graphs.tally.offsets)
    judged = np.flatnonzero(pairs)
    margin = np.round(graphs.prompt_margin[judged], DIGITS)
    return {
        "prompt_id": _take_ids(encoded.prompt_ids, judged),
        "responses": np.diff(graphs.tally.responses)[judged],
        "pairs": pairs[judged],
        "weight": np.round(graphs.total_weight[judged], DIGITS),
        "dropped_weight": np.round(graphs.dropped_weight[judged], DIGITS),
        "margin": pa.array(margin, mask=np.isnan(margin)),
        "is_exact": graphs.exact[judged],
        "is_unique": graphs.unique[judged],
    }


def _take_ids(ids: pa.Array, index: NDArray[np.integer]) -> pa.Array:
    return ids.take(pa.array(index))


def _take_texts(texts: Sequence[str | None], code: Int8) -> pa.Array:
    return pa.array(texts, pa.string()).take(pa.array(code))


def _build_table_of_rows(rows: list[dict[str, object]], name: str) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name]))


def _build_table(columns: Columns, name: str, stamp: Mapping[str, object]) -> pa.Table:
    """Build a table with the column order and types of its record; a column that is not given is null."""
    schema = arrow_schema(TABLES[name])
    size = len(next(iter(columns.values())))
    everywhere = pa.array(np.zeros(size, np.int8))

    def build_column(field: pa.Field) -> pa.Array:
        if field.name in stamp:
            return pa.array([stamp[field.name]], field.type).take(everywhere)
        given = columns.get(field.name)
        if given is None:
            return pa.nulls(size, field.type)
        return given.cast(field.type) if isinstance(given, pa.Array) else pa.array(given, field.type)

    return pa.Table.from_arrays([build_column(field) for field in schema], schema=schema)
