"""Ids are reproducible with nothing but a JSON encoder and BLAKE2b."""

from __future__ import annotations

import json
from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from curate.core.identity import content_id

fields = st.recursive(
    st.none() | st.text() | st.integers(-(2**53), 2**53), lambda inner: st.lists(inner, max_size=4)
)


@given(st.lists(fields, max_size=4))
def test_the_documented_recipe(values: list[object]) -> None:
    encoded = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    assert content_id(*values) == blake2b(encoded, digest_size=16).hexdigest()


def test_nothing_and_absence_differ() -> None:
    assert len({content_id("a", None), content_id("a"), content_id("a", ""), content_id(None, "a")}) == 4
