"""The numbers of one aggregation, as rows of the lake's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curate.aggregate.annotator_rows import build_annotator_rows
from curate.aggregate.annotator_stats import measure_annotators
from curate.aggregate.encode import EncodedVotes, encode_votes
from curate.aggregate.graph.solution import DenoisedGraphs
from curate.aggregate.guarantee_report import build_assessment_row, build_guarantee_rows
from curate.aggregate.human_votes import People, read_people
from curate.aggregate.labelling import Labelling, Strata, label_pairs
from curate.aggregate.posterior import DIGITS
from curate.aggregate.ranking.prompt_scores import as_votes, fit_prompt_scores, order_scores
from curate.aggregate.rewards.fused import Fused, fuse_rewards
from curate.aggregate.strata import group_all, group_by_agreement, group_by_category
from curate.aggregate.votes import Int8, Int32, Votes
from curate.config.aggregate import AggregateSection
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.runs import Counts
from curate.records import TABLES, arrow_schema

Columns = Mapping[str, pa.Array | NDArray[Any] | list[Any]]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`tables`: rows by table name; `note`: lines for the user."""

    tables: dict[str, pa.Table]
    counts: Counts
    note: str


def aggregate_panel(
    lake: Lake, section: AggregateSection, judged: pl.DataFrame, *, iteration: int, run_id: str
) -> Aggregation:
    """Aggregate the judgments of the relation `panel`, which the caller has bound; `judged`: how many of whom."""
    encoded = encode_votes(lake)
    measured = measure_annotators(encoded.votes)
    fused = _fuse_rewards(lake, encoded, section)
    encoded = replace(encoded, votes=fused.votes)
    author = _code_authors(encoded) if section.annotator_model in ("auto", "panel") else None
    people = _read_people(lake, encoded, section)
    strata = _code_strata(lake, encoded, section)
    found = label_pairs(
        encoded.votes, people, section, author=author, strata=strata, conflicting=fused.conflicting
    )
    columns = {
        "preferences": _build_preferences(encoded, found),
        "rankings": _build_rankings(encoded, found),
        "dropped_arcs": _build_dropped_arcs(encoded, found.graphs),
        "graphs": _build_graphs(encoded, found.graphs),
        "annotators": build_annotator_rows(judged, measured, encoded.votes, found).to_dict(as_series=False),
    }
    assessment = build_assessment_row(found, section)
    stamp = {"iteration": iteration, "run_id": run_id}
    tables = {name: _as_rows(each, name, stamp) for name, each in columns.items()}
    tables["guarantees"] = _as_table(
        [{**row, **stamp} for row in build_guarantee_rows(found, section)], "guarantees"
    )
    tables["assessments"] = _as_table([{**assessment, **stamp}], "assessments")
    counts = _count_rows(encoded, found.graphs)
    counts.details["annotator_model"] = found.section.annotator_model
    counts.details["doubts"] = list(found.opinion.doubts)
    cyclic, prompts = counts.details["cyclic_before"], counts.details["prompts"]
    note = f"{len(found.graphs.tally):,} pairs of {prompts:,} prompts, {cyclic:,} with cycles."
    failing = _list_unreliable(encoded.votes, found.people)
    if fused.silent:
        failing.append(f"`aggregate.rewards`: no ratings by {', '.join(fused.silent)} yet.")
    return Aggregation(
        tables, counts, "\n".join([note, *failing, *found.opinion.doubts, assessment["claim"]])
    )


def _read_people(lake: Lake, encoded: EncodedVotes, section: AggregateSection) -> People:
    planned = bool(lake.value("SELECT count(*) FROM verify_tasks"))
    asked = {(a, b) for a, b in lake.rows(read_query("aggregate_random_pairs"))} if planned else set()
    return read_people(encoded.votes, encoded.response_ids, section.guarantee, asked, planned=planned)


def _fuse_rewards(lake: Lake, encoded: EncodedVotes, section: AggregateSection) -> Fused:
    """The votes, with those of the reward models of `aggregate.rewards` made one annotator's."""
    asked = section.rewards
    if asked is None:
        return Fused(encoded.votes, np.zeros(0, np.int64))
    rated = lake.arrow(read_query("aggregate_ratings"), [asked.annotators])
    names = pa.array(asked.annotators, pa.large_string())
    response = pc.index_in(rated["response_id"].cast(pa.large_string()), value_set=encoded.response_ids)
    model = pc.index_in(rated["annotator_id"].cast(pa.large_string()), value_set=names)
    scores = np.full((len(encoded.response_ids), len(asked.annotators)), np.nan)
    scores[response.to_numpy(), model.to_numpy()] = rated["score"].to_numpy()
    return fuse_rewards(encoded.votes, scores, asked.annotators, asked)


