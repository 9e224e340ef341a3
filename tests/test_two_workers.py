"""Two real workers of one sync, on a PostgreSQL that holds warehouse and state: one is stopped beyond its lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

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


@pytest.fixture
def database(databases):
    url = databases()
    rows(url, "create table people (id bigint, email varchar, nps integer)")
    rows(url, f"insert into people select i, 'p' || i || '@x', 1 from generate_series(1, {PEOPLE}) i")
    return url


@pytest.fixture
def project(tmp_path, database):
    (tmp_path / "audiences").mkdir()
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "webhook.py").write_text(SMALL)
    (tmp_path / "audiences" / "team.sql").write_text(HEADER.replace("{more}", "-- [guard]\n-- removed = 1.0\n"))
    shown = database.render_as_string(hide_password=False)
    (tmp_path / ".env").write_text(
        f"AUDIENCES_WAREHOUSE_URL={shown}\nAUDIENCES_STATE_URL={shown}\nWEBHOOK_SECRET={SECRET}\n"
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


def ledger(database):
    return rows(database, 'select "key", ident, sure from audience_sync.ledger_team__webhook order by 1')


def test_a_stopped_worker_that_wakes_writes_and_sends_nothing(project, database):
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
            rows(database, "delete from people where id <= 10")
            rows(database, "update lease set until = 0")  # what a minute does
            second = worker(project, where)
            out, err = second.communicate(timeout=ENOUGH)
            assert second.returncode == 0, out + err
            calls, kept = len(receiver.calls), ledger(database)
            receiver.open.set()
            first.send_signal(signal.SIGCONT)
            _, said = first.communicate(timeout=ENOUGH)
        finally:
            receiver.open.set()
            first.kill()
        woken_calls, after = len(receiver.calls), ledger(database)
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
