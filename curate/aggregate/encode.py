"""From columns of ids to `Votes`, tens of millions of rows at once: the step between tables and kernels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.aggregate.kernel import kernel, over_slices
from curate.aggregate.votes import Float32, Int8, Int32, Int64, Votes
from curate.errors import CurateError

OUTCOMES = {"a": 1, "b": -1, "tie": 0}
NOT_VOTES = ("abstain", "failed")
ROWS_AT_ONCE = 1 << 21
"""Each chunk looks its ids up in one hash table of all responses, which takes longer to build than to use once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedVotes:
    """Votes with the ids behind their indexes.

    `prompt_ids[i]` names prompt i and `response_ids[r]` response r, both in ascending order of (prompt,
    response) id; `not_votes` is how many judgments were an abstention or a failure.
    """

    votes: Votes
    prompt_ids: pa.Array
    response_ids: pa.Array
    not_votes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    a: Int32
    b: Int32
    annotator: Int32
    shown: Int8
    outcome: Int8
    p_a: Float32


def encode_votes(
    judgments: pa.Table | pa.RecordBatchReader, responses: pa.Table, *, human: Collection[str] = ()
) -> EncodedVotes:
    """Build `Votes` from pairwise judgments. They depend on the rows alone and not on their order, so that every later
    sum of floating-point numbers is the same sum.

    | column of `judgments`       | type | |
    | ---                         | ---  | --- |
    | `response_a`, `response_b`  | string or dictionary | ids that `responses` has, of one prompt |
    | `annotator_id`              | string or dictionary | |
    | `outcome`                   | string or dictionary | a, b, tie; abstain and failed are left out and counted |
    | `kind`                      | string or dictionary, optional | annotators with a `human` judgment are people |
    | `shown`                     | string or dictionary, optional | ab, ba or null |
    | `p_a`                       | float, optional | null where the annotator gave an outcome only |

    | column of `responses` | type | |
    | ---                   | ---  | --- |
    | `prompt_id`, `response_id` | string | every response once, judged or not |
    | `length`              | number, optional | characters |

    A pair that comes as (b, a) is turned round together with its outcome, order and probability. A Polars
    frame goes in as `frame.to_arrow()`; a reader of record batches is consumed a chunk at a time, so that the
    strings of all judgments are never in memory at once. `human` names further annotators that are people.
    """
    prompt_ids, response_ids, offsets, length = _index_responses(responses)
    owner = np.repeat(np.arange(len(prompt_ids), dtype=np.int32), np.diff(offsets))
    annotators: dict[str, int] = {}
    people = set(human)
    parts, not_votes = [], 0
    for chunk in _chunks(judgments):
        outcome = _outcomes(chunk["outcome"])
        voted = outcome != 2
        if not voted.all():
            chunk, outcome = chunk.filter(pa.array(voted)), outcome[voted]
            not_votes += int(len(voted) - len(outcome))
        parts.append(_encode_chunk(chunk, outcome, response_ids, owner, annotators, people))
    a, b, annotator, shown, outcome, p_a = _join(parts)
    names = sorted(annotators)
    annotator = np.argsort([annotators[name] for name in names]).astype(np.int32)[annotator]
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
        annotators=tuple(names),
        human=np.array([name in people for name in names], np.bool_),
        length=length,
    )
    return EncodedVotes(votes=votes, prompt_ids=prompt_ids, response_ids=response_ids, not_votes=not_votes)


def _index_responses(responses: pa.Table) -> tuple[pa.Array, pa.Array, Int64, Float32]:
    """Prompt ids, response ids, offsets and lengths, by prompt id and then response id."""
    table = responses.select(
        [c for c in ("prompt_id", "response_id", "length") if c in responses.column_names]
    )
    table = table.set_column(0, "prompt_id", _plain(table["prompt_id"]))
    table = table.set_column(1, "response_id", _plain(table["response_id"]))
    table = table.sort_by([("prompt_id", "ascending"), ("response_id", "ascending")]).combine_chunks()
    response_ids = _one(table["response_id"])
    if pc.count_distinct(response_ids).as_py() != len(response_ids):
        counts = pc.value_counts(response_ids)
        twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")[0]
        raise CurateError(
            f"responses: response_id {twice} occurs more than once; give every response its own id."
        )
    runs = pc.run_end_encode(_one(table["prompt_id"]))
    offsets = np.concatenate(([0], runs.run_ends.to_numpy())).astype(np.int64)
    length = np.empty(0, np.float32)
    if "length" in table.column_names:
        length = table["length"].to_numpy().astype(np.float32)
    return runs.values, response_ids, offsets, length


