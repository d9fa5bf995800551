"""Speed and accuracy of aggregation beside its peers, all in one run.

    PYTHONPATH=. python bench/aggregate_speed.py                          # 1 M judgments, about a minute
    PYTHONPATH=. python bench/aggregate_speed.py --judgments 16000000     # 100,000 prompts
    PYTHONPATH=. python bench/aggregate_speed.py --only exact sparse models

Peers that are not installed (`pip install -e .[bench]`) are left out and said to be. Every figure is the best of
`--repeat` runs, because other work only ever makes a run slower; slow peers run once, on fewer votes, which is in
their favour: their cost per vote grows with the number of votes. With `--clock processor`, seconds are those of the
processor in all threads, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from aggregate_peers import (
    COLUMNS,
    choix_per_prompt,
    crowdkit_dawid_skene,
    crowdkit_majority,
    duckdb_group_by,
    evalica_per_prompt,
    first,
    networkx_pged,
)
from rich.console import Console
from rich.table import Table
from synthetic_panel import Panel, synthetic_panel

from curate.aggregate import aggregate_judgments
from curate.aggregate.annotators import panel
from curate.aggregate.annotators.result import AnnotatorFit
from curate.aggregate.graph.denoise import denoise_graphs, sum_denoised_graphs
from curate.aggregate.graph.majority import Majority, build_majority
from curate.aggregate.graph.solution import DenoisedGraphs
from curate.aggregate.graph.tally import PairTally, tally_pairs
from curate.aggregate.ranking.bradley_terry import bootstrap_scores, bradley_terry
from curate.aggregate.ranking.prompt_scores import PromptScores, fit_prompt_scores
from curate.aggregate.ranking.tournament import Tournament
from curate.aggregate.votes import Votes
from curate.config.project import Config
from curate.lake.lake import Lake, Location
from curate.records import Judgment, Response, arrow_schema

console = Console(width=120)


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
clock = time.perf_counter


def best_of(repeat: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Least seconds of `repeat` runs, and the last result."""
    least, result = float("inf"), None
    for _ in range(repeat):
        begin = clock()
        result = work()
        least = min(least, clock() - begin)
    return least, result


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left")
    for k, column in enumerate(columns):
        made.add_column(column, justify="left" if k == 0 else "right")
    return made


def graphs_and_majority(votes: Votes) -> DenoisedGraphs:
    return denoise_graphs(build_majority(votes).tally)


WORK: dict[str, Callable[[Votes], Any]] = {"majority + exact graphs": graphs_and_majority, "panel": panel.fit}


def says_a(pairs: PairTally, found: DenoisedGraphs | Majority | PromptScores | AnnotatorFit) -> Any:
    """Per pair, > 0 for a and < 0 for b."""
    if isinstance(found, DenoisedGraphs):
        return found.direction
    if isinstance(found, Majority | AnnotatorFit):
        return found.p_a - 0.5
    return found.score[pairs.a] - found.score[pairs.b]


def _denoise_then_ensemble(votes: Votes) -> DenoisedGraphs:
    pairs, net = sum_denoised_graphs(votes)
    return denoise_graphs(pairs, net=net)


