"""Two real workers of one sync, whose warehouse and state are on servers: one is stopped beyond its lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engines import HOLDERS, started
from prompt import answering
from states import rows
from world import HEADER, SECRET

ENOUGH = 60  # seconds
PEOPLE = 40
SMALL = """from audiences import Limits
from audiences.connectors import find, shipped

class Small(find("webhook", [shipped("connectors")])):
    limits = Limits(batch=2)
"""


class Receiver:
    """A list by key. The third call is kept waiting until `open` is set, and then answered as any other."""

    def __init__(self):
        self.there, self.calls, self.lock = {}, [], threading.Lock()
        self.called, self.open = threading.Event(), threading.Event()

    def __call__(self, told):
        with self.lock:
            self.calls.append(told)
            for member in told["members"]:
                if told["verb"] == "upsert":
                    self.there[member["key"]] = member["fields"]
                else:
                    self.there.pop(member["key"], None)
            number = len(self.calls)
        if number == 3:
            self.called.set()
            self.open.wait(ENOUGH)
        return 200, {}


class Servers:
    """A warehouse of people, and a state: one database where that is PostgreSQL."""

    def __init__(self, engine, url, state):
        self.engine, self.url, self.state = engine, url, state
        self.schema = f"{url.database}_sync" if engine.name == "mariadb" else "audience_sync"
        self.sql("create table people (id bigint, email varchar, nps integer)")
        engine.fill(url, "people", [(n, f"p{n}@x", 1) for n in range(1, PEOPLE + 1)])

    def sql(self, statement):
        with self.engine.open(self.url) as connection:
            connection.execute(statement)

    def ledger(self):
        with self.engine.ours(self.url) as connection:
            kept = connection.execute('select "key", ident, sure from audience_sync.ledger_team__webhook order by 1')
            return kept.fetchall()


@pytest.fixture(params=[name for name in HOLDERS if name in ("postgresql", "mariadb")])
def servers(request, tmp_path, databases):
    engine = started(request, request.param)
    url = engine.new(tmp_path)
    return Servers(engine, url, databases() if engine.name == "mariadb" else url)


@pytest.fixture
def project(tmp_path, servers):
    (tmp_path / "audiences").mkdir()
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "webhook.py").write_text(SMALL)
    (tmp_path / "audiences" / "team.sql").write_text(HEADER.replace("{more}", "-- [guard]\n-- removed = 1.0\n"))
    warehouse, state = (each.render_as_string(hide_password=False) for each in (servers.url, servers.state))
    (tmp_path / ".env").write_text(
        f"AUDIENCES_WAREHOUSE_URL={warehouse}\nAUDIENCES_STATE_URL={state}\nAUDIENCES_SCHEMA={servers.schema}\n"
        f"WEBHOOK_SECRET={SECRET}\n"
    )
    return tmp_path


def worker(project, where):
    return subprocess.Popen(
        [sys.executable, "-m", "audiences", "sync", "team"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "src"), **where},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_stopped_worker_that_wakes_writes_and_sends_nothing(project, servers):
    """
    A worker is stopped (SIGSTOP) while a call of its is in flight; its lease ends, the audience changes, and another
    worker takes over and delivers. Woken again, the first sends nothing more, leaves the ledger as it is, and says that
    it was taken over; one more run finds nothing to do, and list, ledger and audience are equal.
    """
    receiver = Receiver()
    with answering(receiver) as where:
        first = worker(project, where)
        try:
            assert receiver.called.wait(ENOUGH)
            first.send_signal(signal.SIGSTOP)
            servers.sql("delete from people where id <= 10")
            rows(servers.state, "update lease set until = 0")  # what a minute does
            second = worker(project, where)
            out, err = second.communicate(timeout=ENOUGH)
            assert second.returncode == 0, out + err
            calls, kept = len(receiver.calls), servers.ledger()
            receiver.open.set()
            first.send_signal(signal.SIGCONT)
            _, said = first.communicate(timeout=ENOUGH)
        finally:
            receiver.open.set()
            first.kill()
        woken_calls, after = len(receiver.calls), servers.ledger()
        third = worker(project, where)
        last, _ = third.communicate(timeout=ENOUGH)

    assert (woken_calls, after) == (calls, kept)
    assert first.returncode == 5
    assert "team.webhook was taken over by another worker" in said
    assert third.returncode == 0
    assert len(receiver.calls) == calls
    assert after == [(key, f"p{key}@x", True) for key in range(11, PEOPLE + 1)]
    assert receiver.there.keys() == {str(key) for key in range(11, PEOPLE + 1)}
    assert "unchanged" in last
