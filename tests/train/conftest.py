"""All training tests: one thread, so that the same input gives the same bits whatever the machine is set to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from curate.engine.threads import limit_to_one_thread


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with limit_to_one_thread():
        yield
