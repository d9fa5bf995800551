"""The path of one aggregation: the votes of a panel → labels with a guarantee → rows of the lake's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curate.aggregate.annotator_stats import measure_annotators
from curate.aggregate.annotators import OpenedModel
from curate.aggregate.encode import EncodedVotes, encode_votes
from curate.aggregate.guarantee_report import build_assessment_row
from curate.aggregate.held_out_test import Strata
from curate.aggregate.human_votes import People, match_strengths, read_people
from curate.aggregate.labelling import Labelling, label_pairs
from curate.aggregate.memory_rows import build_memory_tables, read_memory
from curate.aggregate.model_gain import measure_model_gain
from curate.aggregate.reversed_people import find_reversed_people
from curate.aggregate.rewards.fused import Fused, fuse_rewards
from curate.aggregate.rows import build_tables
from curate.aggregate.strata import group_all, group_by_agreement, group_by_category
from curate.aggregate.votes import Int32, Votes
from curate.config.aggregate import AggregateSection
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.runs import Counts


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`tables`: rows by table name; `note`: lines for the user."""

    tables: dict[str, pa.Table]
    counts: Counts
    note: str


def aggregate_panel(
    lake: Lake,
    section: AggregateSection,
    judged: pl.DataFrame,
    *,
    iteration: int,
    run_id: str,
    share: float = 1.0,
    model: OpenedModel | None = None,
    joined: str | None = None,
) -> Aggregation:
    """Aggregate the judgments of a panel.

    Args:
        lake: A lake with the relation `panel`, which the caller has bound.
        section: The settings.
        judged: How many judgments each annotator made.
        iteration: Number of the label set.
        run_id: The run that the rows belong to.
        share: Share of delta that the guarantee of this label set may use.
        model: The model that `section` names; None: open it by its name.
        joined: The trained reward model that has joined the panel.
    """
    encoded = encode_votes(lake)
    measured = measure_annotators(encoded.votes)
    fused = _fuse_rewards(lake, encoded, section)
    encoded = replace(encoded, votes=replace(fused.votes, author=_code_authors(encoded)))
    people = _read_people(lake, encoded, section)
    strata = _choose_strata(lake, encoded, section)
    labelling = label_pairs(
        encoded.votes,
        people,
        section,
        model=model,
        strata=strata,
        conflicting=fused.conflicting,
        memory=read_memory(lake, encoded, section, iteration=iteration, share=share),
    )
    assessment = build_assessment_row(labelling, section)
    stamp = {"iteration": iteration, "run_id": run_id}
    tables = build_tables(
        encoded, labelling, judged=judged, measured=measured, assessment=assessment, stamp=stamp
    )
    tables |= build_memory_tables(labelling.memory, encoded, stamp)
    counts = _count_rows(encoded, labelling)
    if joined is not None and (gain := measure_model_gain(encoded.votes, joined)) is not None:
        counts.details["model_gain"] = {"mean": round(gain.mean, 6), "error": round(gain.error, 6)}
    return Aggregation(tables, counts, _write_note(encoded, labelling, fused, counts, assessment["claim"]))


def _read_people(lake: Lake, encoded: EncodedVotes, section: AggregateSection) -> People:
    """Read the verdicts of people, and which of them answer tasks that were drawn at random."""
    planned = bool(lake.value("SELECT count(*) FROM verify_tasks"))
    asked = {(a, b) for a, b in lake.rows(read_query("aggregate_random_pairs"))} if planned else set()
    strengths = lake.arrow(read_query("aggregate_strengths"))
    return read_people(
        encoded.votes,
        encoded.response_ids,
        section.guarantee,
        asked,
        planned=planned,
        strength=match_strengths(encoded.votes, encoded.response_ids, strengths),
    )


