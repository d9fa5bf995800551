"""Questions of other forms than whole pairs: prompts to rank, responses to judge one by one, pairs in one aspect."""

from __future__ import annotations

import numpy as np
import polars as pl

from curate.core.human_forms import AskedAs, get_filter_name
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.verify.routing.pairs import Float64, Int64, draw_permanently
from curate.verify.state import PairStates, QuestionStates, count_waiting, read_progress

LEAST_RANKED = 3  # responses of a prompt; two are a pair


def read_unit_states(
    lake: Lake, pairs: PairStates, *, asked_as: AskedAs, aspect: str | None, seed: int
) -> QuestionStates:
    """Read what could be asked in a form, and how far it is.

    A ranking is about all responses of a prompt that has three or more; pass-fail, rubric and critique about each
    response; filters leave some out. Pairs are those of the last aggregation. An aspect that names a filter is asked of
    the responses that this filter has sent to people.

    Args:
        lake: The project's lake.
        pairs: The pairs of the last aggregation.
        asked_as: The form.
        aspect: The one criterion to ask about; None: the responses as a whole.
        seed: Seed of the permanent random numbers.
    """
    questions = _list_questions(lake, pairs, asked_as, aspect)
    key = ["prompt_id", "responses"]
    tasks = lake.frame(
        "SELECT prompt_id, sorted_responses AS responses, purpose, strategy = 'random' AS random FROM queued_questions "
        "WHERE asked_as = $1 AND aspect IS NOT DISTINCT FROM $2::VARCHAR",
        [asked_as, aspect],
    )
    answers = questions.join(
        lake.frame(read_query("verify_units"), [asked_as, aspect]), on=key, how="left", maintain_order="left"
    )
    verdicts, most = (answers[name].fill_null(0) for name in ("verdicts", "most"))
    queued, progress = read_progress(questions, tasks, verdicts=verdicts, most=most)
    return QuestionStates(
        asked_as=asked_as,
        aspect=aspect,
        questions=questions,
        draw=_draw_units(questions, asked_as, aspect, seed),
        asked=queued | answers["people"].is_not_null().to_numpy(),
        waiting=count_waiting(lake, asked_as, aspect),
        **progress,
    )


def index_units(states: QuestionStates, pairs: PairStates) -> Int64:
    """Return the questions that are about each pair, int64[Q, k]: k = 2 where a question is about one response.

    -1: the pair is in no question.
    """
    rows = states.questions.with_row_index("row")
    if states.asked_as == "pairwise":
        return np.arange(len(pairs), dtype=np.int64)[:, None]
    if states.asked_as == "ranking":
        columns = [pairs.pairs.select("prompt_id").join(
            rows.select("prompt_id", "row"), on="prompt_id", how="left", maintain_order="left"
        )["row"]]  # fmt: skip
    else:
        single = rows.select(pl.col("responses").list.first().alias("response_id"), "row")
        columns = [
            pairs.pairs.select(pl.col(side).alias("response_id")).join(
                single, on="response_id", how="left", maintain_order="left"
            )["row"]
            for side in ("response_a", "response_b")
        ]
    return np.stack([column.cast(pl.Int64).fill_null(-1).to_numpy() for column in columns], axis=1)


def _list_questions(lake: Lake, pairs: PairStates, asked_as: AskedAs, aspect: str | None) -> pl.DataFrame:
    if (name := get_filter_name(aspect)) is not None:
        return lake.frame(
            "SELECT prompt_id, [item_id] AS responses FROM filter_decisions "
            "WHERE \"filter\" = $1 AND action = 'route' ORDER BY ALL",
            [name],
        )
    if asked_as == "pairwise":
        return pairs.questions
    responses = lake.frame(read_query("verify_responses"))
    if asked_as == "ranking":
        grouped = responses.group_by("prompt_id", maintain_order=True).agg(
            pl.col("response_id").alias("responses")
        )
        return grouped.filter(pl.col("responses").list.len() >= LEAST_RANKED)
    return responses.select("prompt_id", pl.concat_list("response_id").alias("responses"))


def _draw_units(questions: pl.DataFrame, asked_as: AskedAs, aspect: str | None, seed: int) -> Float64:
    """Draw a number for each question that depends on the seed, the question, the form and the aspect alone."""
    about = asked_as if aspect is None else f"{asked_as} {aspect}"
    return draw_permanently([(about, " ".join(responses)) for responses in questions["responses"]], seed)
