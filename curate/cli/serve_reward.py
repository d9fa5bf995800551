"""`curate serve-reward`: a reward model behind HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from curate.core.extras import require_extra


def serve_model(
    model: Annotated[str, typer.Argument(help="A reward model: a folder, pypi:PACKAGE or a hub id.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8300,
    batch: Annotated[
        int, typer.Option(min=1, help="Largest number of responses that are scored together.")
    ] = 64,
    wait: Annotated[float, typer.Option(min=0, help="Milliseconds to wait for a batch to fill.")] = 4.0,
    queue: Annotated[
        int, typer.Option(min=1, help="Responses that may wait; more are refused with status 429.")
    ] = 2048,
    max_responses: Annotated[
        int,
        typer.Option(min=1, help="Most responses of a request; more are refused with status 413."),
    ] = 256,
    max_bytes: Annotated[
        int,
        typer.Option(min=1, help="Most bytes of a request; more are refused with status 413."),
    ] = 8 << 20,
    max_length: Annotated[
        int | None,
        typer.Option(min=8, help="Longest prompt with response in tokens; default: the limit of the model."),
    ] = None,
    budget: Annotated[int, typer.Option(min=1, help="Tokens per forward pass.")] = 4096,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Number format of the weights; auto: as they are stored."),
    ] = "auto",
) -> None:
    """Serve a reward model over HTTP, to TRL, OpenRLHF, verl and other clients.

    POST /score {prompt, responses}; also /rewards (TRL), /get_reward (OpenRLHF) and /classify (verl).
    """
    require_extra("serve", "uvicorn", "fastapi", "torch", "transformers", purpose="Serving a reward model")
    import uvicorn

    from curate.data.conversation import text_answer, text_message
    from curate.reward.scorer import PromptResponses, open_reward_model
    from curate.serve.app import ServerLimits, make_app

    scorer = open_reward_model(
        model, folder=Path.cwd(), dtype=dtype, share_prompts=True, budget=budget, max_length=max_length
    )
    scorer.score(
        [PromptResponses((text_message("user", "?"),), (text_answer("!"),))]
    )  # a broken model fails before the port is open
    limits = ServerLimits(
        max_responses=max_responses,
        max_bytes=max_bytes,
        max_queue=queue,
        max_batch=batch,
        max_wait=wait / 1000,
    )
    app = make_app(scorer, limits)
    print(f"serving {model} ({scorer.revision[:12]}) on http://{host}:{port}", flush=True)
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=30)
