"""The judge stage alone: how many judgments a second it plans, asks for, turns into rows and commits to the lake.

    python bench/judge_stage.py                          # 10,000 and 100,000 judgments
    python bench/judge_stage.py --peer .venvs/distilabel/bin/python
    python bench/judge_stage.py --plan 100000            # the plan alone: 100,000 prompts × 4 responses

The judge answers at once (it is the stage that is measured), in both orders of each pair of four responses, with a
probability and a text of 40 characters. The clock runs from before the plan to after the last commit. The peer is
distilabel with a fake model that answers at once: one pipeline with one generation task over as many rows, at its
default batch size and at 500, in a process and environment of its own, cache off.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from curate.config.project import load_config
from curate.judge import Panel, judge_responses, plan_chunks
from curate.lake.lake import Lake

JUDGE = """
from curate.judge.base import Judge, ask_both_orders, from_probability

class Instant(Judge):
    is_cheap = QUICK

    def questions(self, item):
        return ask_both_orders(item)

    def answer(self, questions):
        raw = '{"A": -0.2876, "B": -1.3863, "mass": 0.9}'
        return [from_probability(0.75, raw=raw, tokens_in=200) for _ in questions]
"""
PEER = """
import sys, time
from distilabel.models.llms import LLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

class Instant(LLM):
    @property
    def model_name(self): return "instant"
    def load(self): super().load()
    def generate(self, inputs, num_generations=1):
        return [{"generations": ["A"] * num_generations} for _ in inputs]

rows, batch = int(sys.argv[1]), int(sys.argv[2])
with Pipeline(name="instant") as pipeline:
    load = LoadDataFromDicts(data=[{"instruction": f"Which is better? {i}"} for i in range(rows)], batch_size=batch)
    load >> TextGeneration(llm=Instant(), input_batch_size=batch)
if __name__ == "__main__":
    began = time.monotonic()
    found = pipeline.run(use_cache=False)
    seconds = time.monotonic() - began
    assert len(found["default"]["train"]) == rows
    print(f"RATE {rows / seconds:.0f}")
"""
PER_PROMPT = 12  # of four responses: six pairs, two orders


def fill(lake: Lake, prompts: int) -> None:
    """Prompts with four responses each, of about 300 characters."""
    text = "{'type': 'text', 'text': 'word ' || i || repeat(' and word', 35), 'uri': NULL, 'sha256': NULL}"
    rows = {
        "prompts": lake.arrow(
            f"SELECT md5('p' || i) AS prompt_id, [{{'role': 'user', 'content': [{text}]}}] AS messages, "
            "'bench' AS source "
            f"FROM range({prompts}) AS t(i)"
        ),
        "responses": lake.arrow(
            f"SELECT md5('r' || i || '-' || k) AS response_id, md5('p' || i) AS prompt_id, "
            f"[{{'role': 'assistant', 'content': [{text}]}}] AS messages "
            f"FROM range({prompts}) AS t(i), range(4) AS u(k)"
        ),
    }
    with lake.write("bench") as writer:
        for name, table in rows.items():
            writer.append(name, pa.table(table))


def measure(judgments: int, *, quick: bool, only_plan: bool = False) -> tuple[float, float]:
    """Judgments per second, and per second of processor time (of all threads)."""
    prompts = -(-judgments // PER_PROMPT)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "instant.py").write_text(JUDGE.replace("QUICK", str(quick)))
        path = Path(folder) / "curate.yaml"
        path.write_text("judge: {judges: [{name: instant, kind: './instant.py:Instant'}]}")
        config = load_config(path)
        with Lake.open(config.location) as lake:
            fill(lake, prompts)
            began, worked = time.monotonic(), time.process_time()
            if only_plan:
                with Panel(config) as panel:
                    asked = sum(chunk.pending for chunk in plan_chunks(lake, panel))
            else:
                asked = judge_responses(lake, config).counts.rows_kept
            seconds, work = time.monotonic() - began, time.process_time() - worked
            assert asked == prompts * PER_PROMPT
            assert only_plan or lake.value("SELECT count(*) FROM judgments") == asked
    return asked / seconds, asked / work


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--judgments", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--peer", help="a Python that has distilabel")
    parser.add_argument("--plan", type=int, help="only plan, for so many prompts of four responses")
    options = parser.parse_args()
    if options.plan:
        rate, _ = measure(options.plan * PER_PROMPT, quick=False, only_plan=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"plan: {rate:,.0f} questions/s, {options.plan * PER_PROMPT / rate:.1f} s, peak {peak:,.0f} MiB"
        )
        return
    for judgments in options.judgments:
        for quick, name in ((False, "64 prompts a chunk"), (True, "quick: 1,024 a chunk")):
            rates, worked = zip(
                *(measure(judgments, quick=quick) for _ in range(options.repeat)), strict=True
            )
            print(
                f"curate, {name:<20} {judgments:>9,} judgments: {max(rates):>7,.0f}/s, "
                f"{max(worked):>7,.0f} per second of processor time",
                flush=True,
            )
    for batch in (50, 500) if options.peer else ():
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "peer.py"
            script.write_text(PEER)
            rows = min(options.judgments)
            command = [options.peer, str(script), str(rows), str(batch)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=600)
            rate = [line for line in done.stdout.splitlines() if line.startswith("RATE")]
            print(
                f"distilabel  {rows:>9,} rows, batch {batch}: {rate[0][5:] if rate else done.stderr[-500:]}/s"
            )


if __name__ == "__main__":
    sys.exit(main())
