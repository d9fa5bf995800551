"""The state of every pair of the lake when questions to people are planned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.config.project import Config
from curate.core.human_forms import AskedAs
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.records import Form, VerifyTask
from curate.verify.identity import compute_task_id
from curate.verify.routing.pairs import Bool, Float64, Int64, Pairs, draw_permanently

POOL = 5_000
"""Most pairs that strategies choose among: votes and embeddings of more would not fit into memory."""


def get_judged_form(asked_as: AskedAs) -> Form:
    """Return the form of the judgments that answer a question."""
    forms: dict[AskedAs, Form] = {"pairwise": "pairwise", "ranking": "listwise"}
    return forms.get(asked_as, "pointwise")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionStates:
    """Q questions that could be asked in one form about one aspect, and how far they are.

    | field          | type       | meaning |
    | ---            | ---        | --- |
    | `asked_as`     | str        | the form |
    | `aspect`       | str        | the one criterion asked about; None: the responses as a whole |
    | `questions`    | Q rows     | prompt_id, responses (in ascending order) |
    | `draw`         | float64[Q] | permanent random number |
    | `asked`        | bool[Q]    | a question is planned, or people have given an answer |
    | `answered`     | bool[Q]    | people have given a verdict |
    | `unanimous`    | bool[Q]    | two people or more gave the same verdict |
    | `disputed`     | bool[Q]    | no verdict has more than half of the people |
    | `random`       | bool[Q]    | in the random stratum |
    | `gold_asked`   | bool[Q]    | is a gold question already |
    | `repeated`     | bool[Q]    | is asked again already |
    | `adjudicating` | bool[Q]    | is adjudicated already |
    | `waiting`      | int        | questions of this form and aspect without an answer |
    """

    asked_as: AskedAs
    aspect: str | None
    questions: pl.DataFrame
    draw: Float64
    asked: Bool
    answered: Bool
    unanimous: Bool
    disputed: Bool
    random: Bool
    gold_asked: Bool
    repeated: Bool
    adjudicating: Bool
    waiting: int

    def __len__(self) -> int:
        return len(self.questions)

    def take_first(self, among: Bool, n: int) -> Int64:
        """Return at most n of the questions marked in `among`, in the order of their draw."""
        rows = np.flatnonzero(among)
        return rows[np.argsort(self.draw[rows], kind="stable")][: max(n, 0)]

    def build_task(
        self,
        row: int,
        *,
        strategy: str,
        purpose: str,
        priority: float,
        probability: float | None,
        run_id: str,
    ) -> VerifyTask:
        """Build the question in a row; the other arguments are columns of `verify_tasks`."""
        prompt, responses = self.questions.row(row)
        form = get_judged_form(self.asked_as)
        return VerifyTask.model_validate(
            {
                "task_id": compute_task_id(
                    prompt, form, responses, purpose, asked_as=self.asked_as, aspect=self.aspect
                ),
                "prompt_id": prompt,
                "form": form,
                "responses": responses,
                "strategy": strategy,
                "purpose": purpose,
                "priority": priority,
                "probability": probability,
                "run_id": run_id,
                "asked_as": self.asked_as,
                "aspect": self.aspect,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStates(QuestionStates):
    """Q pairs of the last aggregation, by id, and the questions about them as a whole.

    | field          | type       | meaning |
    | ---            | ---        | --- |
    | `pairs`        | Q rows     | prompt_id, response_a, response_b |
    | `p_a`          | float64[Q] | probability that a is better |
    | `confidence`   | float64[Q] | probability that the label is right |
    | `dropped`      | float64[Q] | weight of the evidence that the denoised order overruled |
    | `side`         | float64[Q] | the label: 1 (a), -1 (b), 0 (tie) |
    | `verdict`      | float64[Q] | mean of people's verdicts, NaN without any |
    | `threshold`    | float      | confidence from which labels are accepted, NaN where there is none |
    """

    pairs: pl.DataFrame
    p_a: Float64
    confidence: Float64
    dropped: Float64
    side: Float64
    verdict: Float64
    threshold: float


def read_pair_states(lake: Lake, *, seed: int) -> PairStates:
    """Read the state from the last aggregation, people's judgments and the queue."""
    frame = lake.frame(read_query("verify_pairs"))
    asked = lake.frame(read_query("verify_asked"))
    pairs = frame.select("prompt_id", "response_a", "response_b")
    queued, progress = read_progress(pairs, asked, verdicts=frame["verdicts"], most=frame["most"])
    return PairStates(
        asked_as="pairwise",
        aspect=None,
        questions=pairs.select("prompt_id", pl.concat_list("response_a", "response_b").alias("responses")),
        pairs=pairs,
        draw=draw_permanently(list(pairs.select("response_a", "response_b").iter_rows()), seed),
        p_a=_to_floats(frame["p_a"]),
        confidence=_to_floats(frame["confidence"]),
        dropped=_to_floats(frame["dropped_weight"].fill_null(0.0)),
        side=_to_floats(
            frame["outcome"].replace_strict({"a": 1.0, "b": -1.0, "tie": 0.0}, return_dtype=pl.Float64)
        ),
        verdict=_to_floats(frame["verdict"].fill_null(float("nan"))),
        asked=queued | frame["heard"].to_numpy().astype(np.bool_),
        waiting=count_waiting(lake, "pairwise", None),
        threshold=_find_threshold(frame),
        **progress,
    )


