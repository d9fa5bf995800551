"""Failures of the hub as sentences: what was refused, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from curate.core.errors import CurateError
from curate.core.network import is_of_http_client

_AGAIN = "Run the same command again: it goes on with what is not there yet."


@contextmanager
def explain_failures(repository: str) -> Iterator[None]:
    """Raise whatever the hub's client raises inside the block as one sentence about the repository."""
    try:
        yield
    except CurateError:
        raise
    except Exception as error:
        raise explain_failure(error, repository) from error


def explain_failure(error: BaseException, repository: str) -> CurateError:
    """Return the sentence for an error of `huggingface_hub`."""
    from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

    for cause in _list_causes(error):
        if isinstance(cause, OfflineModeIsEnabled):
            return CurateError(
                f"Nothing is sent to {repository}, since HF_HUB_OFFLINE is set: unset it to reach the hub."
            )
        if isinstance(cause, HFValidationError):
            return CurateError(f"The hub has no repository of the name {repository!r}: {_one_line(cause)}.")
        response = getattr(cause, "response", None)
        if (status := getattr(response, "status_code", None)) is not None:
            wait = getattr(response, "headers", {}).get("Retry-After", "")
            return CurateError(_explain_status(status, repository, wait, _one_line(cause)))
    if isinstance(error, OSError) or any(is_of_http_client(cause) for cause in _list_causes(error)):
        return CurateError(f"The connection to the hub broke ({_one_line(_find_root(error))}). {_AGAIN}")
    root = _find_root(error)
    return CurateError(f"The push to {repository} failed: {type(root).__name__}: {_one_line(root)}. {_AGAIN}")


def _explain_status(status: int, repository: str, wait: str, answer: str) -> str:
    if status == 401:
        return (
            f"The hub does not know the token that was sent for {repository}: it has expired, or part of it is "
            "missing. Make one with write access in the settings of the hub, then set HF_TOKEN or run `hf auth login`."
        )
    if status == 403:
        return (
            f"The token may not write to {repository}: use one with write access to its owner, or name a repository "
            "of your own."
        )
    if status == 404:
        return f"The hub has no {repository}, or the token may not see it: check the name and the token."
    if status in (409, 412):
        return (
            f"{repository} was changed by somebody else during this push, so nothing was committed. Run the same "
            "command again: it starts from the new state."
        )
    if status == 429:
        later = f" in {wait} seconds" if wait.isdigit() else " later"
        return f"The hub has had too many requests from here and answers with 429. Run the same command again{later}."
    if status >= 500:
        return f"The hub has trouble of its own and answers with {status} for {repository}. {_AGAIN}"
    return f"The hub refuses the push to {repository} with {status}: {answer}."


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _find_root(error: BaseException) -> BaseException:
    return list(_list_causes(error))[-1]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300].rstrip(" .:") or type(error).__name__
