"""Images that rows name by a path of this machine: whoever gets the folder has no such files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_ELSEWHERE = ("http://", "https://", "data:", "hf://", "s3://", "gs://")
LOSS = "images that are files of this machine, by their paths: they are not in this folder"


def count_local_images(files: Iterable[Path]) -> int:
    """Count the images of written rows (column `images`) whose address means nothing elsewhere."""
    count = 0
    for file in files:
        parquet = pq.ParquetFile(file)
        place = parquet.schema_arrow.get_field_index("images")
        kind = parquet.schema_arrow.field(place).type if place >= 0 else pa.null()
        if not pa.types.is_list(kind) or not pa.types.is_string(kind.value_type):
            continue
        for batch in parquet.iter_batches(columns=["images"]):
            addresses = batch.column("images").flatten().to_pylist()
            count += sum(not str(address).lower().startswith(_ELSEWHERE) for address in addresses)
    return count
