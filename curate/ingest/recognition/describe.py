"""A sentence about what was understood of an input, and three of its rows drawn as conversations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from curate.config.project import Config
from curate.ingest.recognition.recognize import Recognition
from curate.ingest.recognition.sample import count_rows, locate_same
from curate.ingest.recognition.trial import AnyRow, Trial
from curate.ingest.rows import AnyMessage, IncomingResponse, NativeResponse, Rating, Verdict
from curate.ingest.shapes import open_shape
from curate.records import Kind

_DRAWN = 3
_LINES = 4  # of a message
_VERDICTS = 6
_WIDTH = 100  # characters of a line
_PEOPLE = {"human": "people", "imported": "nobody knows whom", "llm": "language models"}


def describe_recognition(recognition: Recognition, config: Config) -> str:
    """Say what an input was understood to be: shape, kind of conversations, how many rows, whose verdicts.

    Args:
        recognition: What was recognised.
        config: The project's settings.
    """
    source, trial = recognition.source, recognition.trial
    place = recognition.item.part
    if source is None:
        return f"{place}: not recognised"
    if trial is None:
        return f"{place}: judgments of responses that are in the lake"
    about = open_shape(source.format).description
    shape = f"`{source.format}`" + (f" ({about})" if about else "")
    if source.format == "native" and source.fields is not None:
        shape = "a mapping by its columns"
    total = count_rows(locate_same(recognition.item, source, config), config)
    count = f"{total:,}" if total is not None else f"more than {trial.total:,}"
    parts = [shape, *_describe_prompts(trial), f"{count} {_name_rows(trial)}", _describe_verdicts(trial)]
    if trial.rejections:
        parts.append(
            f"{sum(trial.rejections.values())} of the first {trial.total} rows cannot be read ({trial.commonest})"
        )
    return f"{place}: {', '.join(part for part in parts if part)}"


def _name_rows(trial: Trial) -> str:
    sizes = Counter(len(row.responses) for row in trial.rows)
    if set(sizes) == {2}:
        return "pairs"
    if set(sizes) == {1}:
        return "single responses"
    least, most = min(sizes, default=0), max(sizes, default=0)
    return f"prompts with {least if least == most else f'{least} to {most}'} responses"


def _describe_prompts(trial: Trial) -> Iterator[str]:
    """Say what conversations hold beyond one question and one answer."""
    messages = [message for row in trial.rows if not isinstance(row.prompt, str) for message in row.prompt]
    answers = [r for row in trial.rows for r in row.responses if not isinstance(r.answer, str)]
    roles = {message.role for message in messages}
    if messages:
        yield "conversational"
    if "assistant" in roles:
        yield "several turns"
    if roles & {"system", "developer"}:
        yield "system prompts"
    everything: list[AnyMessage] = [*messages, *(message for r in answers for message in r.answer)]  # type: ignore[list-item]
    if any(row.tools for row in trial.rows) or any(message.tool_calls for message in everything):
        yield "tools"
    if any(message.reasoning for message in everything):
        yield "reasoning"
    if any(
        part.type != "text"
        for message in everything
        if not isinstance(message.content, str)
        for part in message.content or ()
    ):
        yield "images or other media"
    if any(row.reference for row in trial.rows):
        yield "reference answers"


def _describe_verdicts(trial: Trial) -> str:
    """Say whose verdicts the rows carry; people are counted, and not named."""
    verdicts = [verdict for row in trial.rows for verdict in row.verdicts]
    ratings = [rating for row in trial.rows for rating in row.ratings]
    if not verdicts and not ratings:
        return "no verdicts"
    names: dict[Kind, dict[str, None]] = {}
    statements: list[Verdict | Rating] = [*verdicts, *ratings]
    for statement in statements:
        names.setdefault(statement.kind, {})[statement.annotator] = None
    whose = " and ".join(
        f"{_PEOPLE.get(kind, kind)} (kind {kind}: {_list_names(kind, list(n))})" for kind, n in names.items()
    )
    ties = sum(verdict.winner == "tie" for verdict in verdicts)
    word = "verdicts" if verdicts else "ratings"
    return f"{word} of {whose}" + (f", {ties} of the first {len(verdicts)} are ties" if ties else "")


def _list_names(kind: Kind, names: Sequence[str]) -> str:
    if kind == "human":
        return "1 name" if len(names) == 1 else f"{len(names)} names"
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def describe_columns(trial: Trial) -> str:
    """Say which columns are not read, or that all are."""
    if not trial.unread:
        return "every column is read"
    kept = [name for name in trial.unread if trial.source.fields and name in trial.source.fields.meta]
    rest = [name for name in trial.unread if name not in kept]
    parts = [
        f"{word}: {', '.join(names)}" for word, names in (("kept in meta", kept), ("not read", rest)) if names
    ]
    return "; ".join(parts)


def draw_rows(trial: Trial) -> str:
    """Draw the first rows as conversations, with who says which answer is better."""
    return "\n".join(
        line for number, row in enumerate(islice(trial.rows, _DRAWN), 1) for line in _draw_row(number, row)
    )


def _draw_row(number: int, row: AnyRow) -> Iterator[str]:
    yield f"── row {number} " + "─" * 60
    yield from _draw_turns(row.prompt, "user", "  ")
    responses: Sequence[IncomingResponse | NativeResponse] = row.responses
    for position, response in enumerate(responses):
        yield f"  {_letter(position)}" + (f" ({response.model})" if response.model else "")
        yield from _draw_turns(response.answer, "assistant", "    ")
    lines = [_draw_verdict(verdict) for verdict in row.verdicts]
    lines += [_draw_rating(rating) for rating in row.ratings]
    yield from (f"  → {line}" for line in lines[:_VERDICTS])
    if len(lines) > _VERDICTS:
        yield f"  → {len(lines) - _VERDICTS} more"


def _draw_turns(turns: object, role: str, indent: str) -> Iterator[str]:
    if isinstance(turns, str):
        yield from _draw_text(role, turns, indent)
        return
    assert isinstance(turns, Sequence)
    for message in turns:
        if message.reasoning:
            yield from _draw_text(f"{message.role} thinks", message.reasoning, indent)
        content = message.content
        parts = (
            [content]
            if isinstance(content, str)
            else [part.text or f"[{part.type}: {part.uri}]" for part in content or ()]
        )
        if parts or not message.tool_calls:
            yield from _draw_text(message.role, "\n".join(parts), indent)
        for call in message.tool_calls or ():
            yield from _draw_text(f"{message.role} calls {call.name}", str(call.arguments), indent)


def _draw_text(role: str, text: str, indent: str) -> Iterator[str]:
    lines = text.splitlines() or [""]
    for number, line in enumerate(lines[:_LINES]):
        cut = line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
        yield f"{indent}{role + ':' if number == 0 else ' ' * (len(role) + 1)} {cut}"
    if len(lines) > _LINES:
        yield f"{indent}{' ' * (len(role) + 1)} … {len(lines) - _LINES} more lines"


def _draw_verdict(verdict: Verdict) -> str:
    a, b = _letter(verdict.a), _letter(verdict.b)
    says = {
        "a": f"{a} is better than {b}",
        "b": f"{b} is better than {a}",
        "tie": f"{a} and {b} are equally good",
    }
    word = says.get(verdict.winner, f"{verdict.winner} on {a} and {b}")
    more = [f"P({a}) = {verdict.p_a:.2f}"] if verdict.p_a is not None else []
    more += [f"margin {verdict.margin:g}"] if verdict.margin is not None else []
    more += [f"on {verdict.aspect}"] if verdict.aspect else []
    more += [verdict.tied_as.replace("_", " ")] if verdict.tied_as else []
    listed = f" ({', '.join(more)})" if more else ""
    return f"{word}{listed}, says {verdict.annotator} ({verdict.kind})"


def _draw_rating(rating: Rating) -> str:
    aspect = f" on {rating.aspect}" if rating.aspect else ""
    return (
        f"{_letter(rating.response)} is rated {rating.score:g}{aspect} by {rating.annotator} ({rating.kind})"
    )


def _letter(position: int) -> str:
    return chr(ord("A") + position) if position < 26 else f"#{position + 1}"


def join_sentences(problems: Sequence[str]) -> str:
    """Join what is to be done into one sentence."""
    return "; ".join(problems)
