"""A real process, killed without warning while it delivers over a real wire; what the receiver counts is the judge."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engines import each
from prompt import Project
from scale import times

MEMBERS = times(10_000, 100_000, 20_000)
BATCH, IN_FLIGHT = 1000, 4  # of `webhook`


class Server(ThreadingHTTPServer):
    """Counts how often each member came; `met` sees each call before it is counted, and before it is answered."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Call)
        self.came, self.there, self.lock = Counter(), {}, threading.Lock()
        self.calls, self.met = 0, lambda calls, when: None

    def handle_error(self, request, address):
        """Whoever called was killed: that is what the test is about."""

    def apply(self, told):
        with self.lock:
            self.came.update(member["key"] for member in told["members"])
            for member in told["members"]:
                if told["verb"] == "upsert":
                    self.there[member["key"]] = member["fields"]
                else:
                    self.there.pop(member["key"], None)


class Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.calls += 1
            number = self.server.calls
        self.server.met(number, "before")
        self.server.apply(told)
        self.server.met(number, "after")
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *words):
        """Nothing to say."""


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path, engine, server):
    made = Project(tmp_path, engine)
    made.audience("hooked", "webhook")
    with (tmp_path / ".env").open("a") as env:
        env.write(f"WEBHOOK_URL=http://127.0.0.1:{server.server_port}/in\n")
    made.sql(f"insert into people select i, 'p' || i || '@x', 1 from generate_series(1, {MEMBERS}) r(i)")
    return made


def begun(project):
    project.apart()
    return subprocess.Popen(
        [sys.executable, "-m", "audiences", "sync", "hooked"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("engine", "seed"), each(range(times(1, 20, 3)), range(1, times(1, 20, 3))), indirect=["engine"]
)
def test_killed_in_the_middle_of_a_delivery(project, server, seed):
    """
    Killed at a random call, before it is applied, before it is answered, or a moment later: after one more run the
    receiver has everybody, and nobody came twice but those in flight.
    """
    dice = random.Random(seed)
    at, when = dice.randint(1, MEMBERS // BATCH - 1), ("before", "after", "later")[seed % 3]
    first = begun(project)

    def met(calls, moment):
        if calls == at and moment == when:
            first.kill()
        elif calls == at and moment == "after" and when == "later":
            threading.Timer(dice.random() / 20, first.kill).start()

    server.met = met

    assert first.wait(60) == -9
    time.sleep(0.2)  # what the dead process had written into the wire still arrives
    server.met = lambda calls, moment: None
    assert begun(project).wait(60) == 0
    twice = sum(count - 1 for count in server.came.values())
    assert len(server.there) == len(server.came) == MEMBERS
    assert twice <= IN_FLIGHT * BATCH
    ledger = project.sql("select count(*), count(*) filter (where sure) from audience_sync.ledger_hooked__webhook")
    assert ledger == [(MEMBERS, MEMBERS)]
