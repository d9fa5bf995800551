"""Whether this system cuts processes off is found out by doing it: no other failure may look like one that does not."""

from __future__ import annotations

import sys

import pytest

from curate.judge import sandbox


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has namespaces")
def test_a_system_that_does_not_cut_processes_off_says_so_itself() -> None:
    try:
        ran = sandbox._run_processes("", "", seconds=5, memory_mib=512, cut_off=True)
    except sandbox.SandboxError:
        assert not sandbox.can_isolate()
    else:
        assert ran.passed, ran.reason
        assert sandbox.can_isolate()
