"""Rows of any shape, read by the paths of `fields`: a list of responses, preferred and other ones, two, or one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from curate.config.mapping import (
    Fields,
    MoreVerdicts,
    StatedOutcome,
    Verdicts,
    list_columns,
    write_value,
)
from curate.data.conversation import Conversation, read_messages
from curate.data.preference_rows import PairColumns, PreferencePair, read_response, split_pair
from curate.ingest import foreign, verdicts
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.paths import ABSENT, find_list, find_value, locate_value
from curate.ingest.rankings import Naming, read_extremes, read_ranking
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingResponse, Rating, Row, Verdict
from curate.ingest.turns import are_parallel_turns, join_turns, read_value
from curate.ingest.verdicts import Scope


def read_mapped(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read a row in the one of four ways that its fields name."""
    fields = reading.fields
    if fields.chosen is not None:
        return read_chosen(row, reading)
    if fields.a is not None:
        return read_pair(row, reading)
    if fields.response is not None:
        return read_single(row, reading)
    return read_list(row, reading)


def read_list(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read a list of responses, or a column for each; with scores or a ranking, verdicts about pairs."""
    fields = reading.fields
    values, columns = _list_responses(row, reading)
    scope = Scope(row, row, fields, reading)
    prompt = foreign.require_value(row, fields.prompt or "prompt")
    texts = [_read_text(value, place, reading) for value, (place, _) in zip(values, columns, strict=True)]
    responses = _read_responses(scope, values, columns, texts)
    names = [
        [name for name in (response.id, response.model, *column) if name is not None]
        for response, column in zip(responses, columns, strict=True)
    ]
    naming = Naming(
        names, [text if isinstance(text, str) else None for text in texts], _list_places(fields, columns)
    )
    statements: list[Verdict] = []
    ratings: list[Rating] = []
    for inner in verdicts.list_scopes(row, reading):
        keys = inner.keys
        path = keys.response_score if isinstance(keys, MoreVerdicts) else fields.response_score
        if isinstance(path, str):
            statements += verdicts.compare_scores(verdicts.list_scores(inner, path, values), inner)
        elif path is not None:
            scores = verdicts.list_scores_by_column(inner, [column for column, _ in columns])
            statements += verdicts.compare_scores(scores, inner)
        if keys.ranking is not None:
            statements += read_ranking(inner, naming)
        if keys.best_response is not None or keys.worst_response is not None:
            statements += read_extremes(inner, naming)
        if verdicts.states_pair(keys):
            if len(responses) != 2:
                reason = f"`winner` is about two responses, but the row has {len(responses)}."
                raise RowError("wrong value", reason)
            statement = verdicts.read_statement(inner)
            statements += [statement] if statement is not None else []
    ratings += verdicts.read_ratings(scope, values, fields.aspects)
    asked = foreign.build_prompt(row, reading, prompt)
    return foreign.build_row(row, reading, asked, responses, statements, ratings)


def read_single(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read the one response of a row, and ratings of it."""
    fields = reading.fields
    path, asked_at = fields.response or "response", fields.prompt or "prompt"
    value = read_value(foreign.require_value(row, path), path, fields)
    given = find_value(row, asked_at)
    prompt: Conversation
    if given is not None and are_parallel_turns(given, [value]):
        whole = read_messages(join_turns(given, value, asked_at, path), path)
        prompt, answer = whole[:1], whole[1:]
    else:
        turns = read_messages(value, path, role="assistant")
        prompt, answer = _split_single(row, reading, given, turns)
    response = foreign.make_response(
        answer,
        id=foreign.get_key(row, fields.response_id),
        model=foreign.get_text(row, fields.response_model),
    )
    scope = Scope(row, row, fields, reading)
    ratings: list[Rating] = []
    for inner in verdicts.list_scopes(row, reading):
        keys = inner.keys
        score_path = keys.response_score if isinstance(keys, MoreVerdicts) else fields.response_score
        if not isinstance(score_path, str):
            continue
        score = verdicts.parse_score(inner.find(score_path), score_path, keys, flags=True)
        if score is not None:
            ratings.append(
                Rating(
                    response=0,
                    annotator=inner.get_annotator(),
                    kind=inner.get_kind(),
                    score=-score if inner.best == "low" else score,
                    rationale=inner.find_text(keys.rationale),
                    aspect=keys.aspect,
                )
            )
    ratings += verdicts.read_ratings(scope, [row], fields.aspects)
    return foreign.build_row(row, reading, prompt, [response], (), ratings)


def read_chosen(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read preferred and other responses: texts beside a prompt, or conversations that may begin with it.

    A path that ends with `[*]` leads to several: each preferred one is better than each other one.
    """
    fields = reading.fields
    paths = fields.chosen or "chosen", fields.rejected or "rejected"
    if any(path.endswith("*]") for path in paths):
        return _read_groups(row, reading, *paths)
    pair = _read_two_answers(row, reading, *paths)
    verdict = _read_preference(row, reading)
    more = _read_more(row, reading)
    responses = _build_two_responses(row, reading, pair)
    return foreign.build_row(row, reading, pair.prompt, responses, [verdict, *more])


def read_pair(row: ForeignRow, reading: SourceSettings) -> Row:
    """Read two responses, and verdicts where the row has them."""
    fields = reading.fields
    columns = (fields.a or "a", fields.b or "b")
    pair = _read_two_answers(row, reading, *columns)
    responses = _build_two_responses(row, reading, pair)
    statements = _read_more(row, reading, own=True)
    if fields.best_response is not None or fields.worst_response is not None:
        texts = [value if isinstance(value := find_value(row, path), str) else None for path in columns]
        names = [
            [path, *([response.model] if response.model else [])]
            for path, response in zip(columns, responses, strict=True)
        ]
        statements += read_extremes(Scope(row, row, fields, reading), Naming(names, texts, (0, 1)))
    return foreign.build_row(row, reading, pair.prompt, responses, statements)


def read_judgment(row: ForeignRow, reading: SourceSettings) -> list[dict[str, Any]]:
    """Read a row of judgments under other names as native ones (which are then checked as such)."""
    fields = reading.fields
    places = {name: getattr(fields, name) or name for name in ("prompt", "a", "b")}
    about = {name: foreign.get_key(row, path) for name, path in places.items()}
    statements = []
    for scope in verdicts.list_scopes(row, reading):
        if not verdicts.states_pair(scope.keys) and (isinstance(scope.keys, MoreVerdicts) or fields.verdicts):
            continue
        defaults = {} if isinstance(scope.keys, MoreVerdicts) else _name_native_keys(scope.keys)
        keys = scope.keys.model_copy(update=defaults)
        inner = replace(scope, keys=_let_ids_win(keys, scope, about))
        statement = verdicts.read_statement(inner)
        if statement is None:
            continue
        native = {
            **about,
            "annotator": statement.annotator,
            "kind": statement.kind,
            **{
                name: getattr(statement, name)
                for name in ("winner", "shown", "p_a", "rationale", "margin", "aspect", "tied_as")
            },
        }
        statements.append({name: value for name, value in native.items() if value is not None})
    return statements


def _let_ids_win(keys: Verdicts, scope: Scope, about: Mapping[str, str | None]) -> Verdicts:
    """Return the keys for a row whose `winner` is the id of the better response: that means its side."""
    value = scope.find(keys.winner) if isinstance(keys.winner, str) else None
    name = write_value(value) if isinstance(value, str | int | float) else None
    if name is None or name not in (about["a"], about["b"]) or name in get_args(StatedOutcome):
        return keys
    side: StatedOutcome = "a" if name == about["a"] else "b"
    return keys.model_copy(update={"winners": {name: side, **keys.winners}})


def _name_native_keys(keys: Verdicts) -> dict[str, str]:
    """Return the native names of the keys of a judgment that the mapping does not give other names."""
    names = {key: key for key in ("winner", "shown", "p_a", "rationale", "annotator")}
    names |= {"annotator_kind": "kind"}
    if keys.score_a is not None:
        names.pop("winner")
    return {key: path for key, path in names.items() if getattr(keys, key) is None}


def _read_more(row: ForeignRow, reading: SourceSettings, *, own: bool = False) -> list[Verdict]:
    """Read the statements about the two responses of a row; `own`: those of its own keys among them."""
    statements = []
    for scope in verdicts.list_scopes(row, reading):
        if not verdicts.states_pair(scope.keys) or (not own and not isinstance(scope.keys, MoreVerdicts)):
            continue
        statement = verdicts.read_statement(scope)
        if statement is not None:
            statements.append(statement)
    return statements


def _read_preference(row: ForeignRow, reading: SourceSettings) -> Verdict:
    """Read that `chosen` is better, with scores that may say by how much, or that the two are equal."""
    fields = reading.fields
    scope = Scope(row, row, fields, reading)
    scores = [
        verdicts.parse_score(find_value(row, path), path or "", fields)
        for path in (fields.score_chosen, fields.score_rejected)
    ]
    margin = None
    if scores[0] is not None and scores[1] is not None:
        margin = (scores[0] - scores[1]) * (-1 if fields.best == "low" else 1)
        if margin < 0:
            reason = f"`{fields.chosen}` is preferred, but `{fields.score_rejected}` is the better score."
            raise RowError("contradiction", reason)
    elif fields.margin is not None:
        given = find_value(row, fields.margin)
        margin = None if given is None else foreign.parse_number(given, fields.margin)
        if margin is not None and margin < 0:
            raise RowError("wrong value", f"`{fields.margin}` is {margin:g}, but must be at least 0.")
    return Verdict(
        a=0,
        b=1,
        annotator=scope.get_annotator(),
        kind=scope.get_kind(),
        winner="tie" if margin == 0 else "a",
        shown=scope.get_order(),
        rationale=scope.find_text(fields.rationale),
        margin=margin,
        aspect=fields.aspect,
    )


def _read_groups(row: ForeignRow, reading: SourceSettings, chosen: str, rejected: str) -> Row:
    """Read several preferred and other responses beside a prompt."""
    fields = reading.fields
    prompt = foreign.build_prompt(row, reading, foreign.require_value(row, fields.prompt or "prompt"))
    groups = []
    for path in (chosen, rejected):
        values = foreign.require_value(row, path)
        listed = values if isinstance(values, list) else [values]
        groups.append([
            foreign.make_response(read_response(value, f"{path.removesuffix('[*]')}[{place}]"))
            for place, value in enumerate(listed)
        ])  # fmt: skip
    scope = Scope(row, row, fields, reading)
    annotator, kind, first = scope.get_annotator(), scope.get_kind(), len(groups[0])
    statements = [
        Verdict(a=a, b=first + b, annotator=annotator, kind=kind, winner="a")
        for a in range(first)
        for b in range(len(groups[1]))
    ]
    return foreign.build_row(row, reading, prompt, [*groups[0], *groups[1]], statements)


def _read_two_answers(row: ForeignRow, reading: SourceSettings, first: str, second: str) -> PreferencePair:
    """Read the two answers of a row, texts or conversations, and what they answer."""
    fields = reading.fields
    places = (first, second)
    answers = [read_value(foreign.require_value(row, path), path, fields) for path in places]
    given = find_value(row, fields.prompt)
    asked: Conversation | None = None
    parsed = read_value(given, fields.prompt or "prompt", fields) if given is not None else None
    if are_parallel_turns(parsed, answers):
        assert isinstance(parsed, list)
        answers = [
            join_turns(parsed, answer, fields.prompt or "prompt", path)
            for answer, path in zip(answers, places, strict=True)
        ]
    elif given is not None and (given not in ("", []) or isinstance(answers[0], str)):
        asked = foreign.build_prompt(row, reading, given)
    columns = PairColumns(fields.prompt or "prompt", first, second)
    return split_pair(asked, answers[0], answers[1], columns)


def _split_single(
    row: ForeignRow, reading: SourceSettings, given: Any, turns: Conversation
) -> tuple[Conversation, Conversation]:
    """Split one conversation, or an answer beside a prompt, into what was asked and what was answered."""
    if turns and turns[0].role == "assistant":
        path = reading.fields.prompt or "prompt"
        return foreign.build_prompt(row, reading, foreign.require_value(row, path)), turns
    if given is not None:
        path = reading.fields.response or "response"
        raise RowError("different contexts", f"`{path}` is a whole conversation: leave out `prompt`.")
    last = max((at for at, message in enumerate(turns) if message.role == "user"), default=-1)
    if last < 0 or last == len(turns) - 1:
        raise RowError("no responses", f"`{reading.fields.response}` has no answer to a question.")
    return turns[: last + 1], turns[last + 1 :]


def _list_responses(row: ForeignRow, reading: SourceSettings) -> tuple[list[Any], list[tuple[str, str]]]:
    """List the responses of a row as they stand there, each with its place and a name for rankings."""
    source = reading.fields.responses or "responses"
    if isinstance(source, str):
        values = find_list(row, source)
        if values is None:
            raise RowError("missing key", f"`{source}` is missing.")
        if not isinstance(values, list):
            raise RowError(
                "wrong type", f"`{source}` is {foreign.name_type(values)}, but should be an array."
            )
        return values, [(f"{source}[{place}]", str(place)) for place in range(len(values))]
    columns = [(path, model) for model, path in source.items()] if isinstance(source, dict) else [
        (path, path) for path in source
    ]  # fmt: skip
    present = [
        (find_value(row, path), (path, name)) for path, name in columns if find_value(row, path) is not None
    ]
    if not present:
        listed = ", ".join(f"`{path}`" for path, _ in columns)
        raise RowError("missing key", f"None of {listed} is there.")
    return [value for value, _ in present], [column for _, column in present]


def _list_places(fields: Fields, columns: Sequence[tuple[str, str]]) -> list[int]:
    """Return the place that each response has among all that a row may have."""
    if fields.responses is None or isinstance(fields.responses, str):
        return list(range(len(columns)))
    every = list_columns(fields.responses)
    return [every.index(path) for path, _ in columns]


def _read_text(value: object, place: str, reading: SourceSettings) -> Any:
    """Return the text or messages of an item of `responses`."""
    fields = reading.fields
    if isinstance(value, str):
        return read_value(value, place, fields)
    if isinstance(value, list):  # messages
        return read_value(value, place, fields)
    if not isinstance(value, Mapping):
        reason = f"`{place}` is {foreign.name_type(value)}, but should be a string or an object."
        raise RowError("wrong type", reason)
    if fields.response_text is None and ("role" in value or "from" in value):
        return read_value([value], place, fields)
    name = fields.response_text or "text"
    content = find_value(value, name)
    if content is None:
        raise RowError("missing key", f"`{place}.{name}` is missing.")
    return read_value(content, f"{place}.{name}", fields)


def _read_responses(
    scope: Scope, values: Sequence[Any], columns: Sequence[tuple[str, str]], texts: Sequence[Any]
) -> list[IncomingResponse]:
    """Build the responses of a row with their keys and models."""
    fields = scope.reading.fields
    keys = _list_names(scope, fields.response_id, values, of_row=fields.id)
    models = _list_names(scope, fields.response_model, values)
    if isinstance(fields.responses, dict):
        models = [name for _, name in columns]
    return [
        foreign.make_response(read_response(text, place), id=key, model=model)
        for text, (place, _), key, model in zip(texts, columns, keys, models, strict=True)
    ]


def _list_names(
    scope: Scope, path: str | None, values: Sequence[Any], *, of_row: str | None = None
) -> list[str | None]:
    """List what names each response: a key in it, or a list beside them; one name beside them names them all.

    `of_row`: the path of what names the row, and no response.
    """
    if path is None:
        return [None] * len(values)
    beside = scope.find(path)
    if isinstance(beside, str) and not any(
        isinstance(value, Mapping) and locate_value(value, path) is not ABSENT for value in values
    ):
        return [None if path == of_row else beside] * len(values)
    return [
        foreign.get_key({place: value}, place) for value, place in verdicts.list_beside(scope, path, values)
    ]


def _build_two_responses(
    row: ForeignRow, reading: SourceSettings, pair: PreferencePair
) -> list[IncomingResponse]:
    fields = reading.fields
    models = [foreign.get_text(row, path) for path in (fields.model_a, fields.model_b)]
    return [
        foreign.make_response(answer, model=model)
        for answer, model in zip((pair.chosen, pair.rejected), models, strict=True)
    ]
