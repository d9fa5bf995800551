"""Push and pull through `curate` beside the bare SDK doing the same bulk calls, on one real server.

Run: python bench/verify.py   (needs the server's environment: make .venvs/label-studio/.built)

Both sides import 1,000 new tasks in requests of the same size, and export them with three answers each. What `curate`
does more: it looks up what is there, reads the answers, and commits them as judgments.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from curate.lake.lake import Lake
from curate.verify.forms import read_label_config
from curate.verify.pull import pull_answers
from curate.verify.push import IMPORT_BATCH, push_tasks
from curate.verify.server import TOKEN_VARIABLE, LabelStudioClient
from tests.e2e.conftest import ANNOTATORS
from tests.e2e.label_studio import TOKEN, LabelStudioServer, started
from tests.e2e.test_label_studio_round_trip import vote
from tests.verify.samples import fill, make_task, write_project

TASKS = 1000


def main() -> None:
    os.environ[TOKEN_VARIABLE] = TOKEN
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = started(folder / "data", ANNOTATORS)
        try:
            measure(server, folder)
        finally:
            server.kill()


def measure(server: LabelStudioServer, folder: Path) -> None:
    config = write_project(folder / "ws", url=server.url, project="bench", overlap=3)
    with Lake.open(config.location) as lake, LabelStudioClient.connect(config.verify) as there:
        fill(lake, [make_task(at, ["one " * 200, "two " * 200]) for at in range(TASKS)])
        ours = timed("curate verify push", lambda: push_tasks(lake, config))
        project = there.find_project("bench - pairwise")
        assert project is not None
        ids = sorted(found[0] for found in there.list_task_keys(project).values())
        data = [task["data"] for portion in there.iterate_annotations(project, ids) for task in portion]
        bare = there.client.projects.create(title="bare", label_config=read_label_config("pairwise"))

        def import_bare() -> None:
            for start in range(0, TASKS, IMPORT_BATCH):
                some = [{"data": each} for each in data[start : start + IMPORT_BATCH]]
                there.client.projects.import_tasks(int(bare.id or 0), request=some)  # type: ignore[arg-type]

        print(f"  ratio {ours / timed('bare SDK import', import_bare):.2f}")
        for person in ANNOTATORS:
            vote(server, person, project, dict.fromkeys(ids, "left-2"))
        ours = timed("curate verify pull", lambda: pull_answers(lake, config))

        def export_bare() -> None:
            stream = there.client.projects.exports.download_sync(project.id, export_type="JSON")
            assert len(json.loads(b"".join(stream))) == TASKS

        print(f"  ratio {ours / timed('bare SDK export', export_bare):.2f}")


def timed(name: str, work: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    work()
    seconds = time.perf_counter() - started_at
    print(f"{name}: {seconds:.1f} s, {TASKS / seconds:.0f} tasks/s", flush=True)
    return seconds


if __name__ == "__main__":
    main()
