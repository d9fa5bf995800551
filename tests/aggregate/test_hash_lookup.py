"""Look-ups of hashes against a dictionary."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.aggregate.hash_lookup import look_up_hashes

HASHES = st.lists(st.sampled_from([0, 1, 7, 2**32, 2**40 + 7, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1))


@given(HASHES, st.lists(HASHES))
def test_every_hash_is_found_where_it_stands(known: list[int], chunks: list[list[int]]) -> None:
    known = [*dict.fromkeys(known)]
    place = {value: k for k, value in enumerate(known)}
    found = look_up_hashes(pa.chunked_array(chunks, pa.uint64()), pa.chunked_array([known], pa.uint64()))
    assert found.tolist() == [place.get(value, -1) for chunk in chunks for value in chunk]


@pytest.mark.parametrize("known", [[], [5]])
def test_nothing_is_found_in_next_to_nothing(known: list[int]) -> None:
    looked_up = pa.chunked_array([[5, 6]], pa.uint64())
    assert look_up_hashes(looked_up, pa.chunked_array([known], pa.uint64())).tolist() == [len(known) - 1, -1]
