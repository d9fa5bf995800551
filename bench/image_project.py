"""A project of synthetic pictures through `curate run`: seconds of each stage, and accuracy against gold.

    python bench/image_project.py                 # 200 prompts, 3 responses each
    python bench/image_project.py --prompts 1000 --keep /tmp/pictures

Half of the prompts show a picture and ask for its colour, half ask for a picture. Judges are pairwise and P(yes), on
a small OpenAI-compatible server that decodes the pictures of each request (tests/seeing.py), and the rule `length`,
which sees nothing. The backbone is a tiny Idefics3 with random weights (tests/vision_models.py): that it trains is
shown, not that it is good.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from curate.config.project import load_config
from curate.lake.lake import Lake
from tests.image_project import write_image_project
from tests.seeing import SeeingServer


def main() -> None:
    parser = argparse.ArgumentParser(description="Run a project of synthetic pictures end to end.")
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="folder to leave the project in")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, SeeingServer() as server:
        folder = arguments.keep or Path(temporary) / "project"
        write_image_project(folder, server.url, prompts=arguments.prompts)
        began = time.perf_counter()
        command = [sys.executable, "-c", "from curate.cli.app import main; main()", "run"]
        subprocess.run(command, cwd=folder, check=True)
        print(f"\n{arguments.prompts} prompts: {time.perf_counter() - began:.1f} s in all")
        pictures = sum(
            part["type"] == "image_url"
            for body in server.bodies
            for message in body["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
        )
        print(f"{len(server.bodies):,} requests with {pictures:,} pictures")
        with Lake.open(load_config(folder / "curate.yaml").location, read_only=True) as lake:
            for stage, seconds in lake.rows(
                "SELECT stage, round(sum(seconds), 1) FROM runs GROUP BY stage ORDER BY min(started_at)"
            ):
                print(f"{stage:12} {seconds:8.1f} s")
            for row in lake.rows(
                "SELECT subject, metric, value, n FROM evaluations WHERE subset = 'all' ORDER BY ALL"
            ):
                print("{:20} {:12} {:.3f} (n = {})".format(*row))
        size = (folder / "report.html").stat().st_size
        print(f"report.html: {size / 1024:,.0f} KiB")


if __name__ == "__main__":
    main()
