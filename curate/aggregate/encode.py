"""From a lake's judgments to `Votes`: the step between tables and kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.aggregate.hash_lookup import look_up_hashes
from curate.aggregate.sort_votes import RawVotes, sort_raw_votes
from curate.aggregate.votes import Float32, Int8, Int32, Votes
from curate.core.errors import CurateError
from curate.core.resources import read_query
from curate.lake.lake import Lake

_SAYS_NOTHING = 2
_NO_OUTCOME = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedVotes:
    """Votes with the ids behind their indexes.

    `prompt_ids[i]` names prompt i and `response_ids[r]` response r, both in ascending order of (prompt,
    response) id; `models[r]` wrote it, null where nobody says; `n_not_votes` counts the judgments that were an
    abstention or a failure.
    """

    votes: Votes
    prompt_ids: pa.Array
    response_ids: pa.Array
    models: pa.Array
    n_not_votes: int


def encode_votes(lake: Lake) -> EncodedVotes:
    """Read the votes of the panel from the relations of `current_judgments.sql` and `aggregate_spoken.sql`.

    The caller has made these relations.

    The votes come by prompt, a, b, annotator, order shown and outcome. They depend on the rows alone and not on
    their order, so that every later sum of floating-point numbers is the same sum. Abstentions and failures are
    counted and left out. Annotators with a vote of the kind `human` are people.
    """
    responses = lake.arrow(read_query("aggregate_responses"))
    response_ids, models = _join_chunks(responses["response_id"]), _join_chunks(responses["model"])
    _check_once(response_ids, responses["hash"])
    prompts = pc.run_end_encode(_join_chunks(responses["prompt_id"]))
    offsets = np.concatenate(([0], prompts.run_ends.to_numpy())).astype(np.int64)
    owner = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    ways = lake.arrow(read_query("aggregate_ways"))
    _check_outcomes(lake, ways["outcome"])
    a, b, way, p_a = _read_statements(lake, ways["hash"], responses["hash"])
    _check_responses(lake, a, b)
    counts = np.bincount(way, minlength=len(ways))
    silent = ways["outcome"].to_numpy() == _SAYS_NOTHING
    if counts[silent].any():
        voted = ~silent[way]
        a, b, way, p_a = a[voted], b[voted], way[voted], p_a[voted]
    _check_prompts(owner, a, b, response_ids)
    used = ways.filter(pa.array((counts > 0) & ~silent))
    names = pc.unique(used["name"])
    people = pc.unique(used.filter(used["human"])["name"])
    prompt, ordered = sort_raw_votes(_turn_statements(a, b, way, p_a, ways, names), owner, offsets)
    votes = Votes(
        offsets=offsets,
        prompt=prompt,
        a=ordered.a,
        b=ordered.b,
        annotator=ordered.annotator,
        shown=ordered.shown,
        outcome=ordered.outcome,
        p_a=ordered.p_a,
        annotators=tuple(names.to_pylist()),
        human=pc.is_in(names, people).to_numpy(zero_copy_only=False),
        length=responses["length"].to_numpy().astype(np.float32),
    )
    return EncodedVotes(
        votes=votes,
        prompt_ids=prompts.values,
        response_ids=response_ids,
        models=models,
        n_not_votes=int(counts[silent].sum()),
    )


def _read_statements(
    lake: Lake, ways: pa.ChunkedArray, responses: pa.ChunkedArray
) -> tuple[Int32, Int32, Int32, Float32]:
    """Read the panel's statements: indexes of a and b in `responses` and of the signature in `ways`, and probabilities.

    Superseded judgments are only looked up where there are any.
    """
    superseded = lake.value("SELECT count(*) FROM superseded")
    lasting = "judgments ANTI JOIN superseded USING (judgment_id)" if superseded else "judgments"
    stated = lake.arrow(read_query("aggregate_judgments").format(judgments=lasting))
    way = look_up_hashes(stated["way"], ways)
    if way.min(initial=0) < 0:
        stated, way = stated.filter(pa.array(way >= 0)), way[way >= 0]
    a, b = (look_up_hashes(stated[side], responses) for side in ("a", "b"))
    return a, b, way, stated["p_a"].to_numpy()


def _turn_statements(
    a: Int32, b: Int32, way: Int32, p_a: Float32, ways: pa.Table, names: pa.Array
) -> RawVotes:
    """Turn a pair that comes as (b, a) round, together with its outcome, order and probability."""
    annotator = pc.index_in(ways["name"], names).fill_null(-1).to_numpy()[way]
    outcome, shown = (ways[name].to_numpy()[way] for name in ("outcome", "shown"))
    p_a = _fill_probabilities(p_a, outcome)
    turned = a > b
    if turned.any():
        a, b = np.minimum(a, b), np.maximum(a, b)
        sign = np.where(turned, -1, 1).astype(np.int8)
        outcome, shown = outcome * sign, shown * sign
        p_a = np.where(turned, np.float32(1.0) - p_a, p_a)
    return RawVotes(a=a, b=b, annotator=annotator, shown=shown, outcome=outcome, p_a=p_a)


def _check_once(response_ids: pa.Array, hashes: pa.ChunkedArray) -> None:
    """Check that no id occurs twice, nor a hash (among a million ids, once in thirty million lakes)."""
    if pc.count_distinct(hashes).as_py() == len(response_ids):
        return
    counts = pc.value_counts(hashes)
    shared = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")[0]
    one, other, *_ = response_ids.filter(pc.equal(hashes.combine_chunks(), shared)).to_pylist()
    if one == other:
        raise CurateError(
            f"responses: response_id {one} occurs more than once; give every response its own id."
        )
    raise CurateError(f"responses: {one} and {other} have the same hash; give one of them another id.")


def _check_responses(lake: Lake, a: Int32, b: Int32) -> None:
    """Check that every judged response is among the responses."""
    for side, place in (("a", a), ("b", b)):
        if place.min(initial=0) < 0:
            known = f"response_{side} IN (SELECT response_id FROM responses)"
            missing = lake.value(f"SELECT response_{side} FROM pairwise_statements WHERE NOT {known}")
            raise CurateError(
                f"judgments: response_{side} {missing} is not among the responses; ingest the response first."
            )


def _check_outcomes(lake: Lake, outcomes: pa.ChunkedArray) -> None:
    if _NO_OUTCOME in outcomes.to_numpy():
        allowed = ("a", "b", "tie", "abstain", "failed")
        unknown = lake.value(
            f"SELECT outcome FROM pairwise_statements WHERE outcome NOT IN {allowed} OR outcome IS NULL"
        )
        raise CurateError(f"judgments: outcome is {unknown}; use one of {', '.join(allowed)}.")


def _check_prompts(owner: Int32, a: Int32, b: Int32, response_ids: pa.Array) -> None:
    wrong = np.flatnonzero((owner[a] != owner[b]) | (a == b))
    if len(wrong):
        pair = f"response_a {response_ids[int(a[wrong[0]])]} and response_b {response_ids[int(b[wrong[0]])]}"
        raise CurateError(
            f"judgments: {pair} are not two different responses of one prompt; "
            "compare responses of the same prompt only."
        )


def _fill_probabilities(given: Float32, outcome: Int8) -> Float32:
    """Fill missing probabilities: 1, 0 or ½ by the outcome, float32[V]."""
    outside = (given < 0.0) | (given > 1.0)
    if outside.any():
        raise CurateError(f"judgments: p_a is {given[outside][0]}; a probability lies between 0 and 1.")
    by_outcome = np.float32(0.5) * (outcome + np.float32(1.0))
    return np.where(np.isnan(given), by_outcome, np.abs(given))  # there is -0.0


def _join_chunks(column: pa.ChunkedArray) -> pa.Array:
    """Join chunks into one array that may be longer than 2 GB."""
    return pa.concat_arrays(column.cast(pa.large_string()).chunks or [pa.array([], pa.large_string())])