def compare_panels(known: Panel, repeat: int, peer_judgments: int) -> None:
    """Votes in memory to one direction per pair."""
    votes = known.votes
    pairs = tally_pairs(votes)
    rows: list[tuple[str, int, float, float]] = []
    for name, work, runs in (
        ("majority + exact graphs", graphs_and_majority, repeat),
        ("majority alone", build_majority, repeat),
        ("denoise-then-ensemble", _denoise_then_ensemble, 1),
        ("panel model to convergence", panel.fit, repeat),
        ("Bradley–Terry per prompt", lambda votes: fit_prompt_scores(tally_pairs(votes)), repeat),
    ):
        seconds, found = best_of(runs, lambda work=work: work(votes))
        rows.append((name, len(votes), seconds, known.accuracy(pairs.a, pairs.b, says_a(pairs, found))))
    some, few = first(votes, peer_judgments), first(votes, peer_judgments // 10)
    for name, package, peer, sample, runs in (
        ("DuckDB group by (majority)", "duckdb", duckdb_group_by, votes, repeat),
        ("crowd-kit MajorityVote", "crowdkit", crowdkit_majority, some, 1),
        ("crowd-kit DawidSkene, 20 steps", "crowdkit", crowdkit_dawid_skene, some, 1),
        ("choix Bradley–Terry per prompt", "choix", choix_per_prompt, few, 1),
        ("evalica Bradley–Terry per prompt", "evalica", evalica_per_prompt, some, 1),
        ("networkx PGED as published", "networkx", networkx_pged, few, 1),
    ):
        if not installed(package):
            console.print(f"{name}: not installed, left out")
            continue
        seconds, (a, b, says) = best_of(runs, lambda peer=peer, sample=sample: peer(sample))
        rows.append((name, len(sample), seconds, known.accuracy(a, b, says)))
    rate = rows[0][1] / rows[0][2]
    shown = table(
        f"{votes.n_prompts:,} prompts × 4–8 responses × 5 judges × 2 orders",
        *("", "judgments", "seconds", "M judgments/s", "first row is × as fast", "pairs right"),
    )
    for name, n, seconds, right in rows:
        speed, ratio = n / seconds / 1e6, rate * seconds / n
        shown.add_row(name, f"{n:,}", f"{seconds:.3f}", f"{speed:.2f}", f"{ratio:.1f}", f"{right:.4f}")
    console.print(shown)


def compare_sizes(known: Panel, repeat: int) -> None:
    """Whether the cost is linear, and what is needed beside the votes."""
    shown = table(
        "Cost by size",
        *("", "judgments", "seconds", "ns a judgment", "votes MB", "peak beside them MB", "peak / votes"),
    )
    for name, work in WORK.items():
        for share in (16, 4, 1):
            votes = first(known.votes, len(known.votes) // share)
            seconds, _ = best_of(repeat, lambda votes=votes, work=work: work(votes))
            size, peak = memory_of(len(votes), name)
            memory = ("-", "-") if peak is None else (f"{peak:.0f}", f"{1 + peak / size:.2f}")
            per_vote = seconds / len(votes) * 1e9
            shown.add_row(
                name, f"{len(votes):,}", f"{seconds:.3f}", f"{per_vote:.1f}", f"{size:.0f}", *memory
            )
    console.print(shown)


def memory_of(judgments: int, work: str) -> tuple[float, float | None]:
    """Megabytes of the votes and of the peak beside them, in a process of its own that gives back what it frees."""
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, __file__, "--memory-of", str(judgments), "--work", work]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    size, peak = json.loads(said)
    return size, peak


def print_memory(judgments: int, work: Callable[[Votes], Any]) -> None:
    votes = synthetic_panel(judgments).votes
    work(first(votes, 1000))
    size = sum(getattr(votes, name).nbytes for name in COLUMNS) / 1e6
    print(json.dumps((size, peak_megabytes(lambda: work(votes)))))


def peak_megabytes(work: Callable[[], Any]) -> float | None:
    """Peak resident memory during `work` above what was resident before; None where the system cannot say."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        reset.write_text("5")
    except OSError:
        return None
    before = _status_megabytes(status, "VmRSS")
    work()
    return _status_megabytes(status, "VmHWM") - before


def _status_megabytes(status: Path, field: str) -> float:
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return float(line.split()[1]) * 1024 / 1e6


def lake_to_lake(known: Panel, judgments: int) -> None:
    """A lake's judgments to written preferences and rankings: `curate aggregate`, for both models."""
    votes = first(known.votes, judgments)
    with tempfile.TemporaryDirectory() as folder, Lake.open(Location.under(Path(folder))) as lake:
        fill(lake, votes)
        for model in ("majority", "panel"):
            config = Config.model_validate({"aggregate": {"annotator_model": model}})
            seconds, summary = best_of(1, lambda config=config: aggregate_judgments(lake, config))
            rate = summary.counts.rows_kept / seconds / 1e6
            console.print(
                f"Lake to lake, {model}: {summary.counts.rows_kept:,} judgments in {seconds:.1f} s, {rate:.2f} M/s"
            )


def few_new(prompts: int = 20_000, share: float = 0.01) -> None:
    """What it costs when a judge's last judgments come in, and how many prompts' rows that rewrites."""
    votes = synthetic_panel(prompts * 60, smallest=4, largest=4).votes
    rng = np.random.default_rng(1)
    chosen = np.isin(votes.prompt, rng.permutation(votes.n_prompts)[: round(share * votes.n_prompts)])
    for model in ("majority", "one_coin", "panel"):
        late = chosen & (votes.annotator == 0)
        config = Config.model_validate({"aggregate": {"annotator_model": model}})
        with tempfile.TemporaryDirectory() as folder, Lake.open(Location.under(Path(folder))) as lake:
            fill(lake, _some(votes, ~late))
            first, _ = best_of(1, lambda config=config, lake=lake: aggregate_judgments(lake, config))
            judge(lake, _some(votes, late), start=len(votes))
            second, summary = best_of(1, lambda config=config, lake=lake: aggregate_judgments(lake, config))
        changed = summary.counts.details["rewritten_prompts"]
        console.print(
            f"{model}: {int(late.sum()):,} more judgments on {len(np.unique(votes.prompt[late])):,} of "
            f"{votes.n_prompts:,} prompts: {second:.1f} s (all {len(votes):,}: {first:.1f} s); prompts rewritten: "
            + ", ".join(f"{name} {number:,}" for name, number in changed.items())
        )


def _some(votes: Votes, chosen: Any) -> Votes:
    return replace(votes, **{name: getattr(votes, name)[chosen] for name in COLUMNS})


def fill(lake: Lake, votes: Votes) -> None:
    """The responses and the judgments of `votes`."""
    response, prompt = _names(votes)
    responses = {
        "response_id": response,
        "prompt_id": np.repeat(prompt, np.diff(votes.offsets)),
        "messages": [
            [
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "x" * (1 + k % 97)}],
                    "tool_calls": [],
                }
            ]
            for k in range(votes.n_responses)
        ],
    }
    with lake.write("bench") as writer:
        writer.append("responses", _rows(responses, Response))
    judge(lake, votes, start=0)


