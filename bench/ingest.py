"""All of the ingest work beside plain conversions of the same file, which validate, hash and deduplicate nothing.

    python bench/ingest.py                 # 300,000 rows, about 1.5 KB each, every contender
    python bench/ingest.py --rows 1000000 --only curate   # flat memory

Each contender runs in a process of its own, `--repeat` times in turn with the others; the table shows the best
time of each (after a warm-up that loads modules and compiles kernels), its ratio to `datasets` and to `duckdb`,
and the peak resident memory. What each one does:

- curate: decode, validate, hash, deduplicate, write to a DuckLake (Parquet) with run records
- duckdb: read_json with the schema given, COPY to Parquet
- datasets: Dataset.from_json with the features given, which writes its Arrow cache
- pyarrow: open_json with the schema given, batch by batch to Parquet
- polars: scan_ndjson with the schema given, sink_parquet
- pydantic: model_validate_json per line with the model of the format; writes nothing
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def write_rows(path: Path, rows: int, *, seed: int = 0) -> None:
    """Deterministic rows of prose-like text (Zipf's law over made-up words), quotes, newlines and accents."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(2, 28)
    cuts = np.cumsum(rng.integers(2, 10, 20_000))
    letters = rng.choice(list(LETTERS), p=weights / weights.sum(), size=cuts[-1])
    vocabulary = np.array(["".join(word) for word in np.split(letters, cuts[:-1])])
    ranks = np.minimum(rng.zipf(1.3, 3_000_000), vocabulary.size) - 1
    corpus = " ".join(vocabulary[ranks].tolist())
    with path.open("w", encoding="utf-8") as file:
        for first in range(0, rows, 10_000):
            n = min(10_000, rows - first)
            starts = rng.integers(0, len(corpus) - 2000, (n, 3)).tolist()
            lengths = rng.integers([150, 350, 350], [450, 780, 780], (n, 3)).tolist()
            for i, (at, size) in enumerate(zip(starts, lengths, strict=True), first):
                prompt, *answers = (corpus[a : a + s] for a, s in zip(at, size, strict=True))
                row = {
                    "id": f"prompt-{i}",
                    "prompt": f"{prompt}?",
                    "responses": [
                        {
                            "id": f"r{k}",
                            "model": f"model-{(i + k) % 7}",
                            "text": f"{answer[:200]}.\n\n“{answer[200:260]}” — {answer[260:]}",
                        }
                        for k, answer in enumerate(answers)
                    ],
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def run_curate(source: Path, out: Path) -> int:
    from curate.config.ingest import Source
    from curate.config.project import Config
    from curate.ingest import ingest_responses
    from curate.lake.lake import Lake, Location

    with Lake.open(Location.under(out)) as lake:
        return ingest_responses(lake, [Source(source=str(source))], Config()).counts.rows_kept


def run_duckdb(source: Path, out: Path) -> int:
    import duckdb

    columns = "{id: 'VARCHAR', prompt: 'VARCHAR', responses: 'STRUCT(id VARCHAR, model VARCHAR, \"text\" VARCHAR)[]'}"
    read = f"read_json('{source}', format = 'newline_delimited', columns = {columns})"
    found = duckdb.connect().execute(f"COPY (FROM {read}) TO '{out}' (FORMAT parquet)").fetchone()
    return int(found[0]) if found else 0


def run_datasets(source: Path, out: Path) -> int:
    import datasets

    text = datasets.Value("string")
    features = datasets.Features(
        {
            "id": text,
            "prompt": text,
            "responses": datasets.List({"id": text, "model": text, "text": text}),
        }
    )
    datasets.disable_progress_bars()
    return len(datasets.Dataset.from_json(str(source), features=features, cache_dir=str(out)))


def run_pyarrow(source: Path, out: Path) -> int:
    import pyarrow as pa
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    text = pa.string()
    response = pa.struct({"id": text, "model": text, "text": text})
    schema = pa.schema({"id": text, "prompt": text, "responses": pa.list_(response)})
    rows = 0
    with (
        pj.open_json(
            source,
            read_options=pj.ReadOptions(block_size=8 << 20),
            parse_options=pj.ParseOptions(explicit_schema=schema),
        ) as reader,
        pq.ParquetWriter(out, schema) as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def run_polars(source: Path, out: Path) -> int:
    import polars as pl

    response = pl.Struct({"id": pl.String, "model": pl.String, "text": pl.String})
    schema = {"id": pl.String, "prompt": pl.String, "responses": pl.List(response)}
    pl.scan_ndjson(source, schema=schema).sink_parquet(out)
    return int(pl.scan_parquet(out).select(pl.len()).collect().item())


def run_pydantic(source: Path, out: Path) -> int:
    from curate.data.native import ResponsesRow

    with source.open("rb") as file:
        return sum(1 for line in file if ResponsesRow.model_validate_json(line))


CONTENDERS: dict[str, Callable[[Path, Path], int]] = {
    "curate": run_curate,
    "duckdb": run_duckdb,
    "datasets": run_datasets,
    "pyarrow": run_pyarrow,
    "polars": run_polars,
    "pydantic": run_pydantic,
}


def _measured(name: str, source: Path, out: Path, result: Connection) -> None:
    CONTENDERS[name](
        source.with_name("warm-up.jsonl"), out.with_name(out.name + "-warm-up")
    )  # imports, kernels
    wall, processor = time.perf_counter(), time.process_time()
    rows = CONTENDERS[name](source, out)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    result.send((rows, wall, processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def measure(name: str, source: Path) -> tuple[int, float, float, float]:
    """(rows, seconds, processor seconds, peak MiB) of one contender in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        process = context.Process(target=_measured, args=(name, source, Path(folder) / "out", send))
        process.start()
        send.close()
        try:
            found: tuple[int, float, float, float] = receive.recv()
        except EOFError:
            raise SystemExit(f"{name} failed") from None
        finally:
            process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.jsonl"
        write_rows(source, options.rows)
        write_rows(source.with_name("warm-up.jsonl"), 5_000, seed=1)
        size = source.stat().st_size
        print(f"{options.rows:,} rows, {size / 1e6:,.0f} MB, {size / options.rows:,.0f} bytes a row")
        results = {name: [] for name in options.only}  # type: dict[str, list[tuple[int, float, float, float]]]
        for _ in range(options.repeat):
            for name in options.only:
                results[name].append(measure(name, source))
    best = {name: min(runs, key=lambda run: run[1]) for name, runs in results.items()}
    print(
        f"{'':10}{'rows/s':>10}{'seconds':>9}{'CPU s':>8}{'peak MiB':>10}{'× datasets':>12}{'× duckdb':>10}"
    )
    for name, (rows, wall, processor, _) in best.items():
        assert rows == options.rows, f"{name} delivered {rows} rows"
        peak = max(run[3] for run in results[name])
        ratios = [f"{best[peer][1] / wall:.2f}" if peer in best else "-" for peer in ("datasets", "duckdb")]
        print(
            f"{name:10}{rows / wall:>10,.0f}{wall:>9.2f}{processor:>8.2f}{peak:>10,.0f}{ratios[0]:>12}{ratios[1]:>10}"
        )


if __name__ == "__main__":
    main()
