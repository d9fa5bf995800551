"""What the lake knows of every pair when people's work is planned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.config.project import Config
from curate.core.resources import read_query
from curate.lake.lake import Lake
from curate.lake.panel_view import select_panel
from curate.records import VerifyTask
from curate.verify.identity import compute_task_id
from curate.verify.routing.pairs import Bool, Float64, Int64, Pairs, draw_permanently

POOL = 5_000
"""Pairs that strategies choose among, where there are more: judges' opinions and embeddings of all would not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStates:
    """Q pairs of the last aggregation, by id, and what became of questions about them.

    `pairs`: prompt_id, response_a, response_b; `draw`, `p_a`, `confidence`, `dropped` float64[Q]; `side` float64[Q],
    the label as it stands: 1 (a), -1 (b), 0 (tie); `verdict` float64[Q], people's mean, NaN without; all others
    bool[Q]: `asked` (a question is planned, or people have said something), `answered` (by a verdict), `unanimous`
    (two people or more, one verdict), `disputed` (no verdict has more than half), `random` (in the random stratum),
    and which questions about people exist already. `waiting`: questions without an answer; `threshold`: the
    confidence from which labels are accepted, NaN where there is none.
    """

    pairs: pl.DataFrame
    draw: Float64
    p_a: Float64
    confidence: Float64
    dropped: Float64
    side: Float64
    verdict: Float64
    asked: Bool
    answered: Bool
    unanimous: Bool
    disputed: Bool
    random: Bool
    gold_asked: Bool
    repeated: Bool
    adjudicating: Bool
    waiting: int
    threshold: float

    def first(self, among: Bool, n: int) -> Int64:
        """At most n of the pairs marked in `among`, in the order of their draw."""
        rows = np.flatnonzero(among)
        return rows[np.argsort(self.draw[rows], kind="stable")][: max(n, 0)]

    def task(
        self,
        row: int,
        *,
        strategy: str,
        purpose: str,
        priority: float,
        probability: float | None,
        run_id: str,
    ) -> VerifyTask:
        prompt, a, b = self.pairs.row(row)
        return VerifyTask.model_validate(
            {
                "task_id": compute_task_id(prompt, "pairwise", (a, b), purpose),
                "prompt_id": prompt,
                "form": "pairwise",
                "responses": (a, b),
                "strategy": strategy,
                "purpose": purpose,
                "priority": priority,
                "probability": probability,
                "run_id": run_id,
            }
        )


def read_pair_states(lake: Lake, *, seed: int) -> PairStates:
    """Read it from the last aggregation, people's judgments and the queue."""
    frame = lake.frame(read_query("verify_pairs"))
    asked = lake.frame(
        "SELECT prompt_id, responses[1] AS response_a, responses[2] AS response_b, purpose, "
        "strategy = 'random' AS random FROM lake.verify_tasks WHERE form = 'pairwise'"
    )
    pairs = frame.select("prompt_id", "response_a", "response_b")

    def has(kind: pl.Expr) -> Bool:
        found = asked.filter(kind).unique(["prompt_id", "response_a", "response_b"]).with_columns(found=True)
        joined = pairs.join(found, on=pairs.columns, how="left", maintain_order="left")
        return joined["found"].fill_null(False).to_numpy().astype(np.bool_)

    verdicts, most = frame["verdicts"].to_numpy(), frame["most"].to_numpy()
    purpose = pl.col("purpose")
    return PairStates(
        pairs=pairs,
        draw=draw_permanently(list(pairs.select("response_a", "response_b").iter_rows()), seed),
        p_a=_to_floats(frame["p_a"]),
        confidence=_to_floats(frame["confidence"]),
        dropped=_to_floats(frame["dropped_weight"].fill_null(0.0)),
        side=_to_floats(
            frame["outcome"].replace_strict({"a": 1.0, "b": -1.0, "tie": 0.0}, return_dtype=pl.Float64)
        ),
        verdict=_to_floats(frame["verdict"].fill_null(float("nan"))),
        asked=has(purpose == "label") | frame["heard"].to_numpy().astype(np.bool_),
        answered=verdicts > 0,
        unanimous=(verdicts > 1) & (most == verdicts),
        disputed=(verdicts > 1) & (2 * most <= verdicts),
        random=has(pl.col("random")),
        gold_asked=has(purpose == "gold"),
        repeated=has(purpose == "repeat"),
        adjudicating=has(purpose == "adjudicate"),
        waiting=int(lake.value(f"SELECT count(*) FROM ({read_query('verify_waiting')})")),
        threshold=_find_threshold(frame),
    )


