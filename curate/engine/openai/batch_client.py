"""Questions through a provider's batch API (`/files` and `/batches`): cheaper, answered within a day.

It takes the place of `HttpClient.post_calls`. Each call's `custom_id` is the hash of its path and body, so the same
question is found again in the batch in which an earlier process has sent it:

1. calls that are in no batch are written down (`BatchStore`), uploaded as a file, and made a batch;
2. batches are polled until they have ended; their output and error files are read;
3. what was not answered (the batch expired, the server was busy) goes into a new batch, `retries` times.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.log_lines import write_log_line
from curate.engine.base import Failure
from curate.engine.openai.batch_store import BatchStore, SentBatch
from curate.engine.openai.http_client import Call, HttpClient

MOST_CALLS = 50_000  # of one batch, as OpenAI documents it
MOST_BYTES = 190_000_000  # of one file; OpenAI takes 200 MB
_ENDED = frozenset({"completed", "expired", "cancelled"})
_AGAIN = frozenset(
    {"batch_expired", "batch_cancelled", "408", "409", "425", "429", "500", "502", "503", "504", "529"}
)
_SECONDS_BETWEEN_LINES = 600.0
_GONE: dict[str, Any] = {"status": "deleted at the provider"}
Answer = dict[str, Any] | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """Settings of batches.

    Attributes:
        window: Time in which the provider answers, as it names it.
        poll: Seconds between two looks.
        wait: Seconds to wait for answers; None: as long as it takes.
        retries: In how many further batches a question is asked that was not answered.
        outage: Seconds without any answer of the server after which it counts as gone.
    """

    window: str = "24h"
    poll: float = 30.0
    wait: float | None = None
    retries: int = 4
    outage: float = 300.0


@dataclass(slots=True)
class BatchClient:
    """Sends calls as batches and waits for their answers.

    Args:
        http_client: Connections to the server.
        store: What is in which batch.
        policy: Settings.
    """

    http_client: HttpClient
    store: BatchStore
    policy: BatchPolicy
    _last_line: float = field(init=False, default=0.0)

    def post_calls(self, calls: Sequence[Call]) -> list[Answer]:
        """Return the answers to all calls, in their order.

        Raises:
            CurateError: The server refuses or has lost a batch, is gone, or has not answered within `wait`.
        """
        by_id = dict(_name_calls(calls))
        names = list(by_id)
        answers: dict[str, Answer] = {}
        reasons: dict[str, str] = {}  # why a call has to go into another batch
        deadline = None if self.policy.wait is None else time.monotonic() + self.policy.wait
        while len(answers) < len(by_id):
            self._send_missing(by_id, answers, reasons)
            keys = {key for name, (key, _) in self.store.find_calls(names).items() if name not in answers}
            self._collect(keys, names, answers, reasons, deadline)
        return [answers[name] for name in by_id]

    # Sending ----------------------------------------------------------------------------------------------

    def _send_missing(
        self, by_id: Mapping[str, Call], answers: dict[str, Answer], reasons: dict[str, str]
    ) -> None:
        """Send the calls that are in no batch, and those whose batch has ended without an answer to them."""
        with self.store.lock():
            self._settle_unknown()
            known = self.store.find_calls(list(by_id))
            attempts: dict[str, int] = {}
            for name in by_id:
                number = known[name][1] if name in known else 0
                if name in answers or (name in known and name not in reasons):
                    continue
                if number > self.policy.retries:
                    answers[name] = Failure(f"not answered in {number} batches: {reasons[name]}")
                    self.store.drop_calls([name])
                    continue
                attempts[name] = number + 1
            reasons.clear()
            for part in _pack_calls(by_id, list(attempts)):
                self._send_batch(part, {name: attempts[name] for name, _ in part}, by_id[part[0][0]].path)

    def _settle_unknown(self) -> None:
        """Find out whether the provider has batches of which a killed process did not write down the id."""
        unknown = [batch for batch in self.store.list_batches().values() if batch.batch_id is None]
        for batch in unknown:
            batch_id = self._find_at_provider(batch)
            if batch_id is None:
                self.store.drop_batch(batch.key)
            else:
                self.store.set_batch(batch.key, batch_id)

    def _find_at_provider(self, batch: SentBatch) -> str | None:
        if batch.file_id is None:  # without a file there is no batch
            return None
        after = ""
        while True:
            listed = self._request("GET", f"/batches?limit=100{after}").json()
            for entry in listed.get("data", []):
                metadata = entry.get("metadata") or {}
                if metadata.get("curate_key") == batch.key or entry.get("input_file_id") == batch.file_id:
                    return str(entry["id"])
            entries = listed.get("data", [])
            if not listed.get("has_more") or not entries or entries[-1]["created_at"] < batch.made_at - 86400:
                return None
            after = f"&after={entries[-1]['id']}"

    def _send_batch(self, part: Sequence[tuple[str, bytes]], attempts: Mapping[str, int], path: str) -> None:
        key = self.store.begin_batch(attempts)
        body = b"".join(line for _, line in part)
        upload = self._request(
            "POST",
            "/files",
            data={"purpose": "batch"},
            files={"file": (f"curate-{key}.jsonl", body, "application/jsonl")},
        )
        file_id = str(upload.json()["id"])
        self.store.set_file(key, file_id)
        request = {
            "input_file_id": file_id,
            "endpoint": f"/v1{path}",
            "completion_window": self.policy.window,
            "metadata": {"curate_key": key},
        }
        made = self._send_once("POST", "/batches", json=request)
        if made is None or made.status_code >= 500:  # the provider may have made it all the same
            batch = SentBatch(key, file_id, None, time.time())
            batch_id = self._find_at_provider(batch)
            if batch_id is None:
                made = self._request("POST", "/batches", json=request)
                batch_id = str(made.json()["id"])
        else:
            batch_id = str(self._check(made).json()["id"])
        self.store.set_batch(key, batch_id)
        write_log_line("batch", f"batch {batch_id}: {len(part):,} questions sent", batch=batch_id)

    # Collecting -------------------------------------------------------------------------------------------

    def _collect(
        self,
        keys: set[str],
        names: Sequence[str],
        answers: dict[str, Answer],
        reasons: dict[str, str],
        deadline: float | None,
    ) -> None:
        """Wait until all batches of `keys` have ended, and read each when it has."""
        waiting = {key: batch for key, batch in self.store.list_batches().items() if key in keys}
        while waiting:
            for key, batch in list(waiting.items()):
                response = self._request("GET", f"/batches/{batch.batch_id}", may_miss=True)
                state = _GONE if response.status_code == 404 else response.json()
                if state["status"] == "failed":
                    self._refuse(batch, state)
                if state["status"] in _ENDED or state is _GONE:
                    del waiting[key]
                    self._read_batch(batch, state, names, answers, reasons)
                else:
                    self._tell_progress(state)
            if waiting:
                if deadline is not None and time.monotonic() >= deadline:
                    listed = ", ".join(str(batch.batch_id) for batch in waiting.values())
                    raise CurateError(
                        f"The server {self.http_client.root} is still at work on the batches {listed}: run the same "
                        "command later, and it collects their answers; nothing is asked or paid twice."
                    )
                time.sleep(self.policy.poll)

    def _read_batch(
        self,
        batch: SentBatch,
        state: Mapping[str, Any],
        names: Sequence[str],
        answers: dict[str, Answer],
        reasons: dict[str, str],
    ) -> None:
        """Read the files of a batch that has ended; what it leaves open gets a reason."""
        known = self.store.find_calls(names)
        own = {name for name, (key, _) in known.items() if key == batch.key and name not in answers}
        for file in filter(None, (state.get("output_file_id"), state.get("error_file_id"))):
            response = self._request("GET", f"/files/{file}/content", may_miss=True)
            lines = "" if response.status_code == 404 else response.text
            for name, answer, reason in _read_lines(lines):
                if name not in own:
                    continue
                if answer is None:
                    reasons[name] = reason
                else:
                    answers[name] = answer
        left = own - answers.keys()
        for name in left:
            reasons.setdefault(name, f"the batch is {state['status']} and holds no answer to it")
        counts = Counter(reasons[name] for name in left)
        words = "; ".join(f"{number:,} not answered: {reason}" for reason, number in counts.most_common(3))
        got = f"batch {batch.batch_id} {state['status']}: {len(own) - len(left):,} answers"
        write_log_line("batch", ", ".join(filter(None, [got, words])), batch=batch.batch_id)
        if state["status"] == "cancelled" and left:
            self.store.drop_calls(sorted(left))
            raise CurateError(
                f"Batch {batch.batch_id} was cancelled at the provider with {len(left):,} questions open: run the same "
                "command again to ask these in a new batch; what it answered is kept."
            )

    def _refuse(self, batch: SentBatch, state: Mapping[str, Any]) -> None:
        errors = (state.get("errors") or {}).get("data") or [{}]
        self.store.drop_batch(batch.key)
        message = " ".join(
            str(errors[0].get("message") or errors[0].get("code") or "no reason given").split()
        )
        raise CurateError(
            f"The server {self.http_client.root} refuses batch {batch.batch_id} as a whole: "
            f"{message[:300].rstrip('.')}. Nothing of it was asked; mend that and run the same command again."
        )

    def _tell_progress(self, state: Mapping[str, Any]) -> None:
        if time.monotonic() - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = time.monotonic()
        counts = state.get("request_counts") or {}
        share = f", {counts.get('completed', 0):,} of {counts['total']:,}" if counts.get("total") else ""
        write_log_line("batch", f"batch {state['id']} {state['status']}{share}", batch=state["id"])

    # Requests ---------------------------------------------------------------------------------------------

    def _send_once(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        return self.http_client.send_request(method, path, **options)

    def _request(self, method: str, path: str, *, may_miss: bool = False, **options: Any) -> httpx.Response:
        """Send a request that may be repeated; wait for a server that is gone or busy, up to `outage`.

        Args:
            method: GET or POST.
            path: Path below the server's address.
            may_miss: Return a response of the status 404 as well: results that the provider has deleted.
            **options: See `httpx.AsyncClient.request`.
        """
        begun, pause = time.monotonic(), 0.5
        while True:
            response = self._send_once(method, path, **options)
            if response is not None and response.status_code < 500 and response.status_code != 429:
                return response if may_miss and response.status_code == 404 else self._check(response)
            if time.monotonic() - begun > self.policy.outage:
                trouble = "no answer" if response is None else self.http_client.describe_response(response)
                raise CurateError(
                    f"The server {self.http_client.root} does not take {path.partition('?')[0]} ({trouble}): run the "
                    "same command when it is back; its batches go on meanwhile, and nothing is paid twice."
                )
            time.sleep(min(pause, self.policy.outage))
            pause = min(2 * pause, 60.0)

    def _check(self, response: httpx.Response) -> httpx.Response:
        if response.status_code >= 400:
            raise CurateError(
                f"The server {self.http_client.root} refuses {response.request.method} "
                f"{response.request.url.path} ({self.http_client.describe_response(response)}): check that it offers "
                "batches and that the key may use them, or say `batch: false`."
            )
        return response


def _name_calls(calls: Sequence[Call]) -> Iterator[tuple[str, Call]]:
    """Yield calls with the hash of what they ask; equal ones are asked as often as they come, and so numbered."""
    seen: Counter[str] = Counter()
    for call in calls:
        name = content_id(call.path, call.body)
        yield (f"{name}-{seen[name]}" if seen[name] else name), call
        seen[name] += 1


def _pack_calls(by_id: Mapping[str, Call], names: Sequence[str]) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the lines of one file after another: of one path each, and no larger than a provider takes."""
    for path in dict.fromkeys(by_id[name].path for name in names):
        part: list[tuple[str, bytes]] = []
        size = 0
        for name in names:
            if by_id[name].path != path:
                continue
            line = _write_line(name, by_id[name])
            if part and (len(part) >= MOST_CALLS or size + len(line) > MOST_BYTES):
                yield part
                part, size = [], 0
            part.append((name, line))
            size += len(line)
        if part:
            yield part


def _write_line(name: str, call: Call) -> bytes:
    line = {"custom_id": name, "method": "POST", "url": f"/v1{call.path}", "body": call.body}
    return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _read_lines(text: str) -> Iterator[tuple[str, Answer | None, str]]:
    """Yield (custom_id, answer, reason) of each line of an output or error file; None: it is to be asked again."""
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
            name = str(entry["custom_id"])
            response, error = entry.get("response") or {}, entry.get("error") or {}
            body, code = response.get("body"), str(response.get("status_code") or error.get("code") or "")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue  # the call counts as not answered
        if isinstance(body, dict) and code.startswith("2") and not error:
            yield name, body, ""
            continue
        inner = body.get("error", body) if isinstance(body, dict) else {}
        message = error.get("message") or (inner.get("message") if isinstance(inner, dict) else inner) or code
        reason = " ".join(f"{code} {message}".split())[:300]
        if code in _AGAIN or error.get("code") in _AGAIN:
            yield name, None, reason
        else:
            yield name, Failure(f"the server refuses the request: {reason}", permanent=True), ""
