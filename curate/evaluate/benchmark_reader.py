"""Reads benchmarks from files, folders and the hub, and the adversarial set of the package."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.config.evaluate import GUARD
from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.identity import content_id
from curate.data.adversarial import adversarial_cases
from curate.data.conversation import UnreadableMessageError, text_answer, text_message
from curate.data.preference_files import read_data_rows
from curate.data.preference_rows import Unusable
from curate.evaluate.benchmark import BenchmarkItem, BenchmarkSet
from curate.evaluate.benchmark_formats import (
    BenchmarkFormat,
    detect_format,
    is_own_format,
    list_published,
    open_format,
)

_ENDS = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".csv")


def read_benchmark(
    source: str, *, folder: Path, form: str | Mapping[str, Any] = "auto", name: str | None = None
) -> BenchmarkSet:
    """Read a benchmark.

    Args:
        source: A file or folder (.parquet, .csv, .jsonl, also .gz or .zst, .json with a list), `hf://owner/name[:split]`,
            the name of a format (its data set on the hub), or `guard`.
        folder: Folder where relative files start.
        form: A format, see `open_format`, or `auto`: the format that the first row's columns show.
        name: Name of the benchmark; default: that of the source.

    Returns:
        The usable rows as items, and the number of rows dropped for each reason.

    Raises:
        CurateError: The source cannot be read, the format cannot be opened, or no row is usable.
    """
    if source == GUARD:
        return _build_adversarial_set(name or GUARD)
    chosen = open_format(form, folder=folder) if form != "auto" else None
    rows, published = _open_rows(source, folder)
    chosen = chosen or published
    items: list[BenchmarkItem] = []
    dropped: Counter[str] = Counter()
    examples: dict[str, str] = {}
    number = 0
    for number, row in enumerate(rows, 1):
        chosen = chosen or detect_format(row if isinstance(row, dict) else {})
        try:
            if not isinstance(row, dict):
                raise Unusable("not an object")
            items.append(chosen.read_row(row, str(number)))
        except UnreadableMessageError as reason:
            dropped[reason.kind] += 1
            examples.setdefault(reason.kind, reason.reason.rstrip("."))
    if not items or chosen is None:
        reasons = (
            ", ".join(f"{count} × {examples[kind]}" for kind, count in dropped.items()) or "it has no rows"
        )
        read_as = f" (read as {chosen.name})" if chosen else ""
        raise CurateError(f"The benchmark {source}{read_as} has no usable row: {reasons}.")
    return BenchmarkSet(
        name=name or Path(source).name.removesuffix(".gz").removesuffix(".zst").rsplit(".", 1)[0],
        format=chosen.name,
        items=tuple(items),
        rows=number,
        dropped=dict(dropped),
        digest=content_id([[i.key, *i.identity, i.tiers, i.subset, i.gold] for i in items]),
    )


def _open_rows(source: str, folder: Path) -> tuple[Iterator[Any], BenchmarkFormat | None]:
    """Open the rows of a source; also return the format of a data set on the hub, where it is known."""
    published = list_published()
    if source in published:
        form = published[source]
        return _read_hub(form.hub, form.split), form
    if is_own_format(source):
        form = open_format(source, folder=folder, where="benchmark")
        if not form.hub:
            raise CurateError(
                f"The format {source} names no data set on the hub: name a file as the source of the benchmark, and "
                "this as its format."
            )
        return _read_hub(form.hub, form.split), form
    if source.startswith("hf://"):
        address, _, split = source.removeprefix("hf://").partition(":")
        known = next((form for form in published.values() if form.hub == address), None)
        return _read_hub(address, split or (known.split if known else "test")), known
    path = folder / source
    if not path.exists():
        raise CurateError(
            f"There is no benchmark {source}: name a file, a folder, hf://owner/name, {GUARD}, or one of "
            f"{', '.join(published)}."
        )
    if (path / "manifest.json").is_file() and (path / "data").is_dir():
        path = path / "data"  # of an export, whose other files are cards, or the same rows once more
    files = (
        [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.name.endswith(_ENDS))
    )
    return (row for file in files for row in _read_file(file)), None


def _read_file(file: Path) -> Iterator[Any]:
    if file.suffix == ".csv":
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield from csv.DictReader(stream)
        return
    if file.suffix != ".json":
        yield from read_data_rows(file, None)
        return
    try:
        text = file.read_text(encoding="utf-8-sig")
        if "\n{" in text and text.startswith("{") and text[: text.index("\n")].rstrip().endswith("}"):
            yield from read_data_rows(file, None)  # JSON Lines under another suffix
            return
        rows = json.loads(text)
    except (OSError, ValueError) as error:
        raise CurateError(f"Cannot read the benchmark {file}: {' '.join(str(error).split())}.") from error
    if isinstance(rows, dict) and isinstance(rows.get("pairs"), list):  # MMRB2's files
        rows = rows["pairs"]
    if not isinstance(rows, list):
        raise CurateError(f"The benchmark {file} must hold a list of rows, not a {type(rows).__name__}.")
    yield from rows


def _read_hub(address: str, split: str) -> Iterator[Any]:
    require_extra("hub", "datasets", purpose=f"Reading the benchmark {address}")
    import datasets

    try:
        rows = datasets.load_dataset(address, split=split).to_iterable_dataset()
        yield from rows.decode(False)  # `datasets` would open whatever address a row gives for an image
    except Exception as error:  # datasets, the hub's client and the network raise whatever they like
        problem = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(" .:")
        raise CurateError(
            f"Cannot read the benchmark {address} ({split}) from the hub: {problem}. Check the name, the network and "
            "HF_HUB_OFFLINE, or download it and name its files."
        ) from error


def _build_adversarial_set(name: str) -> BenchmarkSet:
    items = tuple(
        BenchmarkItem(
            key=case.prompt_id,
            context=(text_message("user", case.request),),
            responses=(text_answer(case.good), text_answer(case.bad)),
            tiers=(1, 2),
            subset=case.hack,
        )
        for case in adversarial_cases()
    )
    digest = content_id([item.identity for item in items])
    return BenchmarkSet(name=name, format=GUARD, items=items, rows=len(items), dropped={}, digest=digest)