def read_routing_pairs(lake: Lake, config: Config, state: PairStates, open_: Bool) -> tuple[Pairs, Int64]:
    """The pairs that strategies choose among, with what they read, and their rows in `state`."""
    rows = _select_pool(state, open_)
    opinion, reward = _read_votes(lake, config, state, rows)
    difference, place = _embed_pairs(lake, config, state, rows)
    pairs = Pairs(
        draw=state.draw[rows],
        p_a=state.p_a[rows],
        confidence=state.confidence[rows],
        opinion=opinion,
        dropped=state.dropped[rows],
        gold=np.sign(state.verdict[rows]),
        open=open_[rows],
        threshold=state.threshold,
        reward=reward,
        difference=difference,
        place=place,
    )
    return pairs, rows


def _select_pool(state: PairStates, open_: Bool) -> Int64:
    """All pairs that are open or answered; where these are many, the most doubtful, overruled and some at random."""
    open_rows = np.flatnonzero(open_)
    answered = state.first(state.answered, POOL // 4)
    if len(open_rows) > POOL:
        by = (state.confidence, -state.dropped, state.draw)
        parts = [
            open_rows[np.lexsort((state.draw[open_rows], key[open_rows]))][: POOL // len(by)] for key in by
        ]
        open_rows = np.concatenate(parts)
    return np.union1d(open_rows, answered)


def _read_votes(lake: Lake, config: Config, state: PairStates, rows: Int64) -> tuple[Float64, Float64]:
    """Each judge's mean vote on the pairs, float64[Q, C], and the reward models' mean probability, float64[Q]."""
    select_panel(lake, config.panel_names)
    with lake.bind("pool", state.pairs[rows].with_row_index("pair").to_arrow()):
        said = lake.frame(read_query("verify_opinions"))
    column = said["annotator_id"].rank("dense").to_numpy().astype(np.int64) - 1
    opinion = np.zeros((len(rows), int(column.max(initial=-1)) + 1))
    opinion[said["pair"].to_numpy().astype(np.int64), column] = said["opinion"].to_numpy()
    models = said.filter(pl.col("kind") == "reward-model").group_by("pair").agg(pl.col("p_a").mean())
    reward = np.full(len(rows), np.nan)
    reward[models["pair"].to_numpy().astype(np.int64)] = _to_floats(models["p_a"].fill_null(float("nan")))
    return opinion, reward


def _embed_pairs(lake: Lake, config: Config, state: PairStates, rows: Int64) -> tuple[Float64, Float64]:
    """`Pairs.difference` and `Pairs.place`; no columns where no strategy or no model asks for them."""
    name = config.verify.plan.embedder or (config.train.embedder if config.train is not None else None)
    wanted = {"errors", "d-optimal"} & set(config.verify.plan.mix)
    if name is None or not wanted:
        return np.zeros((len(rows), 0)), np.zeros((len(rows), 0))
    from curate.engine.local.embeddings import CachedEmbedder

    with lake.bind("pool", state.pairs[rows].with_row_index("pair").to_arrow()):
        texts = lake.frame(read_query("verify_texts"))
    embedder = CachedEmbedder(config.model_name(name), cache=config.resolve(config.workspace) / "embeddings")
    prompt, a, b = (
        embedder.embed(texts[column].to_list()).astype(np.float64) for column in ("prompt", "a", "b")
    )
    place = prompt + (a + b) / 2
    norm = np.linalg.norm(place, axis=1, keepdims=True)
    return a - b, place / np.maximum(norm, 1e-12)


def _find_threshold(frame: pl.DataFrame) -> float:
    """The lowest confidence of an accepted label, where labels below it are not; NaN where all are taken."""
    accepted = frame.filter(pl.col("status") == "accepted")["confidence"].min()
    routed = frame.filter(pl.col("status") == "routed").height
    return float(accepted) if routed and isinstance(accepted, float) else float("nan")


def _to_floats(column: pl.Series) -> Float64:
    return column.to_numpy().astype(np.float64)