def judge(lake: Lake, votes: Votes, *, start: int) -> None:
    """The judgments of `votes`, numbered from `start`."""
    response, prompt = _names(votes)
    columns = {
        "judgment_id": [f"{k:032x}" for k in range(start, start + len(votes))],
        "prompt_id": prompt[votes.prompt],
        "annotator_id": np.array(votes.annotators)[votes.annotator],
        "kind": np.repeat("imported", len(votes)),
        "form": np.repeat("pairwise", len(votes)),
        "response_a": response[votes.a],
        "response_b": response[votes.b],
        "shown": np.array(["ba", "", "ab"])[votes.shown + 1],
        "outcome": np.array(["b", "tie", "a"])[votes.outcome + 1],
        "revision": np.repeat("imported", len(votes)),
    }
    with lake.write("bench") as writer:
        writer.append("judgments", _rows(columns, Judgment))


def _names(votes: Votes) -> tuple[Any, Any]:
    """Ids of the responses and of the prompts."""
    response = [f"{k * 0x9E3779B97F4A7C15 % 2**128:032x}" for k in range(votes.n_responses)]
    return np.array(response), np.array([f"{k:032x}" for k in range(votes.n_prompts)])


def _rows(columns: dict[str, Any], record: type[Response | Judgment]) -> pa.Table:
    schema = arrow_schema(record)
    rows = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def solve_hard_prompts(repeat: int) -> None:
    """Complete random tournaments: nothing is easy about them."""
    shown = table(
        "Exact order of one prompt, one thread, random weights",
        "responses",
        "ms a prompt",
        "igraph's program, ms",
    )
    rng = np.random.default_rng(0)
    for n in (8, 12, 16, 19):
        pairs = complete_tournament(n, rng, copies=max(2, 2 ** (16 - n)))
        seconds, _ = best_of(repeat, lambda pairs=pairs, n=n: denoise_graphs(pairs, exact_limit=n, threads=1))
        peer = "-"
        if installed("igraph") and n <= 16:  # above it may take hours
            graph, weight = as_igraph(complete_tournament(n, rng, copies=1))
            taken, _ = best_of(
                1, lambda graph=graph, weight=weight: graph.feedback_arc_set(weights=weight, method="ip")
            )
            peer = f"{taken * 1e3:.2f}"
        shown.add_row(str(n), f"{seconds / pairs.n_prompts * 1e3:.3f}", peer)
    console.print(shown)


