"""`audiences serve` as typed: what is due, a signal, a start with many files."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from audiences.cli.serve import Office
from audiences.cli.session import Session
from audiences.cli.signals import Signals
from audiences.schedule import timetable
from audiences.schedule.turn import Turns
from prompt import Project, answering

ENOUGH = 60  # seconds
DAYS = timedelta(days=2)  # until it is due
PEOPLE = [(number, f"p{number}@x", number) for number in range(6)]


@pytest.fixture
def project(tmp_path):
    found = Project(tmp_path)
    found.people(*PEOPLE)
    return found


def state(project, statement):
    """Change the state database behind the worker's back."""
    with sqlite3.connect(project.state_file) as connection:
        connection.execute(statement)


def overdue(project):
    """Let every audience be due: what a day does."""
    state(project, "update timetable set since = since - 100000")


def test_once_runs_what_is_due(project):
    """
    0: `serve --once` runs what is due and nothing else, prints it as `sync` does, and says what comes next.
    """
    fresh = project.types("serve", "--once")
    overdue(project)
    late = project.types("serve", "--once")
    again = project.types("serve", "--once")

    assert (fresh.code, late.code, again.code) == (0, 0, 0)
    assert fresh.out.startswith("nothing is due; next: team at 20")
    assert fresh.out.endswith(" 00:00 UTC\n\n0 changes delivered. Syncs: none.\n")
    assert late.out.endswith("  delivered\n\n6 changes delivered. Syncs: 1 delivered.\n")
    assert again.out.startswith("nothing is due")


def test_once_leaves_to_another_worker_what_it_has(project):
    """
    5: an audience whose turn another worker has is deferred, and still due.
    """
    project.types("serve", "--once")
    overdue(project)
    state(project, "insert into lease values ('schedule:team', 1, 'elsewhere|1||2|3', 9e9)")
    held = project.types("serve", "--once")
    state(project, "update lease set holder = null")

    assert held.code == 5
    assert "team.file is deferred: schedule:team is being run by another worker" in held.err
    assert project.types("serve", "--once").out.endswith("Syncs: 1 delivered.\n")


def test_once_ends_as_sync_ends(project):
    """
    2 and 1: a broken file is told and hides no other; what fails is told, and has had its turn.
    """
    project.audience("broken")
    project.types("serve", "--once")
    (project.folder / "audiences" / "broken.sql").write_text("select 1")
    overdue(project)
    broken = project.types("serve", "--once")
    (project.folder / "audiences" / "broken.sql").unlink()
    overdue(project)
    project.sql("drop table people")
    failed = project.types("serve", "--once")

    assert (broken.code, failed.code) == (2, 1)
    assert "broken.sql:1 has no header" in broken.err
    assert "Syncs: 1 delivered." in broken.out
    assert project.types("serve", "--once").out.startswith("nothing is due")


def test_a_paused_audience_is_not_due(project):
    """
    Neither a paused audience nor a paused sync is run.
    """
    project.define("paused = true")
    project.types("serve", "--once")
    overdue(project)

    assert project.types("serve", "--once").out.startswith("nothing is due; none of them is scheduled")


def test_a_signal_ends_it_well(project):
    """
    0: told to stop while nothing is under way, it says so and is gone in a moment; alerts that nobody told are told.
    """
    alerts = []
    project.sql("drop table people")
    project.types("sync", "--all")

    def heard(told):
        alerts.append(told["type"])
        return 200, {}

    with (
        answering(heard) as where,
        project.started("serve", AUDIENCES_ALERT_WEBHOOK=where["WEBHOOK_URL"]) as process,
    ):
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=ENOUGH)

    assert process.returncode == 0
    assert alerts == ["alert.failed"]
    assert first.startswith("serving 1 audience; next: team at 20")
    assert out.startswith("stopped: ")
    assert "stopping: " in err


def test_it_answers_on_a_port(project):
    """
    With --port it says that it is alive, ready and how it stands; a port that is taken ends it with 2.
    """
    with project.started("serve", "--port", "0") as process:
        port = int(process.stdout.readline().rpartition(" ")[2])
        answers = {path: urlopen(f"http://127.0.0.1:{port}/{path}").read() for path in ("healthz", "readyz", "metrics")}
        taken = project.types("serve", AUDIENCES_PORT=str(port))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=ENOUGH)

    assert answers["healthz"] == b"ok\n"
    assert answers["readyz"] == b"warehouse: ok\nstate: ok\ndefinitions: ok\n"
    assert b'audiences_definitions{state="read"} 1.0\n' in answers["metrics"]
    assert taken.code == 2
    assert f"port {port} cannot be listened on" in taken.err


def test_a_signal_lets_what_is_in_flight_finish(project):
    """
    0: told to stop in the middle of a delivery, it finishes the batch and settles it; the next worker sends the rest.
    """
    arrived, gate, keys = threading.Event(), threading.Event(), []

    def answer(told):
        arrived.set()
        gate.wait(ENOUGH)
        keys.extend(member["key"] for member in told["members"])
        return 200, {}

    project.audience("hooked", "webhook")
    project.small(2)
    project.types("serve", "--once")
    overdue(project)
    with answering(answer) as where:
        with project.started("serve", **where) as process:
            assert arrived.wait(ENOUGH)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            gate.set()
            process.communicate(timeout=ENOUGH)
        sent = len(keys)
        after = project.types("serve", "--once", **where)

    assert process.returncode == 0
    assert 0 < sent < 6
    assert after.code == 0
    assert sorted(keys) == [str(number) for number, *_ in PEOPLE]  # nobody twice


def test_nothing_is_held_while_nothing_is_due(tmp_path, engine):
    """
    Between two turns no session is left at the warehouse's server, and its file is open to nobody, so that another
    process may have it; the state database is in no transaction.
    """
    project = Project(tmp_path, engine)
    project.people(*PEOPLE)
    states = engine.alone() if engine.name == "postgresql" else project.state_url
    with (project.folder / ".env").open("a") as env:
        env.write(f"AUDIENCES_STATE_URL={states.render_as_string(hide_password=False)}\n")
    session = Session(project.folder)
    with Signals(60.0) as signals, session.state() as known:
        turns = Turns(known, Office(session, known, signals).hired, signals.stopped, lambda: datetime.now(UTC) + DAYS)
        [(audience, bindings)] = session.chosen().audiences
        timetable.begin(known, [audience], datetime.now(UTC))

        [result] = turns.take(audience, bindings)

        assert result.outcome == "delivered"
        assert not held(project, states)


def held(project, states):
    """What is held, by this process or at its server, which takes its moment to see a session end."""
    if project.engine.name == "duckdb":
        project.apart()
        return [link for fd in Path("/proc/self/fd").iterdir() if "w.duckdb" in (link := os.path.realpath(fd))]
    others = (
        "select datname, state, query from pg_stat_activity where pid <> pg_backend_pid() and"
        f" (datname = current_database() or (datname = '{states.database}' and state <> 'idle'))"
    )
    end = time.monotonic() + 5
    while (found := project.sql(others)) and time.monotonic() < end:
        time.sleep(0.01)
    return found
