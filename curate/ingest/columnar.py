"""The fast path for many native rows at once: Arrow reads the JSON, kernels check and hash it, without Python rows.

It takes only what it can take without any doubt, and gives None for the rest, which then goes row by row:
conversations instead of one text, `meta`, and everything that is wrong with a row. What Arrow's reader would
let pass is looked for afterwards, so that both ways agree on every line (`tests/ingest/test_columnar.py`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from curate.ingest.columns import Columns, assemble_columns, wrap_in_messages
from curate.ingest.line_blocks import LineBlock

_TEXT = pa.string()
_SCHEMA = pa.schema(
    {
        "id": _TEXT,
        "prompt": _TEXT,
        "responses": pa.list_(pa.struct({"id": _TEXT, "model": _TEXT, "text": _TEXT})),
        "reference": _TEXT,
    }
)
_PARSE = pj.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="error")


def read_columns(lines: LineBlock, *, source: str, split: str | None) -> Columns | None:
    """Read lines that are all sound and plain as columns; None where one is not."""
    from curate.ingest.hashing import Strings, hash_prompts, hash_responses, rows_with_equal_keys

    table = _parse_lines(lines)
    if table is None:
        return None
    key, prompt, reference, listed = (
        table[name].combine_chunks() for name in ("id", "prompt", "reference", "responses")
    )
    answers = listed.flatten()
    keys, models, texts = (answers.field(name) for name in ("id", "model", "text"))
    required = (key, prompt, listed, answers, keys, texts)
    if any(column.null_count for column in required) or not (_has_no_empty(key) and _has_no_empty(keys)):
        return None
    if any(map(_has_nul, (key, prompt, reference, keys, models, texts))):
        return None
    ends = np.asarray(listed.offsets)
    sizes = np.diff(ends)
    if (sizes == 0).any() or rows_with_equal_keys(ends - ends[0], Strings.from_array(keys)):
        return None
    if _has_blank(prompt):
        return None
    owner = np.repeat(np.arange(len(table)), sizes)
    prompt_ids, prompt_names = hash_prompts(key, reference, prompt)
    response_ids, response_names = hash_responses(prompt_names, owner, keys, models, texts)
    return assemble_columns(
        prompt_names=prompt_names,
        prompt_ids=prompt_ids,
        messages=wrap_in_messages(prompt, "user"),
        references=reference,
        keys=key,
        metas=pa.nulls(len(table), _TEXT),
        tools=pa.nulls(len(table), _TEXT),
        source=source,
        split=split,
        owner=owner,
        response_names=response_names,
        response_ids=response_ids,
        models=models,
        answers=wrap_in_messages(texts, "assistant"),
        response_keys=keys,
    )


def _parse_lines(lines: LineBlock) -> pa.Table | None:
    """Parse the lines as a table, where each is exactly one object with the right types and valid UTF-8."""
    # An object could go over two lines and two stand on one. After a line that ends with } and before one that
    # begins with {, JSON can only be between two objects; together with the number of rows this excludes both.
    if not _are_in_braces(lines):
        return None
    content = pa.py_buffer(lines.view())
    options = pj.ReadOptions(use_threads=False, block_size=content.size + 1)
    try:
        table = pj.read_json(pa.BufferReader(content), options, _PARSE)
        table.validate(full=True)  # Arrow's reader does not look at the encoding
    except pa.ArrowInvalid:
        return None
    return table if table.num_rows == len(lines) else None


def _are_in_braces(lines: LineBlock) -> bool:
    """Tell whether every line begins with { and ends with }, or } and white space."""
    content = np.frombuffer(lines.content, np.uint8)
    if (content[lines.starts] != ord("{")).any():
        return False
    doubtful = np.flatnonzero(content[lines.ends - 1] != ord("}"))
    return all(lines.cut(i, i + 1).rows[0].rstrip().endswith(b"}") for i in doubtful.tolist())


def _has_nul(strings: pa.Array) -> bool:
    """Tell whether a string holds the character 0; in the lines, where it is escaped, the search takes longer."""
    _, offsets, data = strings.buffers()
    if data is None or not len(strings):
        return False
    ends = np.frombuffer(offsets, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    return bool(np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].min(initial=1) == 0)


def _has_no_empty(strings: pa.Array) -> bool:
    """Tell whether no string is empty."""
    return bool(pc.min(pc.binary_length(strings)).as_py() != 0)


def _has_blank(prompts: pa.Array) -> bool:
    """Tell whether a prompt is empty or white space. Most begin with a visible ASCII character, which settles it."""
    first = pc.binary_slice(prompts.cast(pa.binary()), 0, 1)
    visible = pc.and_(pc.greater(first, b" "), pc.less(first, b"\x7f"))
    doubtful = prompts.filter(pc.invert(visible)).to_pylist()
    return any(not text or text.isspace() for text in doubtful)
