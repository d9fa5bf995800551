"""Slices cover everything once; a place where nothing can be written does not stop a kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curate.core.kernels
from curate.core.kernels import over_slices, thread_count


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 5))
@settings(max_examples=50)
def test_slices_cover_every_item_once(cost, threads):
    seen = np.zeros(len(cost), int)

    def work(first, last):
        seen[first:last] += 1

    over_slices(work, np.array(cost, np.int64), threads=threads)
    assert (seen == 1).all()


def test_an_error_in_a_slice_is_raised():
    def work(first, last):
        if first <= 5 < last:
            raise ValueError("item 5")

    with pytest.raises(ValueError, match="item 5"):
        over_slices(work, np.ones(10), threads=3)


def test_thread_count_is_what_was_asked_for():
    assert thread_count(3) == 3
    assert thread_count() >= 1


def test_kernels_run_where_no_cache_can_be_written(tmp_path):
    """As in an installed package that belongs to root, with no home directory."""
    source = Path(curate.core.kernels.__file__)
    (tmp_path / "doubling.py").write_text(
        source.read_text()
        + "\n\n@compile_kernel\ndef double(x):\n    return 2 * x\n\n\nassert double(21) == 42\n"
    )
    (tmp_path / "__pycache__").write_text("a file where the cache folder would be")
    environment = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "PYTHONPATH")}
    environment |= {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, str(tmp_path / "doubling.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_compilation_is_announced_once_and_machine_code_from_the_disk_is_not(tmp_path: Path) -> None:
    script = tmp_path / "kernels.py"
    script.write_text(
        "from curate.core.kernels import compile_kernel\n\n\n"
        "@compile_kernel\ndef double(x):\n    return 2 * x\n\n\n"
        "@compile_kernel\ndef triple(x):\n    return 3 * x\n\n\n"
        "assert (double(21), triple(14)) == (42, 42)\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    first, second = (
        subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=True, env=environment
        )
        for _ in range(2)
    )
    assert first.stderr.count("compiling numeric kernels") == 1
    assert second.stderr == ""
