"""Checks by a program: a response passes or fails, without regard to the other responses.

    - {name: solved, kind: verifier, check: number}                      # the last number, against the reference
    - {name: brief, kind: verifier, check: words, expect: [null, 100]}
    - {name: valid, kind: verifier, check: json-schema, meta: schema}    # each prompt's own, from its `meta`
    - {name: runs, kind: verifier, check: code, meta: tests}

The expected value is the entry `meta` of the prompt's own `meta` object, else `expect`, else (where no `meta` is named;
exact, number, contains, code) the prompt's reference; without any of them the verifier abstains. One judgment per
response: `score` 1 where it passes and 0 where it fails, and `raw` says why. Of a trajectory, the assistant's last
message is checked.

`code` runs the response's fenced blocks, or all of it, and the expected tests (Python statements, such as asserts) on
it, in two processes with limits on time and memory, without network and out of sight of the machine's files
(sandbox.py): whatever the code does to its own process, it reaches neither the tests nor the verdict. Where the system
offers no such isolation the judge refuses at start, unless `unsafe: true` says that limits are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from curate.core.errors import CurateError
from curate.engine.base import Failure
from curate.engine.registry import Engines
from curate.judge import sandbox
from curate.judge.base import (
    Answer,
    Judge,
    JudgeOptions,
    PromptItem,
    Question,
    abstain,
    ask_each_response,
    fail,
    from_rating,
)
from curate.judge.checks import CHECKS, TIMED_CHECKS, explain_bad_expectation, extract_code, read_meta_entry
from curate.judge.registry import judge_kind
from curate.judge.timed_checks import BadExpectationError, CheckError

_BY_REFERENCE = frozenset({"exact", "number", "contains", "code"})


class VerifierOptions(JudgeOptions):
    """Options of a check that a program makes."""

    check: Literal["exact", "number", "contains", "regex", "json-schema", "words", "sentences", "code"]
    expect: Any = Field(
        None,
        description="Expected text, number, list of texts, pattern, JSON Schema, [least, most], or tests.",
    )
    meta: str | None = Field(None, description="Entry of the prompt's `meta` to expect in place of `expect`.")
    seconds: int = Field(
        5, ge=1, description="Processor time of code, regex and json-schema, for each response and process."
    )
    memory_mib: int = Field(
        512, ge=64, le=1 << 20, description="Memory of `code`, of all its processes together."
    )
    plain: bool = Field(
        False,
        description="Fail `code` whose tests ask an object of a class of its own: functions have to give plain values.",
    )
    unsafe: bool = Field(
        False, description="Run `code` also where it cannot be cut off from network and files."
    )

    @model_validator(mode="after")
    def _can_be_checked(self) -> Self:
        if self.expect is None and self.meta is None and self.check not in _BY_REFERENCE:
            raise ValueError(f"check: {self.check} needs `expect`, or `meta` for each prompt's own")
        fault = None if self.expect is None else explain_bad_expectation(self.check, self.expect)
        if fault is not None:
            raise ValueError(f"`expect` {fault}")
        return self


@judge_kind("verifier")
class Verifier(Judge):
    """A judge that checks each response with a program."""

    kind = "verifier"
    Options = VerifierOptions
    options: VerifierOptions

    def __init__(self, options: VerifierOptions, engines: Engines) -> None:
        super().__init__(options, engines)
        if options.check == "code" and not options.unsafe and not sandbox.can_isolate():
            raise CurateError(
                f"`judge.{options.name}` has check: code, but this system does not let a process be cut off from "
                "network and files (Linux with user namespaces does): set `unsafe: true` if limits on time and memory "
                "are enough for you, as in a container of its own."
            )

    @property
    def identity(self) -> Sequence[object]:
        """Mark verdicts of code that runs apart from tests which ask it; older ones could be forged: they come anew."""
        return ("two processes", "asked", "values of now") if self.options.check == "code" else ()

    def non_identity_options(self) -> frozenset[str]:
        return frozenset({"unsafe"} if self.options.plain else {"unsafe", "plain"})

    def questions(self, item: PromptItem) -> Iterator[Question]:
        return ask_each_response(item)

    def answer(self, questions: Sequence[Question]) -> Sequence[Answer]:
        if self.options.check != "code":
            return [self._verify_answer(question) for question in questions]
        with ThreadPoolExecutor(cpu_count()) as pool:  # the work is done by processes
            return list(pool.map(self._verify_answer, questions))

    def _verify_answer(self, question: Question) -> Answer:
        """Check one response; whatever goes wrong with it is its own failed answer."""
        try:
            return self._check_response(question)
        except BadExpectationError as error:
            return abstain(f"what the prompt expects {error}")
        except CheckError as error:
            return fail(Failure(f"the check could not be made: {error}", permanent=True))
        except sandbox.SandboxError as error:
            return fail(Failure(f"the sandbox did not run: {error}"))

    def _check_response(self, question: Question) -> Answer:
        expected = self._find_expected(question.item)
        if expected is None:
            return abstain(f"the prompt does not say what {self.options.check} is to expect")
        if self.options.check not in TIMED_CHECKS:  # these look at what they expect in their own process
            fault = explain_bad_expectation(self.options.check, expected)
            if fault is not None:
                raise BadExpectationError(fault)
        objection = self._find_objection(question.a.final_text, expected)
        return from_rating(1.0, raw="passed") if objection is None else from_rating(0.0, raw=objection)

    def _find_expected(self, item: PromptItem) -> Any:
        own = read_meta_entry(item.meta, self.options.meta) if self.options.meta is not None else None
        if own is not None:
            return own
        if self.options.expect is not None:
            return self.options.expect
        return item.reference if self.options.meta is None else None

    def _find_objection(self, text: str, expected: Any) -> str | None:
        limits = self.options
        if limits.check in TIMED_CHECKS:
            return TIMED_CHECKS[limits.check](text, expected, seconds=limits.seconds)
        if limits.check != "code":
            return CHECKS[limits.check](text, expected)
        result = sandbox.run_code(
            extract_code(text),
            expected,
            seconds=limits.seconds,
            memory_mib=limits.memory_mib,
            plain=limits.plain,
        )
        if result.passed and not result.asked:
            raise BadExpectationError(
                "asks nothing of the code: tests run as a script, so functions and classes of tests have to be called"
            )
        return None if result.passed else result.reason