def _list_unreliable(votes: Votes, people: People) -> list[str]:
    """One sentence about the people whose answers count less, if there are any."""
    some = np.flatnonzero(people.trust < 1.0).tolist()
    if not some:
        return []
    named = ", ".join(f"{votes.annotators[k]} counts {people.trust[k]:.1f}" for k in some[:5])
    more = f" and {len(some) - 5} more" if len(some) > 5 else ""
    differ = "differs" if len(some) == 1 else "differ"
    whole = (
        f"Of {int(votes.human.sum())} people, {len(some)} {differ} from the others too often to count fully"
    )
    return [f"{whole}: {named}{more}."]


def _code_authors(encoded: EncodedVotes) -> Int32 | None:
    """int32[R], the model that wrote each response; None where nobody says.

    A response of an unknown model is a model of its own.
    """
    if encoded.models.null_count == len(encoded.models):
        return None
    codes = encoded.models.dictionary_encode().indices
    author: Int32 = pc.fill_null(codes, -1).to_numpy().copy()
    unknown = np.flatnonzero(author < 0)
    author[unknown] = author.max() + 1 + np.arange(len(unknown))
    return author


def _code_strata(lake: Lake, encoded: EncodedVotes, section: AggregateSection) -> Strata:
    asked = section.guarantee
    if asked is None or asked.strata == "none":
        return group_all
    if asked.strata == "agreement":
        return lambda pairs: group_by_agreement(encoded.votes, pairs)
    path = f'$."{asked.category}"'
    category: Mapping[str, str] = dict(lake.rows(read_query("aggregate_categories"), [path]))
    return lambda pairs: group_by_category(category, encoded.prompt_ids, pairs)


def _build_preferences(encoded: EncodedVotes, found: Labelling) -> Columns:
    """`p_a` is what the annotator model says of the pair alone, calibrated; `outcome` what the denoised order says.

    The two may disagree.
    """
    pairs, direction = found.opinion.tally, found.graphs.direction
    edge = np.clip(found.p_a, 1e-6, 1 - 1e-6)
    return {
        "prompt_id": _take_ids(encoded.prompt_ids, pairs.prompt),
        "response_a": _take_ids(encoded.response_ids, pairs.a),
        "response_b": _take_ids(encoded.response_ids, pairs.b),
        "p_a": found.p_a,
        "strength": np.round(np.log(edge) - np.log1p(-edge), DIGITS),
        "outcome": _take_texts(["b", "tie", "a"], direction + 1),
        "status": _take_texts([status for status, _ in found.cases], found.case),
        "confidence": found.confidence,
        "n_judgments": pairs.n.astype(np.int64),
        "dropped_weight": np.round(found.graphs.dropped, DIGITS),
        "reason": _take_texts([reason or None for _, reason in found.cases], found.case),
    }


def _build_rankings(encoded: EncodedVotes, found: Labelling) -> Columns:
    """`score` is the Bradley–Terry strength within the prompt in logits, `score_sd` its standard deviation.

    It is fitted to what the annotator model says of the pairs, and orders the responses as `rank` does.
    """
    graphs = found.graphs
    pairs = graphs.tally
    if found.opinion.fit is not None:
        weight_a, weight_b = as_votes(found.p_a)
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
    """One row per judged prompt."""
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


def _count_rows(encoded: EncodedVotes, graphs: DenoisedGraphs) -> Counts:
    votes = len(encoded.votes)
    return Counts(
        rows_in=votes + encoded.not_votes,
        rows_kept=votes,
        dropped={"abstained or failed": encoded.not_votes} if encoded.not_votes else {},
        details={
            "prompts": int(np.count_nonzero(np.diff(graphs.tally.offsets))),
            "pairs": len(graphs.tally),
            "ties": int((graphs.direction == 0).sum()),
            "cyclic_before": int((graphs.dropped_weight > 0).sum()),
            "cyclic_after": 0,
            "dropped_arcs": int((graphs.dropped > 0).sum()),
        },
    )


def _take_ids(ids: pa.Array, index: NDArray[np.integer]) -> pa.Array:
    return ids.take(pa.array(index))


def _take_texts(texts: Sequence[str | None], code: Int8) -> pa.Array:
    return pa.array(texts, pa.string()).take(pa.array(code))


def _as_table(rows: list[dict[str, object]], name: str) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name]))


def _as_rows(columns: Columns, name: str, stamp: Mapping[str, object]) -> pa.Table:
    """In the column order and types of the record, each with `stamp`; a column that is not given is null."""
    schema = arrow_schema(TABLES[name])
    size = len(next(iter(columns.values())))
    everywhere = pa.array(np.zeros(size, np.int8))

    def column(field: pa.Field) -> pa.Array:
        if field.name in stamp:
            return pa.array([stamp[field.name]], field.type).take(everywhere)
        given = columns.get(field.name)
        if given is None:
            return pa.nulls(size, field.type)
        return given.cast(field.type) if isinstance(given, pa.Array) else pa.array(given, field.type)

    return pa.Table.from_arrays([column(field) for field in schema], schema=schema)
