"""How fast and how large an export is, beside DuckDB writing the same query to one Parquet file.

    python bench/export.py --prompts 50000 [--format trl-preference|ranking]

The peer does less (no row digest, no shards, no manifest), so its time is what the files themselves cost. Each is
measured in a process of its own, for the peak of its memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.core.resources import read_query
from curate.export import write_export
from curate.export.formats import open_format
from curate.lake.lake import Lake, Location

_MESSAGE = """{'role': '%s', 'content': [
    {'type': 'text', 'text': %s, 'uri': NULL, 'sha256': NULL, 'mime_type': NULL}
], 'reasoning': NULL, 'tool_calls': [], 'tool_call_id': NULL, 'name': NULL, 'is_target': NULL}"""
_PROMPT = _MESSAGE % ("user", "repeat(md5('q' || i) || ' ', 12)")
_ANSWER = _MESSAGE % (
    "assistant",
    "array_to_string(list_transform(range(24), lambda k: md5('t' || i || '-' || j || '-' || k)), ' ')",
)
_FILL = (
    f"""INSERT INTO lake.prompts BY NAME
    SELECT md5('p' || i) AS prompt_id, [{_PROMPT}] AS messages, 'bench' AS source, 'k' || i AS key
    FROM range($1) AS numbers (i)""",
    f"""INSERT INTO lake.responses BY NAME
    SELECT md5('r' || i || '-' || j) AS response_id, md5('p' || i) AS prompt_id, 'model-' || j AS model,
        [{_ANSWER}] AS messages
    FROM range($1) AS numbers (i), range(4) AS models (j)""",
    """INSERT INTO lake.rankings
    SELECT prompt_id, response_id, row_number() OVER (PARTITION BY prompt_id ORDER BY response_id), 0.0, NULL, 0, 'r'
    FROM responses""",
    """INSERT INTO lake.preferences
    SELECT a.prompt_id, a.response_id, b.response_id, 0.8, 1.4, 'a', 'accepted', 0.8, 6, 0.0, NULL, 0, 'r'
    FROM responses AS a
    JOIN responses AS b ON a.prompt_id = b.prompt_id AND a.response_id < b.response_id""",
)
# The pairs all in SQL, as one would write it.
_PAIRS = """WITH prompt_texts AS (
    SELECT
        prompt_id,
        list_transform(messages, lambda message: {
            'role': message.role,
            'content': memory.content_text(message.content)
        }) AS prompt
    FROM prompts
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
),
texts AS (
    SELECT
        response_id, model,
        [{
            'role': 'assistant',
            'content': memory.response_text(messages)
        }] AS answer
    FROM responses
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id)
),
decided AS (
    SELECT
        preferences.*,
        if(outcome = 'a', response_a, response_b) AS chosen_id,
        if(outcome = 'a', response_b, response_a) AS rejected_id,
        if(outcome = 'a', strength, -strength) AS lead
    FROM preferences
    SEMI JOIN (FROM selection WHERE reason IS NULL) USING (prompt_id, response_a, response_b)
    WHERE iteration = $1
)
SELECT
    prompt, chosen.answer AS chosen, rejected.answer AS rejected, decided.prompt_id, chosen_id, rejected_id,
    chosen.model AS chosen_model, rejected.model AS rejected_model,
    decided.confidence, lead AS strength, greatest(lead, 0) AS margin, n_judgments, iteration
FROM decided
JOIN prompt_texts USING (prompt_id)
JOIN texts AS chosen ON chosen.response_id = chosen_id
JOIN texts AS rejected ON rejected.response_id = rejected_id
ORDER BY memory.batch_of(decided.prompt_id), decided.prompt_id, response_a, response_b"""


def ours(location: Location, format: str, out: Path) -> int:
    with Lake.open(location, read_only=True) as lake:
        entry = ExportEntry.model_validate({"path": str(out / "ours"), "format": format})
        return write_export(lake, Config(), entry).rows


def peer(location: Location, format: str, out: Path) -> int:
    form = open_format(format)
    values = {"iteration": 0, "split": None, "routed": False, "min_confidence": 0.5}
    with Lake.open(location, read_only=True) as lake:
        lake.rows("SET memory_limit = '2GB'")
        lake.rows("SET temp_directory = '{}'".format(out / "spill"))
        lake.rows(read_query(form.selection), [values[name] for name in form.selection_parameters])
        query = (_PAIRS if format == "trl-preference" else form.list_tables()[0].query).replace("$1", "0")
        lake.rows(f"COPY ({query}) TO '{out / 'peer.parquet'}' (COMPRESSION zstd)")
        return int(lake.value("SELECT count(*) FROM selection"))


def measure(work: str, *arguments: object) -> tuple[float, float, int, float]:
    """Seconds on the clock and of all threads' work, rows, and peak memory in GB."""
    started, worked = time.perf_counter(), time.process_time()
    rows: int = globals()[work](*arguments)
    seconds, busy = time.perf_counter() - started, time.process_time() - worked
    return seconds, busy, rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=50_000)
    parser.add_argument("--format", choices=["trl-preference", "ranking"], default="trl-preference")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        location = Location.under(Path(folder) / "lake")
        with Lake.open(location) as lake:
            for statement in _FILL:
                lake.rows(statement, [options.prompts] if "$1" in statement else [])
        results = {}
        for work in ("peer", "ours"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                results[work] = pool.apply(measure, (work, location, options.format, Path(folder)))
    rows = results["ours"][2]
    print(f"{options.format}, {rows:,} rows; x: times the peer's speed")
    for work, name in (("ours", "curate export"), ("peer", "duckdb COPY")):
        seconds, busy, _, memory = results[work]
        ratios = results["peer"][0] / seconds, results["peer"][1] / busy
        print(
            f"{name:14} {seconds:6.1f} s {rows / seconds:8,.0f} rows/s {ratios[0]:5.2f} x | "
            f"processor {busy:6.1f} s {ratios[1]:5.2f} x | peak {memory:.2f} GB"
        )


if __name__ == "__main__":
    main()
