"""Batches of neighbouring items, against adding them up one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curate.engine.batching import cut_batches


@given(st.lists(st.integers(0, 20)), st.integers(0, 40), st.integers(0, 10))
def test_batches_keep_order_and_budget(sizes: list[int], budget: int, overhead: int) -> None:
    batches = list(
        cut_batches(((size, place) for place, size in enumerate(sizes)), budget=budget, overhead=overhead)
    )
    assert [place for batch in batches for place in batch] == list(range(len(sizes)))
    totals = [overhead + sum(sizes[place] for place in batch) for batch in batches]
    assert all(total <= budget or len(batch) == 1 for total, batch in zip(totals, batches, strict=True))
    # The first item of the next batch had no room.
    assert all(total + sizes[after[0]] > budget for total, after in zip(totals, batches[1:], strict=False))
