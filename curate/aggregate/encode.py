"""From a lake's judgments to `Votes`: the step between tables and kernels. DuckDB looks up the ids, on all cores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.aggregate.kernel import kernel, over_slices
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
    lake.rows(sql("aggregate_responses"))
    responses = lake.arrow("SELECT * EXCLUDE place FROM placed_responses ORDER BY place")
    response_ids, models = _one(responses["response_id"]), _one(responses["model"])
    _check_once(response_ids)
    prompts = pc.run_end_encode(_one(responses["prompt_id"]))
    offsets = np.concatenate(([0], prompts.run_ends.to_numpy())).astype(np.int64)
    owner = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    said = _statements(lake)
    _check_known(lake, said)
    outcome = said["outcome"].to_numpy()
    voted = outcome != _SAYS_NOTHING
    not_votes = len(outcome) - int(np.count_nonzero(voted))
    if not_votes:
        said, outcome = said.filter(pa.array(voted)), outcome[voted]
    a, b, annotator = (said[name].to_numpy() for name in ("a", "b", "annotator"))
    _check_prompts(owner, a, b, response_ids)
    names = [name for (name,) in lake.rows("SELECT DISTINCT annotator_id FROM panel ORDER BY ALL")]
    voters, annotator = _those_who_vote(annotator, len(names))
    human = np.zeros(len(voters), np.bool_)
    human[np.unique(annotator[said["human"].to_numpy() > 0])] = True
    shown, p_a = said["shown"].to_numpy(), _probabilities(said["p_a"], outcome)
    turned = a > b
    if turned.any():
        a, b = np.minimum(a, b), np.maximum(a, b)
        sign = np.where(turned, -1, 1).astype(np.int8)
        outcome, shown = outcome * sign, shown * sign
        p_a = np.where(turned, np.float32(1.0) - p_a, p_a)
    order = _one_order(offsets, owner[a], a, b, annotator, shown, outcome, p_a)
    votes = Votes(
        offsets=offsets,
        prompt=owner[a[order]],
        a=a[order],
        b=b[order],
        annotator=annotator[order],
        shown=shown[order],
        outcome=outcome[order],
        p_a=p_a[order],
        annotators=tuple(names[k] for k in voters.tolist()),
        human=human,
        length=responses["length"].to_numpy().astype(np.float32),
    )
    return EncodedVotes(
        votes=votes, prompt_ids=prompts.values, response_ids=response_ids, models=models, not_votes=not_votes
    )


def _statements(lake: Lake) -> pa.Table:
    """`aggregate_judgments`, its joins as they are written: the planner takes what is left of the judgments to be few,
    and would build its hash table of them instead of the responses, at three times the cost."""
    lake.rows("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    try:
        return lake.arrow(sql("aggregate_judgments"))
    finally:
        lake.rows("RESET disabled_optimizers")


def _check_once(response_ids: pa.Array) -> None:
    if pc.count_distinct(response_ids).as_py() != len(response_ids):
        counts = pc.value_counts(response_ids)
        twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")[0]
        raise CurateError(
            f"responses: response_id {twice} occurs more than once; give every response its own id."
        )


def _check_known(lake: Lake, said: pa.Table) -> None:
    """Every response is there, and every outcome is one. Which is not is asked for only when one is not."""
    for side in ("a", "b"):
        if said[side].null_count:
            known = f"response_{side} IN (SELECT response_id FROM responses)"
            missing = lake.value(f"SELECT response_{side} FROM pairwise_statements WHERE NOT {known}")
            raise CurateError(
                f"judgments: response_{side} {missing} is not among the responses; ingest the response first."
            )
    if pc.any(pc.equal(said["outcome"], _NO_OUTCOME)).as_py():
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


def _probabilities(given: pa.ChunkedArray, outcome: Int8) -> Float32:
    """float32[V], 1, 0 or ½ where the annotator gave only an outcome."""
    by_outcome = (0.5 + 0.5 * outcome).astype(np.float32)
    if given.null_count == len(given):
        return by_outcome
    p_a: Float32 = given.to_numpy()
    outside = (p_a < 0.0) | (p_a > 1.0)
    if outside.any():
        raise CurateError(f"judgments: p_a is {p_a[outside][0]}; a probability lies between 0 and 1.")
    return np.where(np.isnan(p_a), by_outcome, p_a)


def _one(column: pa.ChunkedArray) -> pa.Array:
    """As one array that may be longer than 2 GB."""
    return pa.concat_arrays(column.cast(pa.large_string()).chunks or [pa.array([], pa.large_string())])


def _one_order(
    offsets: Int64,
    prompt: Int32,
    a: Int32,
    b: Int32,
    annotator: Int32,
    shown: Int8,
    outcome: Int8,
    p_a: Float32,
) -> Int64:
    """The order of the votes by prompt, a, b, annotator, and then by what they say."""
    order = _by_prompt(prompt, len(offsets) - 1)
    votes = np.bincount(prompt, minlength=len(offsets) - 1)
    first_vote = np.concatenate(([0], np.cumsum(votes))).astype(np.int64)
    annotators = int(annotator.max(initial=0)) + 1
    # In the order of the numbers, which are not negative, but sorted as the keys are.
    bits = p_a.view(np.int32)
    over_slices(
        lambda first, last: _order_slice(
            first, last, offsets, first_vote, a, b, annotator, shown, outcome, bits, order, annotators
        ),
        votes + 1,
    )
    return order


@kernel
def _order_slice(
    first: int, last: int, offsets: Int64, first_vote: Int64, a: Int32, b: Int32, annotator: Int32, shown: Int8,
    outcome: Int8, p_bits: Int32, order: Int64, annotators: int,
) -> None:  # fmt: skip
    for prompt in range(first, last):
        begin, end = first_vote[prompt], first_vote[prompt + 1]
        if end - begin < 2:
            continue
        votes, base = order[begin:end].copy(), offsets[prompt]
        size = offsets[prompt + 1] - base
        key = np.empty(end - begin, np.int64)
        for k in range(end - begin):
            v = votes[k]
            said = 3 * (shown[v] + 1) + outcome[v] + 1
            key[k] = (((a[v] - base) * size + b[v] - base) * annotators + annotator[v]) * 9 + said
        by_key = np.argsort(key)
        start = 0
        for k in range(1, end - begin + 1):
            if k < end - begin and key[by_key[k]] == key[by_key[start]]:
                continue
            alike = votes[by_key[start:k]]
            if k - start > 1:
                alike = alike[np.argsort(p_bits[alike].astype(np.int64))]
            for i in range(k - start):
                order[begin + start + i] = alike[i]
            start = k


@kernel
def _by_prompt(prompt: Int32, prompts: int) -> Int64:
    """The stable order of the votes by prompt (a counting sort)."""
    place = np.zeros(prompts + 1, np.int64)
    for p in prompt:
        place[p + 1] += 1
    for p in range(prompts):
        place[p + 1] += place[p]
    order = np.empty(len(prompt), np.int64)
    for v in range(len(prompt)):
        order[place[prompt[v]]] = v
        place[prompt[v]] += 1
    return order