def _chunks(judgments: pa.Table | pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Tables of at least `ROWS_AT_ONCE` rows, the last one smaller."""
    batches: Iterable[pa.RecordBatch] = (
        judgments.to_batches() if isinstance(judgments, pa.Table) else judgments
    )
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(len(b) for b in waiting) >= ROWS_AT_ONCE:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _encode_chunk(
    chunk: pa.Table,
    outcome: Int8,
    response_ids: pa.Array,
    owner: Int32,
    annotators: dict[str, int],
    people: set[str],
) -> _Columns:
    a, b = (_response_index(chunk, side, response_ids) for side in ("response_a", "response_b"))
    wrong = np.flatnonzero((owner[a] != owner[b]) | (a == b))
    if len(wrong):
        row = int(wrong[0])
        raise CurateError(
            f"judgments: response_a {chunk['response_a'][row]} and response_b {chunk['response_b'][row]} are not two "
            "different responses of one prompt; compare responses of the same prompt only."
        )
    annotator = _annotator_index(chunk["annotator_id"], annotators)
    if "kind" in chunk.column_names:
        names = tuple(annotators)
        is_human = _codes(chunk["kind"], pa.array(["human"])) == 0
        people.update(names[k] for k in np.unique(annotator[is_human]))
    shown: Int8 = np.zeros(len(a), np.int8)
    if "shown" in chunk.column_names:
        shown = np.array([1, -1, 0], np.int8)[_codes(chunk["shown"], pa.array(["ab", "ba"]))]
    p_a: Float32 = (0.5 + 0.5 * outcome).astype(np.float32)
    if "p_a" in chunk.column_names:
        given = chunk["p_a"].to_numpy().astype(np.float32)
        if ((given < 0.0) | (given > 1.0)).any():
            bad = given[(given < 0.0) | (given > 1.0)][0]
            raise CurateError(f"judgments: p_a is {bad}; a probability lies between 0 and 1.")
        p_a = np.where(np.isnan(given), p_a, given)
    turned = a > b
    sign = np.where(turned, -1, 1).astype(np.int8)
    return _Columns(
        a=np.minimum(a, b),
        b=np.maximum(a, b),
        annotator=annotator,
        shown=shown * sign,
        outcome=outcome * sign,
        p_a=np.where(turned, 1.0 - p_a, p_a).astype(np.float32),
    )


def _join(parts: list[_Columns]) -> tuple[Int32, Int32, Int32, Int8, Int8, Float32]:
    if not parts:
        empty = np.empty(0, np.int32)
        return empty, empty, empty, np.empty(0, np.int8), np.empty(0, np.int8), np.empty(0, np.float32)
    return (
        np.concatenate([part.a for part in parts]),
        np.concatenate([part.b for part in parts]),
        np.concatenate([part.annotator for part in parts]),
        np.concatenate([part.shown for part in parts]),
        np.concatenate([part.outcome for part in parts]),
        np.concatenate([part.p_a for part in parts]),
    )


def _outcomes(column: pa.ChunkedArray) -> Int8:
    """+1, -1, 0, or 2 for what is not a vote."""
    code = _codes(column, pa.array([*OUTCOMES, *NOT_VOTES]))
    if (code < 0).any():
        found = column[int(np.flatnonzero(code < 0)[0])]
        allowed = ", ".join((*OUTCOMES, *NOT_VOTES))
        raise CurateError(f"judgments: outcome is {found}; use one of {allowed}.")
    return np.array([*OUTCOMES.values(), *(2 for _ in NOT_VOTES)], np.int8)[code]


def _response_index(chunk: pa.Table, side: str, response_ids: pa.Array) -> Int32:
    index = _codes(chunk[side], response_ids)
    if (index < 0).any():
        missing = chunk[side][int(np.flatnonzero(index < 0)[0])]
        raise CurateError(
            f"judgments: {side} {missing} is not among the responses; ingest the response first."
        )
    return index


def _annotator_index(column: pa.ChunkedArray, annotators: dict[str, int]) -> Int32:
    """Indexes in `annotators`, which grows by the names that are new."""
    if column.null_count:
        raise CurateError("judgments: an annotator_id is null; say who judged.")
    for name in pc.unique(_plain(column)).to_pylist():
        annotators.setdefault(name, len(annotators))
    return _codes(column, pa.array(list(annotators)))


def _codes(column: pa.ChunkedArray, values: pa.Array) -> Int32:
    """int32[len(column)], the place of each entry in `values`, -1 where it is none of them (or null)."""
    if pa.types.is_dictionary(column.type):
        parts = []
        for part in column.chunks:
            table = np.append(_codes(pa.chunked_array([part.dictionary]), values), np.int32(-1))
            parts.append(
                table[pc.fill_null(part.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)]
            )
        return np.concatenate(parts) if parts else np.empty(0, np.int32)
    found = pc.index_in(
        _plain(column), value_set=_plain(pa.chunked_array([values])).combine_chunks(), skip_nulls=True
    )
    codes: Int32 = pc.fill_null(found, -1).to_numpy()
    return codes


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """As large_string: dictionaries and string views compare with nothing else."""
    return column if column.type == pa.large_string() else column.cast(pa.large_string())


def _one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) and combined.num_chunks else combined


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
    over_slices(
        lambda first, last: _order_slice(
            first, last, offsets, first_vote, a, b, annotator, shown, outcome, p_a, order
        ),
        votes + 1,
    )
    return order


@kernel
def _order_slice(
    first: int, last: int, offsets: Int64, first_vote: Int64, a: Int32, b: Int32, annotator: Int32, shown: Int8,
    outcome: Int8, p_a: Float32, order: Int64,
) -> None:  # fmt: skip
    for prompt in range(first, last):
        begin, end = first_vote[prompt], first_vote[prompt + 1]
        if end - begin < 2:
            continue
        votes, base = order[begin:end].copy(), offsets[prompt]
        size = offsets[prompt + 1] - base
        most = annotator[votes].max() + 1
        key = np.empty(end - begin, np.int64)
        for k in range(end - begin):
            v = votes[k]
            said = 3 * (shown[v] + 1) + outcome[v] + 1
            key[k] = (((a[v] - base) * size + b[v] - base) * most + annotator[v]) * 9 + said
        by_key = np.argsort(key)
        start = 0
        for k in range(1, end - begin + 1):
            if k < end - begin and key[by_key[k]] == key[by_key[start]]:
                continue
            alike = votes[by_key[start:k]]
            if k - start > 1:
                alike = alike[np.argsort(p_a[alike])]
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
