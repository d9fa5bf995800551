"""The numbers of one aggregation, as rows of the lake's tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from curate.aggregate.annotators import panel
from curate.aggregate.by_pair import one_vote_a_pair
from curate.aggregate.encode import EncodedVotes, encode_votes
from curate.aggregate.graph.arcs import log_odds, net_votes
from curate.aggregate.graph.denoise import denoise, denoise_then_ensemble
from curate.aggregate.graph.majority import majority
from curate.aggregate.graph.solution import DenoisedGraphs
from curate.aggregate.graph.tally import PairTally, tally
from curate.aggregate.ranking.prompt_scores import prompt_scores
from curate.aggregate.votes import Float64, Votes
from curate.config import AggregateSection
from curate.lake import Lake
from curate.records import Annotator, DroppedArc, Preference, Ranking, arrow_schema
from curate.resources import sql
from curate.runs import Counts

_DIGITS = (
    9  # what is kept of a figure: parallel sums may differ beyond that, and equal inputs must give equal rows
)
_OUTCOMES = pl.Series(["b", "tie", "a"])  # by sign + 1


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`tables`: rows by table name; `note`: one line for the user."""

    tables: dict[str, pa.Table]
    counts: Counts
    note: str


def aggregate_panel(lake: Lake, section: AggregateSection, *, iteration: int, run_id: str) -> Aggregation:
    """Aggregate the judgments of the relation `panel`, which the caller has bound."""
    responses = lake.arrow(sql("aggregate_responses"))
    encoded = encode_votes(lake.batches(sql("aggregate_judgments")), responses)
    opinion = _opinion(encoded.votes, section)
    graphs = _denoised(encoded.votes, opinion, section)
    stamp = {"iteration": iteration, "run_id": run_id}
    tables = {
        "preferences": _preferences(encoded, opinion, graphs),
        "rankings": _rankings(encoded, opinion, graphs),
        "dropped_arcs": _dropped_arcs(encoded, graphs),
        "annotators": _annotators(lake.frame(sql("aggregate_annotators")), encoded.votes, opinion),
    }
    records = {
        "preferences": Preference,
        "rankings": Ranking,
        "dropped_arcs": DroppedArc,
        "annotators": Annotator,
    }
    stamped = {
        name: _as_rows(frame.with_columns(**_literals(stamp)), records[name])
        for name, frame in tables.items()
    }
    counts = _counts(encoded, graphs)
    counts.details["doubts"] = list(opinion.doubts)
    cyclic, prompts = counts.details["cyclic_before"], counts.details["prompts"]
    note = " ".join(
        [f"{len(graphs.tally):,} pairs of {prompts:,} prompts, {cyclic:,} with cycles.", *opinion.doubts]
    )
    return Aggregation(stamped, counts, note)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the annotator model says, before the graphs: E pairs (those of `tally`), A annotators.

    `weight` float64[A], what one vote of each annotator counts; `p_a` float64[E]; `ability` float64[A], log-odds of
    being right, NaN where unknown; `doubts`: what the data say against the result, one sentence each.
    """

    weight: Float64
    tally: PairTally
    p_a: Float64
    net: Float64
    ability: Float64 | None
    doubts: tuple[str, ...]


def _opinion(votes: Votes, section: AggregateSection) -> Opinion:
    weight = people_first(votes, one_vote_a_pair(votes))
    said = majority(votes, weight=weight)
    if section.annotator_model == "majority" or not len(votes):
        return Opinion(weight, said.tally, said.p_a, net_votes(said.tally), None, ())
    fitted = panel.fit(votes)
    if not (np.array_equal(fitted.a, said.tally.a) and np.array_equal(fitted.b, said.tally.b)):
        raise AssertionError("the annotator model and the tally list different pairs")
    p_a = np.round(fitted.p_a, _DIGITS)
    return Opinion(weight, said.tally, p_a, log_odds(p_a), fitted.ability, fitted.doubts)


def people_first(votes: Votes, weight: Float64) -> Float64:
    """The weights with a person's vote above all judges' together: what a person has said, no panel overrules."""
    judges = float(weight[~votes.human].sum())
    return np.where(votes.human, weight * (1.0 + judges), weight)


def _denoised(votes: Votes, opinion: Opinion, section: AggregateSection) -> DenoisedGraphs:
    if section.method == "denoise-then-ensemble":
        return denoise_then_ensemble(votes, weight=opinion.weight)
    return denoise(opinion.tally, net=opinion.net)


def _preferences(encoded: EncodedVotes, opinion: Opinion, graphs: DenoisedGraphs) -> pl.DataFrame:
    """`p_a` is what the annotator model says of the pair alone, `outcome` what the denoised order says.

    The two may disagree. `status`: verified where people judged the pair and the outcome is theirs; routed (to people)
    where the outcome is not what people said; flipped where the order overrules the panel; accepted otherwise.
    """
    votes, pairs = encoded.votes, opinion.tally
    people = tally(votes, weight=votes.human.astype(np.float64))
    human, voted, direction = (
        np.sign(people.weight_a - people.weight_b),
        np.sign(opinion.net),
        graphs.direction,
    )
    status = np.select(
        [(human != 0) & (human == direction), human != 0, voted * direction < 0],
        ["verified", "routed", "flipped"],
        "accepted",
    )
    reason = np.select(
        [status == "routed", status == "flipped", (direction == 0) & (voted == 0), direction == 0],
        [
            "what people said of the prompt's pairs contradicts itself",
            "the prompt's other pairs overrule this pair's votes",
            "the votes are balanced",
            "the pair is in a balanced cycle",
        ],
        "",
    )
    p_a = np.round(opinion.p_a, _DIGITS)
    return pl.DataFrame(
        {
            "prompt_id": _taken(encoded.prompt_ids, pairs.prompt),
            "response_a": _taken(encoded.response_ids, pairs.a),
            "response_b": _taken(encoded.response_ids, pairs.b),
            "p_a": p_a,
            "strength": np.round(np.log(p_a) - np.log1p(-p_a), _DIGITS),
            "outcome": _OUTCOMES.gather(direction.astype(np.int64) + 1),
            "status": status,
            "confidence": np.select(
                [direction > 0, direction < 0], [p_a, 1.0 - p_a], np.maximum(p_a, 1.0 - p_a)
            ),
            "n_judgments": pairs.n.astype(np.int64),
            "dropped_weight": np.round(graphs.dropped, _DIGITS),
            "reason": pl.Series(reason).replace("", None),
        }
    )


def _rankings(encoded: EncodedVotes, opinion: Opinion, graphs: DenoisedGraphs) -> pl.DataFrame:
    """`score` is the Bradley–Terry strength within the prompt in logits, `score_sd` its standard deviation."""
    strength = prompt_scores(opinion.tally)
    ranked = np.flatnonzero(graphs.rank > 0)
    prompt = np.repeat(np.arange(encoded.votes.n_prompts), np.diff(encoded.votes.offsets))
    return pl.DataFrame(
        {
            "prompt_id": _taken(encoded.prompt_ids, prompt[ranked]),
            "response_id": _taken(encoded.response_ids, ranked),
            "rank": graphs.rank[ranked].astype(np.int64),
            "score": np.round(strength.score[ranked], _DIGITS),
            "score_sd": np.round(strength.sd[ranked], _DIGITS),
        }
    )


def _dropped_arcs(encoded: EncodedVotes, graphs: DenoisedGraphs) -> pl.DataFrame:
    arcs = np.flatnonzero(graphs.dropped > 0)
    pairs, forward = graphs.tally, graphs.net[arcs] > 0
    return pl.DataFrame(
        {
            "prompt_id": _taken(encoded.prompt_ids, pairs.prompt[arcs]),
            "winner": _taken(encoded.response_ids, np.where(forward, pairs.a[arcs], pairs.b[arcs])),
            "loser": _taken(encoded.response_ids, np.where(forward, pairs.b[arcs], pairs.a[arcs])),
            "weight": np.round(graphs.dropped[arcs], _DIGITS),
        }
    )


def _annotators(measured: pl.DataFrame, votes: Votes, opinion: Opinion) -> pl.DataFrame:
    """The plain measurements of the query, with the model's ability where there is a model."""
    if opinion.ability is None:
        return measured
    ability = np.round(opinion.ability, _DIGITS)
    fitted = pl.DataFrame({"annotator_id": votes.annotators, "fitted": ability}).with_columns(
        pl.col("fitted").fill_nan(None)
    )
    joined = measured.join(fitted, on="annotator_id", how="left", maintain_order="left")
    return joined.with_columns(ability=pl.col("fitted")).drop("fitted")


def _counts(encoded: EncodedVotes, graphs: DenoisedGraphs) -> Counts:
    votes = len(encoded.votes)
    judged = np.unique(encoded.votes.prompt)
    return Counts(
        rows_in=votes + encoded.not_votes,
        rows_kept=votes,
        dropped={"abstained or failed": encoded.not_votes} if encoded.not_votes else {},
        details={
            "prompts": len(judged),
            "pairs": len(graphs.tally),
            "ties": int((graphs.direction == 0).sum()),
            "cyclic_before": int((graphs.dropped_weight > 0).sum()),
            "cyclic_after": 0,
            "dropped_arcs": int((graphs.dropped > 0).sum()),
        },
    )


def _taken(ids: pa.Array, index: NDArray[np.integer]) -> pl.Series:
    taken = pl.from_arrow(ids.take(pa.array(index)))
    assert isinstance(taken, pl.Series)
    return taken


def _literals(values: dict[str, object]) -> dict[str, pl.Expr]:
    return {name: pl.lit(value) for name, value in values.items()}


def _as_rows(frame: pl.DataFrame, record: type) -> pa.Table:
    """In the column order and types of the record; a column that the frame lacks is null."""
    schema = arrow_schema(record)
    table = frame.to_arrow()
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
