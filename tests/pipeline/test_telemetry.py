"""Metrics for Prometheus and traces for OpenTelemetry: figures that fit the lake, and no texts or secrets."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import log
from pathlib import Path
from typing import Any

import pytest

from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.core.run_metrics import ChunkFigures, MetricsFile, start_metrics
from curate.core.tracing import start_tracing, stop_tracing, trace_span
from curate.lake.lake import Lake
from curate.pipeline.curation import run_curation

KEY = "sk-telemetry-71x"
TEXT = "Because the walrus said so"
MODEL = """
engines:
  remote: {{kind: openai, url: "{url}", model: judge-model, api_key_env: TELEMETRY_KEY, price_in: 1, price_out: 2}}
ingest: [{{source: data.jsonl, fields: {{prompt: prompt, response: response, response_model: model}}}}]
judge:
  judges:
    - {{name: remote, kind: pairwise, engine: remote}}
    - {{name: long, kind: rule, rule: length}}
{more}
"""


class _Server:
    """A model that judges, and an OTLP collector."""

    def __init__(self) -> None:
        self.posted: list[bytes] = []
        self.lock = threading.Lock()
        posted, lock = self.posted, self.lock
        likely = [{"token": "A", "logprob": log(0.7)}, {"token": "B", "logprob": log(0.3)}]
        choice = {
            "index": 0,
            "message": {"content": "A"},
            "finish_reason": "stop",
            "logprobs": {"content": [likely[0] | {"top_logprobs": likely}]},
        }
        usage = {"prompt_tokens": 10, "completion_tokens": 1}
        verdict = json.dumps({"choices": [choice], "usage": usage}).encode()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                is_trace = self.path == "/v1/traces"
                if is_trace:
                    body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                    with lock:
                        posted.append(body)
                self._answer(b"" if is_trace else verdict)

            def do_GET(self) -> None:
                self._answer(json.dumps({"data": [{"id": "judge-model"}]}).encode())

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setenv("TELEMETRY_KEY", KEY)
    running = _Server()
    yield running
    running.server.shutdown()
    running.server.server_close()


def write_project(folder: Path, url: str, more: str) -> Path:
    rows = [
        {"prompt": f"Question {number}?", "response": f"{TEXT}, {index} times", "model": f"m{index}"}
        for number in range(5)
        for index in range(3)
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "curate.yaml").write_text(MODEL.format(url=url, more=more))
    return folder / "curate.yaml"


def run_curate(config: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from curate.cli.app import main; main()",
        "run",
        "--config",
        str(config),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=os.environ | {}
    )
    assert done.returncode == 0, done.stderr + done.stdout


def read_metrics(path: Path) -> dict[tuple[str, str, str, str], float]:
    from prometheus_client.parser import text_string_to_metric_families

    return {
        (
            sample.name,
            sample.labels["stage"],
            sample.labels.get("part", ""),
            sample.labels.get("result", sample.labels.get("direction", "")),
        ): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


@pytest.mark.e2e
def test_a_run_leaves_metrics_that_fit_the_lake_and_spans_at_a_collector(
    tmp_path: Path, server: _Server
) -> None:
    pytest.importorskip("prometheus_client")
    trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    more = f'metrics: {{textfile: curate.prom}}\ntraces: {{endpoint: "{server.url}", evaluations: 3}}'
    config = write_project(tmp_path, server.url, more)
    run_curate(config)
    figures = read_metrics(tmp_path / "curate.prom")
    with Lake.open(load_config(config).location, read_only=True) as lake:
        query = (
            "SELECT sum(rows_kept), sum(tokens_in), sum(tokens_out), sum(cost) FROM runs "
            "WHERE stage = 'judge' AND part = 'remote' AND status = 'chunk'"
        )
        kept, read, written, cost = lake.rows(query)[0]
        secret = lake.value("SELECT count(*) FROM judgments WHERE raw LIKE '%' || ? || '%'", [KEY])
    assert kept == 30
    assert secret == 0
    assert figures["curate_run_requests_total", "judge", "remote", ""] == kept
    assert figures["curate_run_failures_total", "judge", "remote", ""] == 0
    assert figures["curate_run_tokens_total", "judge", "remote", "in"] == read == 300
    assert figures["curate_run_tokens_total", "judge", "remote", "out"] == written == 30
    assert figures["curate_run_cost_total", "judge", "remote", ""] == pytest.approx(cost)
    assert figures["curate_run_rows_total", "ingest", "data.jsonl", "kept"] == 15
    assert figures["curate_run_seconds_total", "judge", "remote", ""] > 0
    assert figures["curate_run_last_chunk_timestamp_seconds", "judge", "", ""] > 1.7e9

    spans, names = [], {}
    for body in server.posted:
        request = trace_service.ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                spans += scope.spans
    names = {span.span_id: span.name for span in spans}
    parents = {(span.name, names.get(span.parent_span_id, "")) for span in spans}
    assert {("curate", ""), ("stage judge", "curate"), ("chat judge-model", "stage judge")} <= parents
    assert {("commit chunk", "stage ingest"), ("commit chunk", "stage judge")} <= parents
    call = next(span for span in spans if span.name == "chat judge-model")
    attributes = {item.key: item.value for item in call.attributes}
    assert attributes["gen_ai.request.model"].string_value == "judge-model"
    assert attributes["gen_ai.usage.input_tokens"].int_value == 300
    assert attributes["curate.judgments"].int_value == 30
    assert [event.name for event in call.events] == ["gen_ai.evaluation.result"] * 3
    sent = b"".join(server.posted) + (tmp_path / "curate.prom").read_bytes()
    for text in (KEY, TEXT, "Question 1"):
        assert text.encode() not in sent


def test_spans_name_the_model_the_tokens_and_the_verdicts(tmp_path: Path, server: _Server) -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    config = load_config(write_project(tmp_path, server.url, ""))
    start_tracing(None, exporter=exporter)
    try:
        with Lake.open(config.location) as lake:
            run_curation(lake, config)
    finally:
        stop_tracing()
    spans: dict[str, Any] = {span.name: span for span in exporter.get_finished_spans()}
    call = spans["chat judge-model"]
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.provider.name"] == "openai"
    assert call.attributes["gen_ai.usage.output_tokens"] == 30
    assert len(call.events) == 30
    event = call.events[0].attributes
    assert event["gen_ai.evaluation.name"] == "remote"
    assert event["gen_ai.evaluation.score.label"] in ("a", "b", "tie")
    assert 0 <= event["gen_ai.evaluation.score.value"] <= 1
    assert call.parent.span_id == spans["stage judge"].context.span_id
    assert "judge long" in spans
    assert TEXT not in str([(span.attributes, span.events) for span in spans.values()])


def test_an_error_is_marked_by_its_type_alone_and_secrets_are_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    monkeypatch.setenv("TELEMETRY_KEY", KEY)
    exporter = InMemorySpanExporter()
    start_tracing(None, exporter=exporter)
    try:
        with pytest.raises(ValueError, match="walrus"), trace_span("work", {"curate.part": f"at {KEY}"}):
            raise ValueError(TEXT)
    finally:
        stop_tracing()
    span: Any = next(span for span in exporter.get_finished_spans() if span.name == "work")
    assert dict(span.attributes) == {"curate.part": "at [secret]", "error.type": "ValueError"}
    assert not span.events
    assert not span.status.description


def test_nothing_of_opentelemetry_is_imported_unless_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "curate.yaml").write_text("judge: {judges: [{name: long, kind: rule, rule: length}]}\n")
    program = (
        "import sys; from curate.cli.opening import load_config, open_lake; from pathlib import Path\n"
        "with open_lake(load_config(Path('curate.yaml'))): pass\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus_client'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_counters_grow_over_runs_and_processes(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    figures = ChunkFigures(
        "judge",
        'a "judge"\\',
        "e",
        1.5,
        {"kept": 3, "duplicate": 0, "dropped": 1},
        4,
        1,
        {"in": 7, "out": 2},
        0.25,
    )
    for _ in range(3):  # each a new process's
        MetricsFile(tmp_path / "m.prom").add_chunk(figures)
    read = read_metrics(tmp_path / "m.prom")
    assert read["curate_run_requests_total", "judge", 'a "judge"\\', ""] == 12
    assert read["curate_run_cost_total", "judge", 'a "judge"\\', ""] == 0.75
    assert read["curate_run_chunks_total", "judge", 'a "judge"\\', ""] == 3
    with pytest.raises(CurateError, match="there is no folder"):
        start_metrics(tmp_path / "nowhere" / "m.prom")


def test_a_metrics_file_that_cannot_be_written_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("prometheus_client")
    (tmp_path / "m.prom").mkdir()
    MetricsFile(tmp_path / "m.prom").add_chunk(
        ChunkFigures("ingest", "x", "", 0.0, {"kept": 1}, 0, 0, {}, 0.0)
    )
    assert "Cannot write metrics" in capsys.readouterr().err
