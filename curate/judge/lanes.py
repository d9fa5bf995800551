"""Lanes: judges that wait for servers of their own are asked at the same time, all others one after another.

Judges that share an engine are in one lane, in the order of the panel. All work of this process (models in it, rules,
code that is run) is one lane too, since it would only share the same cores and memory. A judge that reads what earlier
judges said, or comes after them, waits until they are through.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from curate.judge.configured import ConfiguredJudge

_LOCAL = "this process"
_LOOK = 0.1  # seconds between two looks of the main thread, which alone hears Ctrl-C
_FAREWELL = 10.0  # seconds for lanes whose requests were cancelled


class RunInterrupted(KeyboardInterrupt):
    """The user has pressed Ctrl-C once: chunks in flight have ended, and no more are asked."""


def split_lanes(judges: Sequence[ConfiguredJudge]) -> list[list[ConfiguredJudge]]:
    """Split a panel into lanes, each in the order of the panel; that of this process comes first, if there is one."""
    lanes: list[tuple[set[object], list[int]]] = []
    for number, configured in enumerate(judges):
        resources = {id(engine) if engine.is_remote else _LOCAL for engine in configured.engines} or {_LOCAL}
        shared = [lane for lane in lanes if lane[0] & resources]
        lanes = [lane for lane in lanes if lane not in shared]
        members = sorted([number, *(member for _, lane in shared for member in lane)])
        lanes.append((resources.union(*(used for used, _ in shared)), members))
    lanes.sort(key=lambda lane: (_LOCAL not in lane[0], lane[1]))
    return [[judges[number] for number in members] for _, members in lanes]


def list_predecessors(judges: Sequence[ConfiguredJudge]) -> Mapping[str, Sequence[str]]:
    """List by judge the earlier judges whose answers its questions depend on."""
    names = [configured.name for configured in judges]
    return {
        configured.name: names[:number]
        if configured.judge.sees_other_judgments
        else [name for name in configured.after if name in names]
        for number, configured in enumerate(judges)
    }


@dataclass(slots=True)
class LaneRunner:
    """Runs lanes, the first one in the calling thread, and tells judges when those before them are through.

    An error of one lane stops the others after their chunks in flight, and is raised when they have ended.
    """

    judges: Sequence[ConfiguredJudge]
    cancel: Callable[[], None]
    _through: dict[str, threading.Event] = field(init=False)
    _predecessors: Mapping[str, Sequence[str]] = field(init=False)
    _stop: threading.Event = field(init=False, default_factory=threading.Event)
    _errors: list[BaseException] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._through = {configured.name: threading.Event() for configured in self.judges}
        self._predecessors = list_predecessors(self.judges)

    def run(self, ask_lane: Callable[[Sequence[ConfiguredJudge], bool], None]) -> None:
        """Run `ask_lane(judges, is_main)` for each lane at the same time.

        Raises:
            BaseException: The first error of a lane; RunInterrupted, when all have ended after their chunks; or
                KeyboardInterrupt, when requests in flight were cancelled.
        """
        first, *others = split_lanes(self.judges) or [[]]
        threads = [
            threading.Thread(
                # Each with the context of the caller: an orchestrator keeps there which run this is.
                target=contextvars.copy_context().run,
                args=(self._run_lane, ask_lane, lane, False),
                name=f"curate-judges-{number}",
                daemon=True,  # or a second Ctrl-C would wait for a server that does not answer
            )
            for number, lane in enumerate(others, 1)
        ]
        try:
            for thread in threads:
                thread.start()
            self._run_lane(ask_lane, first, True)
            for thread in threads:
                while thread.is_alive():
                    thread.join(_LOOK)
        except BaseException:
            self._stop.set()
            self.cancel()
            for thread in threads:
                thread.join(_FAREWELL)
            raise
        if self._errors:
            raise self._errors[0]

    def should_stop(self) -> bool:
        """Tell whether another lane has ended with an error."""
        return self._stop.is_set()

    def wait_for_predecessors(self, configured: ConfiguredJudge) -> bool:
        """Wait until a judge may be asked; False if the run stops before."""
        for name in self._predecessors[configured.name]:
            while not self._through[name].wait(_LOOK):
                if self.should_stop():
                    return False
        return not self.should_stop()

    def mark_through(self, configured: ConfiguredJudge) -> None:
        """Let the judges go on that wait for this one."""
        self._through[configured.name].set()

    def _run_lane(
        self,
        ask_lane: Callable[[Sequence[ConfiguredJudge], bool], None],
        lane: Sequence[ConfiguredJudge],
        is_main: bool,
    ) -> None:
        try:
            ask_lane(lane, is_main)
        except BaseException as error:
            if is_main and not isinstance(error, Exception | RunInterrupted):
                raise  # a second Ctrl-C, or the end of the process: nobody waits for the others
            self._errors.append(error)
            self._stop.set()
        finally:
            for configured in lane:
                self.mark_through(configured)
