"""`curate serve-reward`: a reward model behind HTTP."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from curate.cli.documents import Serving
from curate.cli.program_output import print_document
from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.secrets import register_secrets
from curate.core.terminal import print_line

_MOST_CLIENTS = 512  # connections and requests at a time; more get status 503


def serve_model(
    model: Annotated[
        str | None, typer.Argument(help="A reward model: a folder, pypi:PACKAGE or a hub id.")
    ] = None,
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
        typer.Option(
            min=8,
            help="Longest prompt with response in tokens; default: the limit of the model. A head on sentence "
            "embeddings has none, and refuses longer ones.",
        ),
    ] = None,
    budget: Annotated[int, typer.Option(min=1, help="Tokens per forward pass.")] = 4096,
    multi_turn: Annotated[
        bool,
        typer.Option(
            "--multi-turn",
            help="Score the last answer of rendered chats with several; else they are refused, since a policy that "
            "writes control strings could forge one.",
        ),
    ] = False,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Number format of the weights; auto: as they are stored."),
    ] = "auto",
    order: Annotated[
        str | None,
        typer.Option(
            help="Orders in which a model trained with `forward: joint` reads the responses to a prompt: one, "
            "average:K or rotations."
        ),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(help="Environment variable with the key that clients must send; default: no key."),
    ] = None,
    transform: Annotated[
        Literal["none", "centre", "normalise", "par"],
        typer.Option(
            help="Answer rewards for RL: scores less the mean of the prompt's responses, also over their spread, or as "
            "preferences (see `curate score`)."
        ),
    ] = "none",
    clip: Annotated[float | None, typer.Option(min=0.0, help="Keep rewards between -CLIP and CLIP.")] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            help="Another seed of the model's training, to score together with it. May be repeated."
        ),
    ] = None,
    penalty: Annotated[
        float,
        typer.Option(min=0.0, help="Of several models: mean score less this many times their variance."),
    ] = 0.0,
    cohort: Annotated[
        int, typer.Option(min=1, help="Rollouts of a prompt that /verify (NeMo Gym) rewards together.")
    ] = 1,
    rubric: Annotated[
        Path | None,
        typer.Option(
            help="A rubric of features: /score and /rewards answer the reward of each criterion too, as `criteria`."
        ),
    ] = None,
    panel: Annotated[
        Path | None,
        typer.Option(
            help="A curate.yaml, in place of a model: its judges compare the responses to a prompt, weighed as `curate "
            "aggregate` has learnt."
        ),
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="With --panel: this judge alone. May be repeated.")
    ] = None,
    max_images: Annotated[
        int, typer.Option(min=1, help="Most images of a request; more are refused with status 413.")
    ] = 32,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Most pixels of an image; a larger one cannot be read (422).")
    ] = 16 << 20,
    image_http: Annotated[
        bool,
        typer.Option(
            "--image-http",
            help="Fetch images of requests from web addresses of the public internet; default: `data:` URIs alone.",
        ),
    ] = False,
    image_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Fetch images of requests from this host (name or name:port), public or not. May be repeated."
        ),
    ] = None,
    client_seconds: Annotated[
        float, typer.Option(min=0.1, help="Seconds in which a client must have sent its request.")
    ] = 30.0,
) -> Serving:
    """Serve a reward model over HTTP, to TRL, OpenRLHF, verl and other clients.

    POST /score {prompt, responses}; also /rewards (TRL), /get_reward (OpenRLHF), /verify (NeMo Gym), and vLLM's
    /classify, /pooling, /rerank and /v1/embeddings, as verl asks them.
    """
    require_extra("serve", "uvicorn", "fastapi", "torch", "transformers", purpose="Serving a reward model")
    import uvicorn

    from curate.core.network import is_loopback
    from curate.data.conversation import text_answer, text_message
    from curate.reward.scorer import PromptResponses, RewardScorer, open_reward_model
    from curate.reward.transforms import RewardTransform
    from curate.serve.app import make_app
    from curate.serve.criteria import CriterionRewards
    from curate.serve.limits import ServerLimits
    from curate.serve.protocol_timeout import TimedProtocol

    key = _read_key(api_key_env)
    criteria = None if rubric is None else CriterionRewards.load(rubric)

    if penalty and not also:
        raise CurateError("--penalty weighs what several models disagree about: name another with --also.")
    scorer: RewardScorer
    closing = contextlib.ExitStack()
    model = _refuse_odd_choice(model, panel, judge, also)
    if panel is not None:
        from curate.cli.opening import load_config
        from curate.pipeline.panel_rewards import PanelRewards

        scorer = closing.enter_context(PanelRewards.open(load_config(panel), judges=judge))
    elif also:
        from curate.reward.ensemble import open_ensemble

        scorer = open_ensemble(
            [model, *also],
            folder=Path.cwd(),
            penalty=penalty,
            dtype=dtype,
            budget=budget,
            max_length=max_length,
            order=order,
        )
    else:
        scorer = open_reward_model(
            model,
            folder=Path.cwd(),
            dtype=dtype,
            share_prompts=True,
            budget=budget,
            max_length=max_length,
            order=order,
        )
    scorer.score(
        [PromptResponses((text_message("user", "?"),), (text_answer("!"), text_answer("?")))]
    )  # a broken model fails before the port is open
    limits = ServerLimits(
        max_responses=max_responses,
        max_bytes=max_bytes,
        max_queue=queue,
        max_batch=batch,
        max_wait=wait / 1000,
        max_body_seconds=client_seconds,
        multi_turn=multi_turn,
        transform=RewardTransform(transform, clip),
        cohort=cohort,
        max_images=max_images,
        max_pixels=max_pixels,
        image_http=image_http,
        image_hosts=_read_hosts(image_host or []),
    )
    app = make_app(scorer, limits, key=key, criteria=criteria)
    listening = _open_port(host, port)
    serving = Serving(model, scorer.revision, f"http://{host}:{listening.getsockname()[1]}")
    print_line(f"serving {model} ({scorer.revision[:12]}) on {serving.address}")
    print_document(serving)
    if not is_loopback(host):
        guard = (
            "no key is asked for: set one with --api-key-env" if key is None else "keys travel unencrypted"
        )
        print_line(
            f"warning: other machines reach this server at {host}, and {guard}; keep it on a private network or "
            "behind a proxy with TLS",
            file=sys.stderr,
        )
    settings = uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=30,
        http=TimedProtocol,
        limit_concurrency=_MOST_CLIENTS,
        server_header=False,
    )
    with closing:
        uvicorn.Server(settings).run(sockets=[listening])
    return serving


def _refuse_odd_choice(
    model: str | None, panel: Path | None, judge: list[str] | None, also: list[str] | None
) -> str:
    """Return the name of what is served."""
    if (model is None) == (panel is None):
        raise CurateError("Name either a reward model or, with --panel curate.yaml, a panel of judges.")
    if also and panel is not None:
        raise CurateError("--also names another seed of a model, which a panel is not: leave it out.")
    if judge and panel is None:
        raise CurateError("--judge chooses among the judges of a panel: name its curate.yaml with --panel.")
    return model or "panel"


def _open_port(host: str, port: int) -> socket.socket:
    """Listen on a port, so that 0 has become a number when it is printed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_MOST_CLIENTS)
    except OSError as error:
        raise CurateError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error


def _read_hosts(hosts: list[str]) -> frozenset[str]:
    from pydantic import ValidationError

    from curate.config.images import ImagesSection

    try:
        return frozenset(ImagesSection(hosts=hosts).hosts)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise CurateError(f"--image-host: {problem}.") from None


def _read_key(variable: str | None) -> str | None:
    """Read the key that clients must send; it is never an argument, which every user of the machine can see."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise CurateError(f"--api-key-env names {variable}, but that environment variable is not set.")
    register_secrets([key])
    return key
