"""`python -m curate`: the command line of this very Python, whatever is on the PATH."""

from __future__ import annotations

from curate.cli.app import main

main()