def _fuse_rewards(lake: Lake, encoded: EncodedVotes, section: AggregateSection) -> Fused:
    """Put one annotator in place of the reward models of `aggregate.rewards`."""
    asked = section.rewards
    if asked is None:
        return Fused(encoded.votes, np.zeros(0, np.int64))
    rated = lake.arrow(read_query("aggregate_ratings"), [asked.annotators])
    names = pa.array(asked.annotators, pa.large_string())
    response = pc.index_in(rated["response_id"].cast(pa.large_string()), value_set=encoded.response_ids)
    model = pc.index_in(rated["annotator_id"].cast(pa.large_string()), value_set=names)
    scores = np.full((len(encoded.response_ids), len(asked.annotators)), np.nan)
    scores[response.to_numpy(), model.to_numpy()] = rated["score"].to_numpy()
    return fuse_rewards(encoded.votes, scores, asked.annotators, asked)


def _code_authors(encoded: EncodedVotes) -> Int32:
    """Number the models that wrote the responses, int32[R]; empty if no model is known.

    A response of an unknown model is a model of its own.
    """
    if encoded.models.null_count == len(encoded.models):
        return np.empty(0, np.int32)
    codes = encoded.models.dictionary_encode().indices
    author: Int32 = pc.fill_null(codes, -1).to_numpy().copy()
    unknown = np.flatnonzero(author < 0)
    author[unknown] = author.max() + 1 + np.arange(len(unknown))
    return author


def _choose_strata(lake: Lake, encoded: EncodedVotes, section: AggregateSection) -> Strata:
    """Choose how pairs are grouped for the guarantee."""
    asked = section.guarantee
    if asked is None or asked.strata == "none":
        return group_all
    if asked.strata == "agreement":
        return lambda pairs: group_by_agreement(encoded.votes, pairs)
    path = f'$."{asked.category}"'
    category: Mapping[str, str] = dict(lake.rows(read_query("aggregate_categories"), [path]))
    return lambda pairs: group_by_category(category, encoded.prompt_ids, pairs)


def _write_note(encoded: EncodedVotes, labelling: Labelling, fused: Fused, counts: Counts, claim: str) -> str:
    """Write the lines for the user: what was labelled, reasons to doubt it, and the guarantee."""
    cyclic, prompts = counts.details["cyclic_before"], counts.details["prompts"]
    lines = [f"{len(labelling.graphs.tally):,} pairs of {prompts:,} prompts, {cyclic:,} with cycles."]
    lines += _list_unreliable(encoded.votes, labelling.people)
    lines += [
        f"{name} names the loser of the judges' majority in {n - agree} of {n} pairs, where other people mostly name "
        "the winner: if a and b were swapped in these verdicts, mend the file and take it in anew."
        for name, agree, n in find_reversed_people(encoded.votes)
    ]
    if fused.unrated:
        lines.append(f"`aggregate.rewards`: no ratings by {', '.join(fused.unrated)} yet.")
    return "\n".join([*lines, *labelling.posterior.warnings, claim])


def _list_unreliable(votes: Votes, people: People) -> list[str]:
    """Write one sentence about the people whose answers count less, if there are any."""
    some = np.flatnonzero(people.trust < 1.0).tolist()
    if not some:
        return []
    named = ", ".join(f"{votes.annotators[k]} counts {people.trust[k]:.1f}" for k in some[:5])
    more = f" and {len(some) - 5} more" if len(some) > 5 else ""
    differ = "differs" if len(some) == 1 else "differ"
    whole = (
        f"Of {int(votes.human.sum())} people, {len(some)} {differ} from the others too often to count fully"
    )
    return [f"{whole}: {named}{more}."]


def _count_rows(encoded: EncodedVotes, labelling: Labelling) -> Counts:
    graphs, votes = labelling.graphs, len(encoded.votes)
    return Counts(
        rows_in=votes + encoded.n_not_votes,
        rows_kept=votes,
        dropped={"abstained or failed": encoded.n_not_votes} if encoded.n_not_votes else {},
        details={
            "prompts": int(np.count_nonzero(np.diff(graphs.tally.offsets))),
            "pairs": len(graphs.tally),
            "ties": int((graphs.direction == 0).sum()),
            "cyclic_before": int((graphs.dropped_weight > 0).sum()),
            "cyclic_after": 0,
            "dropped_arcs": int((graphs.dropped > 0).sum()),
            "annotator_model": labelling.section.annotator_model_name,
            "doubts": list(labelling.posterior.warnings),
        },
    )
