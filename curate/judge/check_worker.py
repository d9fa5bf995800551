"""Patterns and JSON Schemas that prompts bring, in a process of their own that is killed when it takes too long.

    python check_worker.py        # reads one JSON request a line, writes one JSON answer a line

A request is {"check": "regex" or "json-schema", "text": …, "expected": …, "seconds": …}. An answer is one of
{"objection": reason or null}, {"bad": what is wrong with the expected value}, {"fault": why nothing can be said}.
A backtracking pattern cannot be interrupted from within, so the kernel ends this process at its limit of processor
time; `timed_checks.py` starts another. This file imports nothing of `curate`: it has to start quickly.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
from typing import Any

_MEMORY = 2 << 30  # bytes


def main() -> None:
    """Answer requests until standard input ends."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # its default ends the process, also within a pattern
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    for line in sys.stdin.buffer:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, request["seconds"])
        try:
            answer = _CHECKS[request["check"]](request["text"], request["expected"])
        except MemoryError:
            answer = {"fault": "it took more than 2 GiB of memory"}
        except RecursionError:
            answer = {"fault": "what is expected refers to itself without end, or is nested too deeply"}
        except Exception as error:  # one item is never the end of the others
            answer = {"fault": f"{type(error).__name__}: {str(error)[:300]}"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def search_pattern(text: str, expected: Any) -> dict[str, str | None]:
    """Look for a Python pattern anywhere in the text."""
    try:
        pattern = re.compile(expected)
    except (re.error, TypeError, OverflowError, RecursionError) as error:
        return {"bad": f"is no regular expression: {error}"}
    return {"objection": None if pattern.search(text) else f"does not match {expected!r}"}


def validate_json(text: str, expected: Any) -> dict[str, str | None]:
    """Validate JSON with a JSON Schema; references beyond the schema itself are never fetched."""
    import jsonschema
    from jsonschema_specifications import REGISTRY
    from referencing.exceptions import Unresolvable

    try:
        kind = jsonschema.validators.validator_for(expected)
        kind.check_schema(expected)
    except (jsonschema.SchemaError, TypeError, AttributeError) as error:
        return {"bad": f"is no JSON Schema: {getattr(error, 'message', error)}"}
    try:
        errors = kind(expected, registry=REGISTRY).iter_errors(json.loads(text))
        worst = jsonschema.exceptions.best_match(errors)
    except Unresolvable as error:
        return {
            "fault": f"the schema refers to {str(error.ref)[:200]!r}, which is not in it, and nothing is fetched: put "
            "the definition into the schema under `$defs`"
        }
    if worst is None:
        return {"objection": None}
    where = f" at {worst.json_path}" if worst.json_path != "$" else ""
    return {"objection": f"breaks the schema{where}: {worst.message[:200]}"}


_CHECKS = {"regex": search_pattern, "json-schema": validate_json}

if __name__ == "__main__":
    main()
