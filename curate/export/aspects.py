"""The column `aspects` of pairs, as training reads it: the probability that the chosen response is better in each."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curate.core.sql_text import quote_text


def make_aspect_field(aspects: Sequence[str]) -> pa.Field:
    """Make the column: an object of names, each null where the pair has no label in it."""
    return pa.field("aspects", pa.struct([(name, pa.float64()) for name in aspects]))


def join_aspects(query: str, aspects: Sequence[str], *, chosen: str, rejected: str) -> str:
    """Return a query of pairs with the column `aspects`.

    Args:
        query: SQL of pairs, each with `prompt_id`.
        aspects: Names of the aspects.
        chosen: SQL of the id of the chosen response.
        rejected: SQL of the id of the rejected response.
    """
    fields = ", ".join(
        f"{quote_text(name)}: max(if(response_a = one_id, p_a, 1 - p_a)) FILTER (aspect = {quote_text(name)})"
        for name in aspects
    )
    return f"""
WITH pairs AS ({query}),
named AS (SELECT *, {chosen} AS one_id, {rejected} AS other_id FROM pairs),
about AS (
    SELECT one_id, other_id, {{{fields}}} AS aspects
    FROM named
    JOIN aspect_preferences ON aspect_preferences.prompt_id = named.prompt_id
        AND response_a = least(one_id, other_id) AND response_b = greatest(one_id, other_id)
    GROUP BY one_id, other_id
)
SELECT named.* EXCLUDE (one_id, other_id), about.aspects
FROM named LEFT JOIN about ON about.one_id = named.one_id AND about.other_id = named.other_id
ORDER BY memory.batch_of(named.prompt_id), named.prompt_id, least(named.one_id, named.other_id),
    greatest(named.one_id, named.other_id)
"""
