"""AlpacaEval: the outputs of one model, or the annotations of two models' outputs by a judge model.

`preference` is 1 where `output_1` wins and 2 where `output_2` does; values between are 1 + the judge's
probability for `output_2`, 1.5 (and 0 in older files) is a tie, and null an answer that could not be read.
"""

from __future__ import annotations

from curate.config.ingest import Fields
from curate.ingest import foreign
from curate.ingest.foreign import ForeignRow, SourceSettings
from curate.ingest.rejection import RowError
from curate.ingest.rows import IncomingResponse, Row, Verdict
from curate.ingest.shapes.base import Shape
from curate.ingest.verdicts import Scope
from curate.records import Outcome

FIELDS = Fields(
    prompt="instruction",
    input="input",
    a="output_1",
    b="output_2",
    model_a="generator_1",
    model_b="generator_2",
    winner="preference",
    annotator="annotator",
    response_text="output",
    response_model="generator",
)
COLUMNS = (
    frozenset({"instruction", "output_1", "output_2"}),
    frozenset({"instruction", "output"}),
)


class AlpacaEval(Shape):
    """The output of one model, or of two with a verdict."""

    fields = FIELDS
    columns = COLUMNS
    kind = "llm"
    description = "AlpacaEval, the outputs of one model, or annotations of two by a judge model"

    def read_row(self, row: ForeignRow, reading: SourceSettings) -> Row:
        """Read a row."""
        fields = reading.fields
        path = fields.prompt or "instruction"
        prompt = foreign.build_prompt(
            row, reading, foreign.check_text(foreign.require_value(row, path), path)
        )
        single = fields.response_text or "output"
        if fields.a is None or fields.b is None or fields.a not in row:
            output = foreign.check_text(foreign.require_value(row, single), single)
            model = foreign.get_text(row, fields.response_model)
            return foreign.build_row(
                row, reading, prompt, [IncomingResponse(text=output, id=None, model=model)]
            )
        responses = [
            IncomingResponse(
                text=foreign.check_text(foreign.require_value(row, output), output),
                id=None,
                model=foreign.get_text(row, model),
            )
            for output, model in ((fields.a, fields.model_a), (fields.b, fields.model_b))
        ]
        verdicts = (
            [_verdict(row, reading, fields.winner)]
            if isinstance(fields.winner, str) and fields.winner in row
            else []
        )
        return foreign.build_row(row, reading, prompt, responses, verdicts)


def _verdict(row: ForeignRow, reading: SourceSettings, path: str) -> Verdict:
    value = row[path]
    winner: Outcome
    probability = None
    if value is None:
        winner = "failed"
    else:
        preference = foreign.parse_number(value, path)
        if preference != 0 and not 1 <= preference <= 2:
            raise RowError("wrong value", f"`{path}` is {preference:g}, but must be between 1 and 2.")
        winner = "tie" if preference in (0, 1.5) else "a" if preference < 1.5 else "b"
        if preference not in (0, 1, 1.5, 2):
            probability = 2 - preference
    scope = Scope(row, row, reading.fields, reading)
    return Verdict(
        a=0,
        b=1,
        annotator=scope.get_annotator(),
        kind=scope.get_kind(),
        winner=winner,
        p_a=probability,
    )