def complete_tournament(n: int, rng: np.random.Generator, *, copies: int) -> PairTally:
    i, j = np.triu_indices(n, 1)
    base = np.repeat(np.arange(copies) * n, len(i))
    a, b = base + np.tile(i, copies), base + np.tile(j, copies)
    return graph_tally(np.arange(copies + 1) * n, a, b, rng.normal(size=len(a)))


def graph_tally(responses: Any, a: Any, b: Any, net: Any) -> PairTally:
    return PairTally(
        responses=responses,
        offsets=np.searchsorted(a, responses),
        a=a.astype(np.int32),
        b=b.astype(np.int32),
        n=np.ones(len(a), np.int32),
        weight_a=np.maximum(net, 0.0),
        weight_b=np.maximum(-net, 0.0),
        weight_tie=np.zeros(len(a)),
    )


def as_igraph(pairs: PairTally) -> tuple[Any, list[float]]:
    import igraph

    forward = pairs.weight_a > pairs.weight_b
    arcs = np.column_stack((np.where(forward, pairs.a, pairs.b), np.where(forward, pairs.b, pairs.a)))
    graph = igraph.Graph(n=int(pairs.responses[-1]), edges=arcs, directed=True)
    return graph, (pairs.weight_a + pairs.weight_b).tolist()


