"""The set of 128-bit ids against Python's, and how it follows other writers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.ingest.columns import Ids, parse_ids
from curate.ingest.known import KnownIds, LakeIds, mark_first
from curate.lake.lake import Lake
from tests.ingest.samples import Take, lines, native

# Few values of each half, so that ids often share the first 64 bits.
halves = st.sampled_from([0, 1, 2, 2**64 - 1])
ids = st.tuples(halves, halves | st.integers(0, 2**64 - 1))


def array(values: list[tuple[int, int]]) -> Ids:
    return np.array(values, dtype=np.uint64).reshape(-1, 2)


@given(st.lists(st.lists(ids, max_size=8), max_size=6), st.lists(ids, max_size=20))
def test_holds_is_membership(batches: list[list[tuple[int, int]]], asked: list[tuple[int, int]]) -> None:
    known, reference = KnownIds(), set[tuple[int, int]]()
    for batch in batches:
        new = array(batch)[known.find_new(array(batch))]
        assert [tuple(row) for row in new.tolist()] == [
            value for i, value in enumerate(batch) if value not in reference and value not in batch[:i]
        ]
        known.add(new)
        reference |= set(batch)
    assert len(known) == len(reference)
    assert known.find_known(array(asked)).tolist() == [value in reference for value in asked]


@given(st.lists(ids, max_size=20))
def test_first_of_each(values: list[tuple[int, int]]) -> None:
    assert mark_first(array(values)).tolist() == [value not in values[:i] for i, value in enumerate(values)]


def test_many_batches_stay_few_arrays() -> None:
    rng = np.random.default_rng(0)
    known, all_ids = KnownIds(), rng.integers(0, 2**64, (20_000, 2), dtype=np.uint64)
    for start in range(0, len(all_ids), 100):
        known.add(all_ids[start : start + 100])
    assert len(known._runs) <= np.log2(200) + 1
    assert known.find_known(all_ids).all()
    assert not known.find_known(all_ids[:, ::-1]).any()


def test_parse_ids() -> None:
    assert parse_ids(["0" * 15 + "1" + "f" * 16]).tolist() == [[1, 2**64 - 1]]
    assert parse_ids([]).shape == (0, 2)


def _put(lake: Lake, *numbers: int) -> Ids:
    values = [f"{number:032x}" for number in numbers]
    with lake.write("other") as writer:
        writer.append("prompts", pa.table({"prompt_id": values}))
    return parse_ids(values)


@pytest.mark.parametrize("expired", [False, True])
def test_what_others_write_is_learnt_inside_the_lock(lake: Lake, expired: bool) -> None:
    before = _put(lake, 1, 2)
    with Lake.open(lake.location) as other:
        known = LakeIds(lake)
        assert known.prompts.find_known(before).all()
        with lake.write("look"):
            assert not known.catch_up()
        # Some of them many, so that they go into a file; few are kept in the catalog itself.
        after = np.concatenate([_put(other, 3), _put(other, *range(10, 5000)), _put(other, 6000)])
        if expired:  # `curate gc` may drop the very snapshots that we last saw
            other.call("ducklake_expire_snapshots('lake', older_than => now())")
        assert not known.prompts.find_known(after).any()
        with lake.write("look"):
            assert known.catch_up()
            assert known.prompts.find_known(np.concatenate([before, after])).all()
            assert not known.catch_up()
        assert len(known.prompts) == len(before) + len(after)


def test_what_another_process_forgets_is_not_known_any_more(lake: Lake, take: Take) -> None:
    take("a.jsonl", lines(native(1), native(2)))
    known = LakeIds(lake)
    ids = parse_ids([row[0] for row in lake.rows("SELECT prompt_id FROM prompts ORDER BY 1")])
    with Lake.open(lake.location) as other, other.write("forget") as writer:
        writer.delete("prompts", "key = 'q1'")
    assert known.catch_up()
    assert known.prompts.find_known(ids).sum() == 1
