"""Hold criteria against labels that the model does not see: which of two responses do they favour?

Each pair is shown in both orders, and the two answers are averaged, so that a model that always says A decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from curate.engine.base import Failure
from curate.rubric.extraction.calls import Call, Caller
from curate.rubric.extraction.pairs import LabelledPair

_CHOICES = ("A", "B")


def predict_pairs(
    caller: Caller, pairs: Sequence[LabelledPair], criteria: Sequence[Sequence[str]]
) -> list[float | None]:
    """Return P(the better response is taken for better) of each pair; None where a call failed.

    Args:
        caller: Asks the engine.
        pairs: Pairs.
        criteria: The criteria of each pair, as sentences.
    """
    calls = [
        Call(
            step="evaluate",
            values={
                "request": pair.request,
                "first": first,
                "second": second,
                "criteria": list(sentences),
            },
            prompt_ids=(pair.prompt_id,),
            choices=_CHOICES,
        )
        for pair, sentences in zip(pairs, criteria, strict=True)
        for first, second in ((pair.better, pair.worse), (pair.worse, pair.better))
    ]
    answers = caller.ask(calls)
    return [
        None if isinstance(ahead, Failure) or isinstance(behind, Failure) else (ahead[0] + behind[1]) / 2
        for ahead, behind in zip(answers[::2], answers[1::2], strict=True)
    ]
