"""A provider with a batch API, as OpenAI documents it: files, batches, their states, output and error files.

`fate` decides what becomes of each batch when it is released: custom ids that expire, fail or are refused. `charged`
counts how often each body was answered, which is what a provider is paid for.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Fate = Callable[[int, int, dict[str, Any]], str]
"""(number of the batch, number of the line, line) → answer, expire, busy, refuse, or lose"""

_BODY = {
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "A"},
            "logprobs": {
                "content": [
                    {
                        "token": "A",
                        "logprob": -0.1054,
                        "top_logprobs": [
                            {"token": "A", "logprob": -0.1054},
                            {"token": "B", "logprob": -2.3026},
                        ],
                    }
                ]
            },
        }
    ],
    "usage": {"prompt_tokens": 100, "completion_tokens": 1},
}


class BatchServer:
    """The stand-in; batches stay at work until `release`."""

    def __init__(self, fate: Fate = lambda batch, line, entry: "answer") -> None:
        self.fate = fate
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.charged: Counter[str] = Counter()
        self.direct = 0
        self.is_open = threading.Event()
        self.lose_next_answer = False  # the next batch is made, and its answer never arrives
        self.refuse_with: str | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.handle_get(self)

            def do_POST(self) -> None:
                outer.handle_post(self, self.rfile.read(int(self.headers["Content-Length"])))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def release(self) -> None:
        self.is_open.set()

    def handle_get(self, request: Any) -> None:
        address = urlsplit(request.path)
        parts = address.path.split("/")[2:]
        if parts == ["models"]:
            return self._answer(request, {"data": [{"id": "m", "owned_by": "provider"}]})
        if parts == ["batches"]:
            return self._answer(request, self._list(parse_qs(address.query)))
        if parts[0] == "batches" and parts[1] in self.batches:
            if self.is_open.is_set():
                self._finish(self.batches[parts[1]])
            return self._answer(request, self.batches[parts[1]])
        if parts[0] == "files" and parts[1] in self.files:
            return self._send(request, 200, self.files[parts[1]])
        return self._answer(request, {"error": {"message": "no such thing"}}, 404)

    def handle_post(self, request: Any, body: bytes) -> None:
        path = urlsplit(request.path).path
        if path == "/v1/files":
            assert b'name="purpose"\r\n\r\nbatch\r\n' in body
            boundary = body.split(b"\r\n")[0]
            (content,) = [
                part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
                for part in body.split(boundary)
                if b"filename=" in part
            ]
            name = f"file-{len(self.files)}"
            self.files[name] = content
            return self._answer(request, {"id": name, "object": "file", "purpose": "batch"})
        if path == "/v1/batches":
            return self._make_batch(request, json.loads(body))
        self.direct += 1  # at once and at the full price: probes of what the server can do
        return self._answer(request, _BODY)

    def _make_batch(self, request: Any, wanted: dict[str, Any]) -> None:
        assert wanted["endpoint"] == "/v1/chat/completions"
        assert wanted["completion_window"] == "24h"
        lines = [json.loads(line) for line in self.files[wanted["input_file_id"]].splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        assert all((line["method"], line["url"]) == ("POST", wanted["endpoint"]) for line in lines)
        batch = {
            "id": f"batch_{len(self.batches)}", "object": "batch", "status": "in_progress",
            "input_file_id": wanted["input_file_id"], "output_file_id": None, "error_file_id": None,
            "created_at": int(time.time()), "metadata": wanted.get("metadata"), "errors": None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }  # fmt: skip
        if self.refuse_with:
            errors = {"object": "list", "data": [{"code": "invalid", "message": self.refuse_with}]}
            batch |= {"status": "failed", "errors": errors}
        self.batches[str(batch["id"])] = batch
        if self.lose_next_answer:
            self.lose_next_answer = False
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        self._answer(request, batch)

    def _finish(self, batch: dict[str, Any]) -> None:
        if batch["status"] != "in_progress":
            return
        number, outputs, errors = int(batch["id"].removeprefix("batch_")), [], []
        expired = False
        for place, line in enumerate(self.files[batch["input_file_id"]].splitlines()):
            entry = json.loads(line)
            fate, row = self.fate(number, place, entry), {"id": f"r{place}", "custom_id": entry["custom_id"]}
            if fate == "answer":
                self.charged[json.dumps(entry["body"], sort_keys=True)] += 1
                response = {"status_code": 200, "request_id": "x", "body": _BODY}
                outputs.append(row | {"response": response, "error": None})
            elif fate == "expire":
                expired = True
                error = {"code": "batch_expired", "message": "This request could not be executed in time."}
                errors.append(row | {"response": None, "error": error})
            elif fate in ("busy", "refuse"):
                code = 500 if fate == "busy" else 400
                response = {"status_code": code, "request_id": "x", "body": {"error": {"message": fate}}}
                errors.append(row | {"response": response, "error": None})
        for key, rows in (("output_file_id", outputs), ("error_file_id", errors)):
            if rows:
                batch[key] = f"file-{len(self.files)}"
                self.files[batch[key]] = "".join(json.dumps(row) + "\n" for row in reversed(rows)).encode()
        batch["status"] = "expired" if expired else "completed"

    def _list(self, query: dict[str, list[str]]) -> dict[str, Any]:
        newest = sorted(self.batches.values(), key=lambda batch: -int(batch["id"].removeprefix("batch_")))
        if "after" in query:
            ids = [batch["id"] for batch in newest]
            newest = newest[ids.index(query["after"][0]) + 1 :]
        most = 1  # pages as small as can be
        return {"object": "list", "data": newest[:most], "has_more": len(newest) > most}

    def _answer(self, request: Any, document: dict[str, Any], status: int = 200) -> None:
        self._send(request, status, json.dumps(document).encode())

    def _send(self, request: Any, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