def read_progress(
    questions: pl.DataFrame, tasks: pl.DataFrame, *, verdicts: pl.Series, most: pl.Series
) -> tuple[Bool, dict[str, Bool]]:
    """Read how far questions are: in the queue, and by the verdicts of people.

    Args:
        questions: Q questions; all columns together identify one.
        tasks: Tasks of the queue: the columns of `questions`, `purpose`, and `random` (drawn at random).
        verdicts: Q numbers of verdicts.
        most: Q numbers of verdicts that agree with the most frequent one.

    Returns:
        bool[Q], whether a task asks for a label; and the fields of `QuestionStates` from `answered` to `adjudicating`.
    """
    key, purpose = questions.columns, pl.col("purpose")

    def has_task(condition: pl.Expr) -> Bool:
        chosen = tasks.filter(condition).unique(key).with_columns(matches=True)
        joined = questions.join(chosen, on=key, how="left", maintain_order="left")
        return joined["matches"].fill_null(False).to_numpy().astype(np.bool_)

    number, agreeing = verdicts.to_numpy(), most.to_numpy()
    return has_task(purpose == "label"), {
        "answered": number > 0,
        "unanimous": (number > 1) & (agreeing == number),
        "disputed": (number > 1) & (2 * agreeing <= number),
        "random": has_task(pl.col("random")),
        "gold_asked": has_task(purpose == "gold"),
        "repeated": has_task(purpose == "repeat"),
        "adjudicating": has_task(purpose == "adjudicate"),
    }


def count_waiting(lake: Lake, asked_as: AskedAs, aspect: str | None) -> int:
    """Count the questions of one form and aspect that nobody has answered."""
    query = (
        f"SELECT count(*) FROM ({read_query('verify_waiting')}) "
        "WHERE coalesce(asked_as, if(form = 'listwise', 'ranking', form)) = $1 "
        "AND aspect IS NOT DISTINCT FROM $2::VARCHAR"
    )
    return int(lake.value(query, [asked_as, aspect]))


