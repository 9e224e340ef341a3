"""Traces: a span a run, one a stage inside, no person in any; and nothing at all where nobody asked."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from structlog.testing import capture_logs

import canary
from audiences import trace
from canary import PRIVATE
from prompt import Project
from states import rows
from world import World

ADA, GRACE, ZOE = "ada" + "@example.com", "grace" + "@example.com", "zoe" + "@example.com"
STAGES = ["evaluate", "recover", "judge", "prepare", "plan", "guard", "deliver", "settle", "run", "audience"]


class Traced(World):
    """A world whose runs are traced into memory."""

    def __init__(self, folder):
        super().__init__(folder)
        self.memory, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.stage = trace.told(provider)

    def traced(self, **more):
        """The spans of one more run, in the order in which they ended."""
        self.memory.clear()
        self.result = self.sync(stage=self.stage, **more)
        found = self.memory.get_finished_spans()
        for span in found:
            canary.saw(span.to_json())
        return found


@pytest.fixture
def world(tmp_path):
    made = Traced(tmp_path)
    made.people((1, ADA), (2, GRACE), (3, ZOE))
    return made


def test_a_run_is_a_span_with_a_span_for_each_stage(world):
    """
    The stages of a run lie inside its span, in their order, and that lies in its audience's.
    """
    spans = world.traced()
    named = {span.name: span for span in spans}
    parents = {span.name: span.parent and span.parent.span_id for span in spans}

    assert [span.name for span in spans] == STAGES
    assert parents["audience"] is None
    assert parents["run"] == parents["evaluate"] == named["audience"].context.span_id
    assert {parents[name] for name in STAGES[1:8]} == {named["run"].context.span_id}


def test_a_span_tells_what_ran_and_how_much(world):
    """
    A run's span has audience, sync, the run's id as `audiences run` takes it, its outcome and its numbers.
    """
    told = {span.name: dict(span.attributes) for span in world.traced()}
    with world.worker() as worker, worker.state.begin() as connection:
        begun = connection.exec_driver_sql("select id from run").scalar_one()

    assert told["run"] == {
        "audiences.audience": "team",
        "audiences.sync": "team.webhook",
        "audiences.run": begun,
        "audiences.outcome": "delivered",
        "audiences.delivered": 3,
        "audiences.refused": 0,
        "audiences.newly_refused": 0,
        "audiences.unnamed": 0,
        "audiences.not_removed": 0,
        "audiences.pending": 0,
        "audiences.unknown": 0,
        "audiences.size": 3,
    }
    assert told["plan"]["audiences.added"] == told["deliver"]["audiences.rows"] == 3
    assert told["audience"] == {"audiences.audience": "team"}


def refuses(world):
    world.receiver.rejects(ADA)
    return "delivered"


def guards(world):
    world.people((1, ADA), *((number, f"p{number}@example.com") for number in range(2, 20)))
    world.sync()
    world.people((1, ADA))
    return "guarded"


def breaks(world):
    def before(told):
        raise httpx.ReadError(f"{ADA} was here")

    world.receiver.before = before
    return "failed"


def has_a_defect(world):
    def before(told):
        raise ValueError(f"what is {ADA}?")

    world.receiver.before = before
    return "failed"


@pytest.mark.parametrize("trouble", [refuses, guards, breaks, has_a_defect])
def test_no_person_is_in_any_span(world, trouble):
    """
    Whoever is refused, and whatever a library says of them: no attribute, event or status names anybody.
    """
    outcome = trouble(world)
    spans = world.traced()
    words = "".join(span.to_json() for span in spans)
    [run] = [span for span in spans if span.name == "run"]

    assert run.attributes["audiences.outcome"] == outcome == world.result.outcome
    assert not PRIVATE.findall(words)
    assert (run.status.status_code is StatusCode.ERROR) == (outcome != "delivered")
    assert not [event for span in spans for event in span.events]


def test_a_query_that_fails_is_a_span_that_failed(world):
    """
    Where no sync could begin, the audience's own span says so, by the class of the error.
    """
    world.sql("drop table people")
    [evaluate, audience] = world.traced()

    assert (evaluate.name, evaluate.status.description) == ("evaluate", "WarehouseError")
    assert audience.status.status_code is StatusCode.ERROR


@contextmanager
def collector():
    """A collector on loopback: where it is, and what it was sent."""
    sent = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            sent.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}", sent
        server.shutdown()


def test_spans_go_where_the_environment_says(tmp_path):
    """
    `sync` and `serve` send them by OTLP over HTTP, as the service `audiences`, before they end.
    """
    project = Project(tmp_path)
    project.people((1, ADA))
    project.types("serve", "--once")
    rows(project.state_url, "update timetable set since = since - 100000")
    with collector() as (where, sent):
        ended = [
            project.types(*words, OTEL_EXPORTER_OTLP_ENDPOINT=where)
            for words in (["sync", "--all"], ["serve", "--once"])
        ]

    assert [each.code for each in ended] == [0, 0]
    assert [path for path, _ in sent] == ["/v1/traces", "/v1/traces"]
    for resource in (told.resource_spans[0] for _, told in sent):
        about = {each.key: each.value.string_value for each in resource.resource.attributes}
        assert about["service.name"] == "audiences"
        assert {"audience", "run", "plan"} <= {span.name for span in resource.scope_spans[0].spans}


def test_a_collector_that_is_gone_fails_no_run(monkeypatch):
    """
    Nothing is raised, and the end is not held up for longer than the exporter's time-out.
    """
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")

    with trace.exported(os.environ) as stage, stage("run"):
        pass


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "x"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "TRUE"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, []),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            ["grpc is not spoken"],
        ),
    ],
)
def test_unasked_nothing_is_traced(environment, said):
    """
    Without an endpoint, or switched off, there is no span; a protocol that is not spoken is said in the log.
    """
    with capture_logs() as lines, trace.exported(environment) as stage:
        assert stage is trace.untold
    assert [line["why"] for line in lines] == said


def test_without_the_extra_it_is_said_once(monkeypatch):
    """
    Where traces are asked for and the extra is not installed, the log says how to install it, and the work goes on.
    """
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    with capture_logs() as lines, trace.exported(asked) as stage, stage("run") as told:
        told.tell(delivered=1)

    assert [line["do"] for line in lines] == ["pip install 'audiences[otel]', or unset OTEL_…"]


def test_unasked_nothing_is_imported():
    """
    A run that nobody traces loads nothing of OpenTelemetry.
    """
    code = """
import sys
from audiences import cli, run, trace
with trace.exported({}) as stage, stage("run") as told:
    told.tell(delivered=1)
print(*sys.modules)
"""
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    loaded = subprocess.run([sys.executable, "-c", code], env=where, capture_output=True, text=True, check=True).stdout

    assert "audiences.trace" in loaded.split()
    assert "opentelemetry" not in loaded
