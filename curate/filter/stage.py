"""The stage: let each filter decide about what the ones before it left, and write its decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from curate.config.project import Config
from curate.core.human_forms import name_filter_aspect
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.core.resources import read_query
from curate.filter.base import Decision
from curate.filter.items import open_items
from curate.filter.registry import ConfiguredFilter, open_filters
from curate.lake.aspects import collect_aspect_votes, list_aspects
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.lake.runs import Counts, StageRun, Summary, find_newest_run
from curate.records import FilterDecision, arrow_schema

_TABLE = "filter_decisions"
_NOTES = {
    "report": " (reported only)",
    "mask": " (masked in exports)",
    "route": " (out until people let them stay: `curate verify plan --filter {name}`)",
    "pass": " (people let them stay)",
}


@dataclass(frozen=True, slots=True)
class FilterResult:
    """The decisions of one filter about `items` prompts or responses; `answers`: which ones may stay, as people say."""

    configured: ConfiguredFilter
    items: int
    decisions: Sequence[Decision]
    answers: Mapping[str, bool]

    @property
    def reasons(self) -> Counter[str]:
        return Counter(decision.reason for decision in self.decisions)

    @property
    def dropped(self) -> list[Decision]:
        """The decisions that leave something out."""
        return [decision for decision in self.decisions if self.find_action(decision) in ("drop", "route")]

    def find_action(self, decision: Decision) -> str:
        """Return what becomes of an item: what the filter does, and of what it routes what people have said."""
        action = str(self.configured.filter.options.action)
        stays = self.answers.get(decision.item.id)
        if action != "route" or stays is None:
            return action
        return "pass" if stays else "drop"


def filter_items(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """Write the decisions of all filters of curate.yaml; one whose input and options are as before is skipped.

    Args:
        lake: The lake.
        config: The project's settings.
        track: Shows progress, filter by filter.

    Raises:
        CurateError: A filter of curate.yaml is wrong, or cannot read what it needs.
    """
    filters = _open_filters(config)
    run = StageRun(lake, "filter", config_hash=content_id(config.filter))
    _forget_others(lake, run, filters)
    chain, worked, notes = _digest_items(lake), False, []
    with track("filter", len(filters)) as advance:
        _read_pairs(lake, config, filters)
        for configured in filters:
            chain = content_id(chain, configured.revision, *_digest_verdicts(lake, configured))
            if find_newest_run(lake, "filter", configured.name) != chain:
                result = _decide(lake, configured, _list_dropped(lake, _names_before(filters, configured)))
                _write(run, result, chain)
                worked = True
            advance(1, configured.name)
    for name, action, number in lake.rows(
        f'SELECT "filter", action, count(*) FROM {_TABLE} GROUP BY ALL ORDER BY "filter"'
    ):
        notes.append(f"{name} {number:,}{_NOTES.get(str(action), '').format(name=name)}")
    return run.summary(skipped=not worked and not run.commits, note=", ".join(notes))


def preview_filters(lake: Lake, config: Config) -> list[FilterResult]:
    """Return what the filters of curate.yaml would decide now, without writing it."""
    results: list[FilterResult] = []
    dropped: list[str] = []
    filters = _open_filters(config)
    _read_pairs(lake, config, filters)
    for configured in filters:
        result = _decide(lake, configured, pa.table({"item_id": pa.array(dropped, pa.string())}))
        dropped += [decision.item.id for decision in result.dropped]
        results.append(result)
    return results


def reads_judgments(config: Config) -> bool:
    """Tell whether a filter of curate.yaml reads judgments, so that it decides anew when there are more of them."""
    return any(configured.filter.reads == "pair" for configured in _open_filters(config))


def has_decisions(lake: Lake) -> bool:
    """Tell whether filters have decided anything, be it filters that curate.yaml no longer has."""
    return bool(lake.value(f"SELECT count(*) FROM {_TABLE}"))


def _open_filters(config: Config) -> list[ConfiguredFilter]:
    cache = config.resolve(config.workspace) / "embeddings"
    return open_filters(config.filter, folder=config.resolve("."), cache=cache)


def _decide(lake: Lake, configured: ConfiguredFilter, dropped: pa.Table) -> FilterResult:
    items = open_items(lake, configured.filter.reads, dropped)
    decisions = {decision.item.id: decision for decision in configured.filter.find(items)}
    return FilterResult(configured, len(items), list(decisions.values()), _read_answers(lake, configured))


def _read_answers(lake: Lake, configured: ConfiguredFilter) -> dict[str, bool]:
    """Read which of the responses that the filter has sent to people may stay."""
    if configured.filter.options.action != "route":
        return {}
    return dict(lake.rows(read_query("filter_answers"), [name_filter_aspect(configured.name)]))


def _write(run: StageRun, result: FilterResult, fingerprint: str) -> None:
    configured = result.configured
    rows = [
        FilterDecision(
            filter=configured.name,
            revision=configured.revision,
            target=configured.filter.target,
            item_id=decision.item.id,
            prompt_id=decision.item.prompt_id,
            action=result.find_action(decision),
            reason=decision.reason,
            score=decision.score,
            other=decision.other,
            run_id=run.run_id,
        ).model_dump()
        for decision in result.decisions
    ]
    dropped = dict(Counter(decision.reason for decision in result.dropped))
    with run.chunk(configured.name, fingerprint=fingerprint, status="done") as (writer, counts):
        writer.delete(_TABLE, '"filter" = ?', [configured.name])
        writer.append(_TABLE, pa.Table.from_pylist(rows, schema=arrow_schema(FilterDecision)))
        kept = result.items - sum(dropped.values())
        counts.add(Counts(rows_in=result.items, rows_kept=kept, dropped=dropped))


def _forget_others(lake: Lake, run: StageRun, filters: Sequence[ConfiguredFilter]) -> None:
    """Delete the decisions of filters that curate.yaml no longer has, so that what they left out comes back."""
    names = {configured.name for configured in filters}
    for (name,) in lake.rows(f'SELECT DISTINCT "filter" FROM {_TABLE} ORDER BY 1'):
        if name not in names:
            with run.chunk(str(name), fingerprint="removed", status="done") as (writer, counts):
                counts.details = {"decisions_forgotten": writer.delete(_TABLE, '"filter" = ?', [name])}


def _read_pairs(lake: Lake, config: Config, filters: Sequence[ConfiguredFilter]) -> None:
    """Read what annotators say of pairs, where a filter looks at pairs."""
    if any(configured.filter.reads == "pair" for configured in filters):
        select_panel(lake, config.panel_names)
        collect_aspect_votes(lake, list_aspects(lake), all_pairs=True)


def _digest_verdicts(lake: Lake, configured: ConfiguredFilter) -> list[str]:
    """Digest what the filter's decisions depend on beside texts: answers of people, or what annotators say of pairs."""
    if configured.filter.options.action == "route":
        return [content_id(*sorted(_read_answers(lake, configured).items()))]
    if configured.filter.reads != "pair":
        return []
    return [lake.digest("aspect_votes", "row(response_a, response_b, aspect, annotator_id, verdict)")]


def _digest_items(lake: Lake) -> str:
    return content_id(lake.digest("prompts", "prompt_id"), lake.digest("responses", "response_id"))


def _names_before(filters: Sequence[ConfiguredFilter], configured: ConfiguredFilter) -> list[str]:
    return [other.name for other in filters[: filters.index(configured)]]


def _list_dropped(lake: Lake, names: Sequence[str]) -> pa.Table:
    return lake.arrow(
        f'SELECT DISTINCT item_id FROM {_TABLE} WHERE memory.leaves_out(action) AND list_contains($1, "filter")',
        [list(names)],
    )
