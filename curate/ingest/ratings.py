"""Ratings and rankings made elsewhere: rows of `kind: ratings` and `kind: rankings` sources as judgments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
from pydantic import ValidationError

from curate.core.resources import read_query
from curate.data.judgments import JudgmentStatement
from curate.data.native_ratings import RankingsRow, RatingsRow
from curate.ingest.explain import explain_validation_error
from curate.ingest.native import RawRow
from curate.ingest.parse import parse_line
from curate.ingest.rejection import RowError
from curate.ingest.statements import REVISION, SourceStatement
from curate.ingest.storable import check_storable
from curate.lake.lake import Lake
from curate.records import Kind

StatedRow = RatingsRow | RankingsRow
MODELS: dict[str, type[StatedRow]] = {"ratings": RatingsRow, "rankings": RankingsRow}


def make_stated_decoder(source_kind: str, kind: Kind | None) -> Callable[[RawRow], StatedRow]:
    """Return the decoder of a source's rows; `kind`: the annotators', where no row says so."""
    model = MODELS[source_kind]

    def decode(raw: RawRow) -> StatedRow:
        row = parse_line(raw) if isinstance(raw, bytes) else raw
        check_storable(row)
        if kind is not None:
            row = {"kind": kind, **row}
        try:
            return model.model_validate({name: value for name, value in row.items() if value is not None})
        except ValidationError as error:
            raise explain_validation_error(error, model) from None

    return decode


def resolve_stated_rows(lake: Lake, rows: Sequence[StatedRow]) -> list[SourceStatement | RowError]:
    """Return for each row its judgment with the lake's ids, or why there is none.

    Args:
        lake: The lake with the responses.
        rows: Ratings or rankings.
    """
    named = [(number, row.prompt, name) for number, row in enumerate(rows) for name in row.references]
    numbers, prompts, names = zip(*named, strict=True) if named else ((), (), ())
    refs = pa.table({
        "row": pa.array(numbers, pa.int64()),
        "prompt": pa.array(prompts, pa.string()),
        "response": pa.array(names, pa.string()),
    })  # fmt: skip
    matches: dict[int, dict[str, dict[str, str]]] = {}
    with lake.bind("refs", refs):
        for number, name, prompt_id, response_id in lake.rows(read_query("resolve_responses")):
            by_prompt = matches.setdefault(number, {}).setdefault(prompt_id, {})
            if by_prompt.setdefault(name, response_id) != response_id:
                by_prompt[name] = ""  # two responses of the prompt have this name
    return [_build_statement(number, row, matches.get(number, {})) for number, row in enumerate(rows)]


def _build_statement(
    number: int, row: StatedRow, matches: dict[str, dict[str, str]]
) -> SourceStatement | RowError:
    if not matches:
        unknown = ", ".join(repr(name) for name in row.references)
        reason = f"No prompt in the lake has the id {row.prompt!r} and a response {unknown}."
        return RowError("unknown reference", reason)
    whole = {prompt: ids for prompt, ids in matches.items() if len(ids) == len(row.references)}
    if not whole:
        ids = next(iter(matches.values()))
        missing = next(name for name in row.references if name not in ids)
        return RowError(
            "unknown reference", f"Prompt {row.prompt!r} has no response {missing!r} in the lake."
        )
    prompt_id, ids = next(iter(whole.items()))
    if len(whole) > 1 or "" in ids.values():
        return RowError(
            "ambiguous reference",
            f"{row.prompt!r} and its responses fit several in the lake: use the lake's own ids "
            "(`prompt_id`, `response_id`).",
        )
    if len(set(ids.values())) < len(ids):
        return RowError("same response twice", "Two of the names in `ranking` are one response in the lake.")
    statement = JudgmentStatement(
        prompt_id,
        row.annotator,
        row.kind,
        REVISION,
        "pointwise",
        (),
        "a",
        rationale=row.rationale,
        aspect=row.aspect,
    )
    if isinstance(row, RatingsRow):
        return SourceStatement(
            number,
            statement._replace(responses=(ids[row.response],), score=row.score, score_sd=row.score_sd),
        )
    places = row.places
    has_ties = any(len(place) > 1 for place in places)
    scores = tuple(-float(rank) for rank, place in enumerate(places) for _ in place)
    ranking = tuple(ids[name] for name in row.references)
    return SourceStatement(
        number, statement._replace(form="listwise", ranking=ranking, scores=scores if has_ties else None)
    )