def order_sparse_tournament(nodes: int = 2000, arcs: int = 20_000) -> None:
    """One large graph: a planted order, a third of the arcs reversed."""
    rng = np.random.default_rng(1)
    a, b = np.sort(rng.integers(0, nodes, (arcs, 2)), axis=1).T
    key = np.unique(a[a != b] * nodes + b[a != b])
    name = rng.permutation(nodes)
    x, y = name[key // nodes], name[key % nodes]
    net = rng.integers(1, 6, len(key)) * np.where(rng.random(len(key)) < 1 / 3, -1.0, 1.0)
    by_pair = np.lexsort((np.maximum(x, y), np.minimum(x, y)))
    x, y, net = x[by_pair], y[by_pair], net[by_pair]
    pairs = graph_tally(np.array([0, nodes]), np.minimum(x, y), np.maximum(x, y), np.where(x < y, net, -net))
    seconds, found = best_of(1, lambda: denoise_graphs(pairs))
    shown = table(
        f"Sparse tournament, {nodes:,} nodes, {len(key):,} arcs", "", "seconds", "dropped weight", "share"
    )
    total = float(np.abs(net).sum())
    dropped = float(found.dropped_weight[0])
    shown.add_row("ours", f"{seconds:.2f}", f"{dropped:.0f}", f"{dropped / total:.3f}")
    if installed("igraph"):
        graph, weight = as_igraph(pairs)
        seconds, removed = best_of(1, lambda: graph.feedback_arc_set(weights=weight, method="eades"))
        dropped = float(np.array(weight)[removed].sum())
        shown.add_row("igraph, Eades", f"{seconds:.2f}", f"{dropped:.0f}", f"{dropped / total:.3f}")
    console.print(shown)


def rank_models(repeat: int, models: int = 19, judgments: int = 94_000) -> None:
    """One global tournament, votes to strengths with intervals."""
    votes, outcome = _model_votes(models, judgments)

    def cells() -> Tournament:
        pairs = tally_pairs(votes)  # of one prompt, whose responses are the models
        wins = {"wins_a": pairs.weight_a, "wins_b": pairs.weight_b, "ties": pairs.weight_tie}
        return Tournament(models=models, a=pairs.a, b=pairs.b, **wins, votes=float(pairs.n.sum()))

    once, fitted = best_of(repeat, lambda: bradley_terry(cells()))
    drawn, _ = best_of(repeat, lambda: bootstrap_scores(cells()))
    shown = table(
        f"Bradley–Terry, {judgments:,} votes, {models} models", "", "one fit, ms", "1,000 resamples, s"
    )
    shown.add_row("ours, from the votes", f"{once * 1e3:.1f}", f"{drawn:.3f}")
    if installed("evalica"):
        import evalica

        winner = {1: evalica.Winner.X, 0: evalica.Winner.Draw, -1: evalica.Winner.Y}
        given = votes.a.tolist(), votes.b.tolist(), [winner[o] for o in outcome.tolist()]
        seconds, peer = best_of(repeat, lambda: evalica.bradley_terry(*given, tolerance=1e-10, limit=1000))
        draws, _ = best_of(
            1,
            lambda: evalica.bootstrap(
                evalica.bradley_terry, *given, n_resamples=20, bootstrap_method="percentile", random_state=0
            ),
        )
        shown.add_row("evalica", f"{seconds * 1e3:.1f}", f"{draws * 50:.1f} (50 × 20 resamples)")
        theirs = np.log(peer.scores.reindex(range(models)).to_numpy())
        apart = np.abs(theirs - theirs.mean() - fitted.strength).max()
        console.print(f"Bradley–Terry: largest difference to evalica's strengths {apart:.1e}")
    console.print(shown)


def _model_votes(models: int, judgments: int) -> tuple[Votes, Any]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, models, judgments)
    y = (x + rng.integers(1, models, judgments)) % models
    a, b = np.minimum(x, y).astype(np.int32), np.maximum(x, y).astype(np.int32)
    strength = rng.normal(size=models)
    p_a = 1.0 / (1.0 + np.exp(strength[b] - strength[a]))
    outcome = np.where(rng.random(judgments) < p_a, 1, -1).astype(np.int8)
    outcome[rng.random(judgments) < 0.1] = 0
    return Votes(
        offsets=np.array([0, models]),
        prompt=np.zeros(judgments, np.int32),
        a=a,
        b=b,
        annotator=np.zeros(judgments, np.int32),
        shown=np.zeros(judgments, np.int8),
        outcome=outcome,
        p_a=(0.5 + 0.5 * outcome).astype(np.float32),
        annotators=("crowd",),
        human=np.zeros(1, np.bool_),
    ), outcome


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--judgments", type=int, default=1_000_000)
    parser.add_argument(
        "--peer-judgments", type=int, default=1_000_000, help="at most so many for slow peers"
    )
    parser.add_argument("--lake-judgments", type=int, default=4_000_000, help="at most so many in a lake")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--only", nargs="*", default=[],
        help="peers, sizes, lake, incremental, exact, sparse, models; default: all",
    )  # fmt: skip
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="processor: seconds of all threads, on a busy machine"
    )
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of is not None:
        print_memory(options.memory_of, WORK[options.work])
        return
    global clock
    clock = CLOCKS[options.clock]
    begin = time.perf_counter()
    graphs_and_majority(synthetic_panel(1000).votes)
    panel.fit(synthetic_panel(1000).votes)
    console.print(f"first call, compiled or read from the cache: {time.perf_counter() - begin:.1f} s")
    known = synthetic_panel(options.judgments)
    parts: dict[str, Callable[[], None]] = {
        "peers": lambda: compare_panels(known, options.repeat, options.peer_judgments),
        "sizes": lambda: compare_sizes(known, options.repeat),
        "lake": lambda: lake_to_lake(known, min(options.judgments, options.lake_judgments)),
        "incremental": few_new,
        "exact": lambda: solve_hard_prompts(options.repeat),
        "sparse": order_sparse_tournament,
        "models": lambda: rank_models(options.repeat),
    }
    for name, part in parts.items():
        if name in options.only or not options.only:
            part()
    console.print(
        f"peak memory of the whole run {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB"
    )


if __name__ == "__main__":
    main()