def read_routing_pairs(
    lake: Lake, config: Config, states: PairStates, is_open: Bool, *, with_embeddings: bool
) -> tuple[Pairs, Int64]:
    """Read the pool of pairs that strategies choose among.

    Args:
        lake: Lake with an aggregation.
        config: The project; names the panel and the embedder.
        states: The Q pairs of the lake.
        is_open: bool[Q], pairs that may be asked about.
        with_embeddings: Whether a strategy reads embeddings; they are computed only then.

    Returns:
        The pool, and int64, the row of each of its pairs in `states`.
    """
    rows = _select_pool(states, is_open)
    votes, reward_p_a = _read_votes(lake, config, states, rows)
    difference, position = _embed_pairs(lake, config, states, rows, wanted=with_embeddings)
    pairs = Pairs(
        draw=states.draw[rows],
        p_a=states.p_a[rows],
        confidence=states.confidence[rows],
        votes=votes,
        dropped_weight=states.dropped[rows],
        human_verdict=np.sign(states.verdict[rows]),
        is_open=is_open[rows],
        threshold=states.threshold,
        reward_p_a=reward_p_a,
        embedding_difference=difference,
        pair_embedding=position,
    )
    return pairs, rows


def _select_pool(states: PairStates, is_open: Bool) -> Int64:
    """Select all open or answered pairs; where these are many, the least confident, most overruled and some random."""
    open_rows = np.flatnonzero(is_open)
    answered = states.take_first(states.answered, POOL // 4)
    if len(open_rows) > POOL:
        keys = (states.confidence, -states.dropped, states.draw)
        parts = [
            open_rows[np.lexsort((states.draw[open_rows], key[open_rows]))][: POOL // len(keys)]
            for key in keys
        ]
        open_rows = np.concatenate(parts)
    return np.union1d(open_rows, answered)


def _read_votes(lake: Lake, config: Config, states: PairStates, rows: Int64) -> tuple[Float64, Float64]:
    """Read `Pairs.votes` float64[Q, C] and `Pairs.reward_p_a` float64[Q], the mean over reward models."""
    select_panel(lake, config.panel_names)
    with lake.bind("pool", states.pairs[rows].with_row_index("pair").to_arrow()):
        judged = lake.frame(read_query("verify_opinions"))
    column = judged["annotator_id"].rank("dense").to_numpy().astype(np.int64) - 1
    votes = np.zeros((len(rows), int(column.max(initial=-1)) + 1))
    votes[judged["pair"].to_numpy().astype(np.int64), column] = judged["opinion"].to_numpy()
    models = judged.filter(pl.col("kind") == "reward-model").group_by("pair").agg(pl.col("p_a").mean())
    reward_p_a = np.full(len(rows), np.nan)
    reward_p_a[models["pair"].to_numpy().astype(np.int64)] = _to_floats(models["p_a"].fill_null(float("nan")))
    return votes, reward_p_a


def _embed_pairs(
    lake: Lake, config: Config, states: PairStates, rows: Int64, *, wanted: bool
) -> tuple[Float64, Float64]:
    """Compute `Pairs.embedding_difference` and `Pairs.pair_embedding`; without an embedder they have no columns."""
    name = config.verify.plan.embedder or (config.train.embedder if config.train is not None else None)
    if name is None or not wanted:
        return np.zeros((len(rows), 0)), np.zeros((len(rows), 0))
    from curate.engine.local.embeddings import CachedEmbedder

    with lake.bind("pool", states.pairs[rows].with_row_index("pair").to_arrow()):
        texts = lake.frame(read_query("verify_texts"))
    embedder = CachedEmbedder(config.model_name(name), cache=config.resolve(config.workspace) / "embeddings")
    prompt, a, b = (
        embedder.embed(texts[column].to_list()).astype(np.float64) for column in ("prompt", "a", "b")
    )
    position = prompt + (a + b) / 2
    norm = np.linalg.norm(position, axis=1, keepdims=True)
    return a - b, position / np.maximum(norm, 1e-12)


def _find_threshold(frame: pl.DataFrame) -> float:
    """Return the lowest confidence of an accepted label; NaN where no label needs review."""
    accepted = frame.filter(pl.col("status") == "accepted")["confidence"].min()
    needs_review = frame.filter(pl.col("status") == "routed").height
    return float(accepted) if needs_review and isinstance(accepted, float) else float("nan")


def _to_floats(column: pl.Series) -> Float64:
    return column.to_numpy().astype(np.float64)
