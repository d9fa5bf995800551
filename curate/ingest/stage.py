"""The ingest stage: sources in, tables out, in chunks of which each is committed whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from curate.config.ingest import Fields, Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.progress import Track, no_progress
from curate.ingest.annotators import name_annotators
from curate.ingest.barred import refuse_forgotten_inputs
from curate.ingest.chunks import cut_chunks, cut_line_chunks
from curate.ingest.commit import Committer
from curate.ingest.context import check_source
from curate.ingest.decoders import make_judgments_decoder, make_responses_decoder
from curate.ingest.inputs import Input, locate_inputs
from curate.ingest.people import People
from curate.ingest.prefetch import prefetch_items
from curate.ingest.prepare import prepare_judgments, prepare_responses
from curate.ingest.recognition.sources import resolve_formats
from curate.ingest.terms import register_inputs
from curate.lake.forgotten import ForgottenNames
from curate.lake.lake import Lake
from curate.lake.runs import StageRun, Summary, is_done, list_committed_chunks

STAGE = "ingest"
_AHEAD = 1  # chunks decoded ahead of the one that is being written
_NAMED = 8  # columns that are not read, in a note
_THREADS = 4  # that read columns at once; more would wait for the one that writes


def ingest_sources(lake: Lake, config: Config, *, track: Track = no_progress) -> Summary:
    """Take in all sources of `curate.yaml`: responses first, then the judgments about them."""
    return _ingest_sources(
        lake, sorted(config.ingest, key=lambda source: source.kind != "responses"), config, track
    )


def ingest_responses(
    lake: Lake, sources: Sequence[Source], config: Config, *, track: Track = no_progress
) -> Summary:
    """Take in prompts and responses, and the verdicts that come with them.

    Relative paths start at the folder of `config`. An input that was read to its end before and has not
    changed since (path, size, modification time; of a hub data set its commit) is skipped.

    Args:
        lake: The lake.
        sources: Files, folders and hub data sets.
        config: The project's settings.
        track: Shows progress.

    Raises:
        CurateError: Before anything is read: an input is missing, is in no format that can be read, or has the wrong
            columns. Before any of the source is taken in: its mapping would make one prompt of different questions.
            After the rows before the damage: an input is damaged.
    """
    return _ingest_sources(lake, _set_kind(sources, "responses"), config, track)


def ingest_judgments(
    lake: Lake, sources: Sequence[Source], config: Config, *, track: Track = no_progress
) -> Summary:
    """Take in judgments, ratings and rankings of responses that are in the lake; see `ingest_responses`.

    A judgment of unknown responses goes into quarantine; the input is read again when responses have come in.
    """
    stated = [source for source in sources if source.kind in ("ratings", "rankings")]
    pairs = _set_kind([source for source in sources if source not in stated], "judgments")
    return _ingest_sources(lake, [*pairs, *stated], config, track)


def _set_kind(sources: Sequence[Source], kind: str) -> list[Source]:
    return [
        Source.model_validate({**source.model_dump(exclude_unset=True), "kind": kind}) for source in sources
    ]


def _ingest_sources(lake: Lake, sources: Sequence[Source], config: Config, track: Track) -> Summary:
    check_repeated_files(sources)
    sources = resolve_formats(sources, config)
    located = [locate_inputs(source, config) for source in sources]
    forgotten = ForgottenNames.read(lake)
    refuse_forgotten_inputs(forgotten, [item for inputs in located for item in inputs])
    run = StageRun(lake, STAGE, config_hash=content_id([source.digest for source in sources]))
    people = People(config)
    names = name_annotators(lake, [item for inputs in located for item in inputs])
    notes: list[str] = []
    committer: Committer | None = None  # loads the lake's ids, which a run without work need not do
    for inputs in located:
        # Judgments are fingerprinted with the responses of the sources before them, which are in the lake by now.
        pending = [(item, fingerprint) for item in inputs for fingerprint in [_fingerprint_input(lake, item)]]
        pending = [pair for pair in pending if not is_done(lake, STAGE, pair[0].part, pair[1])]
        unread = check_source([item for item, _ in pending]) if pending else []
        notes += [_name_unread(pending[0][0].source, unread)] if unread else []
        register_inputs(lake, inputs, run.run_id)
        for item, fingerprint in pending:
            committer = committer or Committer(lake, run, people, forgotten)
            with track(f"ingest {item.part}", item.total) as advance:
                for rows in _commit_input(lake, committer, item, fingerprint, people, names[item.part]):
                    advance(rows)
    return run.summary(skipped=committer is None, note="; ".join(notes))


def _name_unread(source: Source, columns: Sequence[str]) -> str:
    """Name the columns that were not taken in: what is ignored should be known."""
    named = ", ".join(f"`{column}`" for column in columns[:_NAMED])
    more = f" and {len(columns) - _NAMED} more" if len(columns) > _NAMED else ""
    return f"of {source.source}, {named}{more} was not read (`fields.meta` keeps it, `fields.ignore` leaves it out)"


def check_repeated_files(sources: Sequence[Source]) -> None:
    """Stop where two sources read two verdicts of one file, and nothing says who or what tells the two apart.

    Criteria (which is more helpful, which is safer) would count as two votes on one label.
    """
    seen: dict[tuple[str, str], str] = {}
    for source in sources:
        fields = source.fields or Fields()
        if not isinstance(fields.winner, str) or fields.aspect or fields.annotator or source.annotator:
            continue
        first = seen.setdefault((source.kind, source.source), fields.winner)
        if first != fields.winner:
            raise CurateError(
                f"{source.source} is read twice, with `winner: {first}` and `winner: {fields.winner}`, and both would "
                "count as votes on one label: write `aspect: NAME` beside the one that is about a criterion of its "
                "own, or `annotator: NAME` in each source where two annotators said so."
            )


def _fingerprint_input(lake: Lake, input: Input) -> str:
    if input.source.kind == "responses":
        return input.fingerprint
    # References that are unknown today may be known once more responses are there.
    return content_id(input.fingerprint, lake.digest("responses", "response_id"))


def _commit_input(
    lake: Lake, committer: Committer, input: Input, fingerprint: str, people: People, annotator: str
) -> Iterator[int]:
    """Commit the chunks of an input that no earlier run has committed; yield the number of rows of each."""
    finished = list_committed_chunks(lake, STAGE, input.part, fingerprint)
    # Not WHERE: each condition that DuckLake can push down costs it a query of its catalog.
    refresh = bool(lake.value("SELECT bool_or(source = ?) FROM quarantine", [input.part]))
    size = input.source.chunk
    cut = (
        cut_chunks(input.read(), size=size)
        if input.blocks is None
        else cut_line_chunks(input.blocks(), size=size)
    )
    chunks = (chunk for chunk in cut if chunk.index not in finished)
    if input.source.kind == "responses":
        responses = make_responses_decoder(input.source, name=annotator)
        native = input.source.format == "native" and input.source.fields is None
        with (
            lake.limit_threads(1),  # the chunks are read by threads of their own
            ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool,
            prefetch_items(
                (
                    prepare_responses(chunk, responses, input, pool if native else None, people)
                    for chunk in chunks
                ),
                ahead=_AHEAD,
            ) as ready,
        ):
            for prepared in ready:
                yield committer.commit_responses(prepared, input, fingerprint, refresh=refresh)
    else:
        judgments = make_judgments_decoder(input.source, name=annotator)
        with prefetch_items(
            (prepare_judgments(chunk, judgments) for chunk in chunks), ahead=_AHEAD
        ) as decoded:
            for prepared_judgments in decoded:
                yield committer.commit_judgments(prepared_judgments, input, fingerprint, refresh=refresh)
