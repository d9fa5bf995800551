"""The closing record of a judge: it tells which revision counts from now on, and that nothing is left to ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from curate.core.identity import content_id
from curate.judge.base import PromptItem
from curate.judge.configured import ConfiguredJudge, Panel
from curate.judge.pending import list_items
from curate.judge.plan import make_plan
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, find_newest_run


def finish_judges(
    lake: Lake, panel: Panel, *, run: StageRun, unanswered: Mapping[str, tuple[str, int]] | None = None
) -> tuple[int, dict[str, int]]:
    """Write a closing record for each judge that has no pending questions, or only ones that failed.

    The record tells which revision of the judge counts from now on.

    Args:
        lake: Lake with the judgments.
        panel: The judges.
        run: Run that writes the records.
        unanswered: By judge, the number of its pending questions, where it is known, and the closing fingerprint for
            which it holds.

    Returns:
        Number of records written, and the number of pending questions of each judge that has any.
    """
    # Before the items are read: none may come in between unseen.
    unfinished = list_unfinished(lake, panel.judges.values())
    items: list[PromptItem] | None = None
    written, pending_counts = 0, {}
    for configured, closing in unfinished:
        known_closing, left = (unanswered or {}).get(configured.name, ("", 0))
        if known_closing != closing:
            items = list_items(lake) if items is None else items
            if not items:
                break
            left = make_plan(lake, panel, configured, items).pending
        if left:
            pending_counts[configured.name] = left
            # With questions left to retry, the record must not keep the next run from retrying them.
            closing = content_id(closing, left)
            if closing == find_newest_run(lake, "judge", configured.name):
                continue
        with run.chunk(configured.name, fingerprint=closing, status="done") as (_, counts):
            counts.details |= {"revision": configured.revision, "kind": configured.judge.kind, "open": left}
        written += 1
    return written, pending_counts


def list_unfinished(lake: Lake, judges: Iterable[ConfiguredJudge]) -> list[tuple[ConfiguredJudge, str]]:
    """List the judges for which anything has changed since their last closing record, with its new fingerprint."""
    responses = digest_responses(lake)
    closing = [(configured, make_closing_fingerprint(lake, configured, responses)) for configured in judges]
    return [
        (configured, fingerprint)
        for configured, fingerprint in closing
        if find_newest_run(lake, "judge", configured.name) != fingerprint
    ]


def digest_responses(lake: Lake) -> str:
    """Return a digest of the ids of all responses that no filter drops: with another one there are other questions."""
    responses = lake.digest("responses", "response_id")
    dropped = "memory.leaves_out(action)"
    if not lake.value(f"SELECT count(*) FROM lake.filter_decisions WHERE {dropped}"):
        return responses
    return content_id(responses, lake.digest("filter_decisions", "item_id", dropped))


def make_closing_fingerprint(lake: Lake, configured: ConfiguredJudge, responses: str) -> str:
    """Identify what a judge's questions depend on; `responses`: from `digest_responses`."""
    options = (
        configured.attempts,
        configured.pairs,
        configured.max_pairs,
        list(configured.after),
        configured.uncertain,
    )
    query = "SELECT count(*), bit_xor(hash(judgment_id)) FROM judgments WHERE list_contains(?, annotator_id)"
    earlier = lake.rows(query, [list(configured.after)]) if configured.after else []
    return content_id(configured.revision, options, earlier, responses)
