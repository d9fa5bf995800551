"""From a lake's judgments to `Votes`: the step between tables and kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.aggregate.order import Said, in_order
from curate.aggregate.votes import Float32, Int8, Int32, Int64, Votes
from curate.errors import CurateError
from curate.lake import Lake
from curate.resources import sql

_SAYS_NOTHING = 2
_NO_OUTCOME = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedVotes:
    """Votes with the ids behind their indexes.

    `prompt_ids[i]` names prompt i and `response_ids[r]` response r, both in ascending order of (prompt,
    response) id; `models[r]` wrote it, null where nobody says; `not_votes` is how many judgments were an abstention
    or a failure.
    """

    votes: Votes
    prompt_ids: pa.Array
    response_ids: pa.Array
    models: pa.Array
    not_votes: int


def encode_votes(lake: Lake) -> EncodedVotes:
    """What `panel`, which the caller has bound, says in `pairwise_statements`, of the responses in `responses`.

    The votes come by prompt, a, b, annotator, and then by what they say. They depend on the rows alone and not on
    their order, so that every later sum of floating-point numbers is the same sum. A pair that comes as (b, a) is
    turned round together with its outcome, order and probability; abstentions and failures are counted and left out.
    Annotators with a vote of the kind `human` are people.
    """
    responses = lake.arrow(sql("aggregate_responses"))
    response_ids, models = _one(responses["response_id"]), _one(responses["model"])
    _check_once(response_ids, responses["hash"])
    prompts = pc.run_end_encode(_one(responses["prompt_id"]))
    offsets = np.concatenate(([0], prompts.run_ends.to_numpy())).astype(np.int64)
    owner = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    names, annotator, stated = _by_panel(lake, _statements(lake))
    a, b = (_places(stated[side], responses["hash"]) for side in ("a", "b"))
    outcome = stated["outcome"].to_numpy()
    _check_known(lake, a, b, outcome)
    human, shown, p_a = (stated[name].to_numpy() for name in ("human", "shown", "p_a"))
    voted = outcome != _SAYS_NOTHING
    not_votes = len(outcome) - int(np.count_nonzero(voted))
    if not_votes:
        a, b, annotator, outcome, human, shown, p_a = (
            each[voted] for each in (a, b, annotator, outcome, human, shown, p_a)
        )
    _check_prompts(owner, a, b, response_ids)
    voters, annotator = _those_who_vote(annotator, len(names))
    is_human = np.zeros(len(voters), np.bool_)
    is_human[np.unique(annotator[human > 0])] = True
    p_a = _probabilities(p_a, outcome)
    turned = a > b
    if turned.any():
        a, b = np.minimum(a, b), np.maximum(a, b)
        sign = np.where(turned, -1, 1).astype(np.int8)
        outcome, shown = outcome * sign, shown * sign
        p_a = np.where(turned, np.float32(1.0) - p_a, p_a)
    said = Said(a=a, b=b, annotator=annotator, shown=shown, outcome=outcome, p_a=p_a)
    prompt, said = in_order(said, owner, offsets)
    votes = Votes(
        offsets=offsets,
        prompt=prompt,
        a=said.a,
        b=said.b,
        annotator=said.annotator,
        shown=said.shown,
        outcome=said.outcome,
        p_a=said.p_a,
        annotators=tuple(names[k] for k in voters.tolist()),
        human=is_human,
        length=responses["length"].to_numpy().astype(np.float32),
    )
    return EncodedVotes(
        votes=votes, prompt_ids=prompts.values, response_ids=response_ids, models=models, not_votes=not_votes
    )


def _statements(lake: Lake) -> pa.Table:
    """`aggregate_judgments`; what is superseded is only looked up where anything is."""
    superseded = lake.value("SELECT count(*) FROM superseded")
    lasting = "judgments ANTI JOIN superseded USING (judgment_id)" if superseded else "judgments"
    return lake.arrow(sql("aggregate_judgments").format(judgments=lasting))


def _by_panel(lake: Lake, stated: pa.Table) -> tuple[list[str], Int32, pa.Table]:
    """The names of the panel, in their order, and its statements with the place of each one's annotator among them."""
    panel = lake.arrow("SELECT annotator_id, hash(annotator_id, revision) AS hash FROM panel ORDER BY ALL")
    names = panel["annotator_id"].combine_chunks().dictionary_encode()
    member = _places(stated["annotator"], panel["hash"])
    if member.min(initial=0) < 0:
        stated, member = stated.filter(pa.array(member >= 0)), member[member >= 0]
    return names.dictionary.to_pylist(), names.indices.to_numpy()[member], stated


def _places(hashes: pa.ChunkedArray, known: pa.ChunkedArray) -> Int32:
    """Where each hash is in `known`, -1 where it is not; each of the different ones is looked up once."""
    coded = hashes.combine_chunks().dictionary_encode()
    place = pc.fill_null(pc.index_in(coded.dictionary, value_set=known), -1)
    result: Int32 = place.to_numpy()[coded.indices.to_numpy()]
    return result


def _check_once(response_ids: pa.Array, hashes: pa.ChunkedArray) -> None:
    """No id is there twice; nor is a hash, which of a million ids happens once in thirty million lakes."""
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


def _check_known(lake: Lake, a: Int32, b: Int32, outcome: Int8) -> None:
    """Every response is there, and every outcome is one. Which is not is asked for only when one is not."""
    for side, place in (("a", a), ("b", b)):
        if place.min(initial=0) < 0:
            known = f"response_{side} IN (SELECT response_id FROM responses)"
            missing = lake.value(f"SELECT response_{side} FROM pairwise_statements WHERE NOT {known}")
            raise CurateError(
                f"judgments: response_{side} {missing} is not among the responses; ingest the response first."
            )
    if outcome.max(initial=0) == _NO_OUTCOME:
        allowed = ("a", "b", "tie", "abstain", "failed")
        found = lake.value(
            f"SELECT outcome FROM pairwise_statements WHERE outcome NOT IN {allowed} OR outcome IS NULL"
        )
        raise CurateError(f"judgments: outcome is {found}; use one of {', '.join(allowed)}.")


def _check_prompts(owner: Int32, a: Int32, b: Int32, response_ids: pa.Array) -> None:
    wrong = np.flatnonzero((owner[a] != owner[b]) | (a == b))
    if len(wrong):
        pair = f"response_a {response_ids[int(a[wrong[0]])]} and response_b {response_ids[int(b[wrong[0]])]}"
        raise CurateError(
            f"judgments: {pair} are not two different responses of one prompt; "
            "compare responses of the same prompt only."
        )


def _those_who_vote(annotator: Int32, names: int) -> tuple[Int64, Int32]:
    """Who has a vote, and the votes' annotators as their places among those."""
    voters = np.flatnonzero(np.bincount(annotator, minlength=names))
    place = np.zeros(names, np.int32)
    place[voters] = np.arange(len(voters))
    return voters, place[annotator]


def _probabilities(given: Float32, outcome: Int8) -> Float32:
    """float32[V], 1, 0 or ½ where the annotator gave only an outcome."""
    outside = (given < 0.0) | (given > 1.0)
    if outside.any():
        raise CurateError(f"judgments: p_a is {given[outside][0]}; a probability lies between 0 and 1.")
    by_outcome = np.float32(0.5) * (outcome + np.float32(1.0))
    return np.where(np.isnan(given), by_outcome, np.abs(given))  # there is -0.0


def _one(column: pa.ChunkedArray) -> pa.Array:
    """As one array that may be longer than 2 GB."""
    return pa.concat_arrays(column.cast(pa.large_string()).chunks or [pa.array([], pa.large_string())])
