"""The client of `/rewards`: rows in chunks, asked again where that helps, and no row that takes others with it."""

from __future__ import annotations

import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from curate.core.errors import CurateError
from curate.core.secrets import register_secrets

_CHUNK = 256  # rows of a request: the limit that a server has by default
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds
_TOO_MUCH, _UNREADABLE = 413, 422
_LATER = (408, 425, 429, 500, 502, 503, 504)  # statuses after which the same request may be answered

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """Limits of asking: how long to wait for an answer (seconds), and how often to ask again."""

    timeout: float = 180.0
    retries: int = 6


class RemoteRewards:
    """Asks a `curate serve-reward` for rewards; nothing is sent before `ask`.

    Args:
        url: Its address.
        api_key_env: Environment variable with its key, or None.
        limits: How long and how often to ask.

    Raises:
        CurateError: The environment variable is not set.
    """

    def __init__(self, url: str, api_key_env: str | None, limits: RetryLimits) -> None:
        self._address = f"{url.rstrip('/')}/rewards"
        self._limits = limits
        self._headers = {"Content-Type": "application/json"}
        if api_key_env is not None:
            key = os.environ.get(api_key_env, "").strip()
            if not key:
                raise CurateError(
                    f"The environment variable {api_key_env} is not set: it holds the key of {url}."
                )
            register_secrets([key])
            self._headers["Authorization"] = f"Bearer {key}"

    def ask(self, columns: Columns) -> list[float | None]:
        """Return a reward for each row; None where the server cannot read the row.

        Raises:
            CurateError: The server refuses all rows alike, or cannot be reached.
        """
        count = len(columns["prompts"])
        rewards: list[float | None] = []
        for start in range(0, count, _CHUNK):
            rewards += self._ask_chunk(_take_rows(columns, start, start + _CHUNK))
        return rewards

    def _ask_chunk(self, columns: Columns) -> list[float | None]:
        """Ask for a chunk, and for its halves where it is too much or holds a row that cannot be read."""
        count = len(columns["prompts"])
        status, body = self._post(json.dumps(columns).encode())
        if status in (_TOO_MUCH, _UNREADABLE):
            if count == 1:
                return [None]
            half = count // 2
            return self._ask_chunk(_take_rows(columns, 0, half)) + self._ask_chunk(
                _take_rows(columns, half, count)
            )
        if status != 200:
            raise CurateError(
                f"The reward server {self._address} answered {status}: {body.decode(errors='replace')[:300]}"
            )
        try:
            rewards = json.loads(body)["rewards"]
        except (ValueError, LookupError, TypeError):
            rewards = None
        if not isinstance(rewards, list) or len(rewards) != count:
            raise CurateError(
                f"The reward server {self._address} gave no list of {count} rewards: is it a `curate serve-reward`?"
            )
        return [None if reward is None else float(reward) for reward in rewards]

    def _post(self, data: bytes) -> tuple[int, bytes]:
        """Send a request, again after a pause where the server is overloaded or out of reach."""
        request = urllib.request.Request(self._address, data, self._headers)
        for attempt in range(self._limits.retries + 1):
            last = attempt == self._limits.retries
            advised = None
            try:
                with urllib.request.urlopen(request, timeout=self._limits.timeout) as response:
                    return response.status, response.read()
            except urllib.error.HTTPError as error:
                if last or error.code not in _LATER:
                    return error.code, error.read()
                advised = error.headers.get("Retry-After")
            except (OSError, http.client.HTTPException) as error:
                if last:
                    raise CurateError(
                        f"The reward server {self._address} cannot be reached: {error}."
                    ) from error
            time.sleep(_choose_pause(attempt, advised))
        raise AssertionError  # the last attempt returns or raises


def _choose_pause(attempt: int, advised: str | None) -> float:
    """Return seconds to wait: at least what the server advises, more with every attempt, and not all clients alike."""
    pause = min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)
    return max(pause, min(float(advised), _LONGEST_PAUSE)) if advised and advised.isdigit() else pause


def _take_rows(columns: Columns, start: int, stop: int) -> Columns:
    return {name: values[start:stop] for name, values in columns.items()}
