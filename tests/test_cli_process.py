"""`audiences` as a process: signals, a reader that goes away, a terminal that shows a bar."""

from __future__ import annotations

import io
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, redirect_stderr, suppress

import pytest

from audiences.cli.progress import Progress
from engines import each, on
from prompt import Project, answering
from scale import times

PEOPLE = [(number, f"p{number}@x", number) for number in range(6)]
ENOUGH = 60  # seconds
SECOND = {signal.SIGTERM: 143, signal.SIGINT: 130}


def or_both(number):
    """This signal, which the other engine is not sent; in CI both."""
    return times([number], [*SECOND], [*SECOND])


class Gate:
    """A receiver that lets nothing through before it is opened."""

    def __init__(self):
        self.called, self.open = threading.Event(), threading.Event()
        self.keys: list[str] = []

    def __call__(self, told: dict) -> tuple[int, dict]:
        self.called.set()
        self.open.wait(ENOUGH)
        self.keys += [member["key"] for member in told["members"]]
        return 200, {}


@pytest.fixture
def gate():
    found = Gate()
    yield found
    found.open.set()


@pytest.fixture
def project(tmp_path, engine):
    found = Project(tmp_path, engine)
    found.people(*PEOPLE)
    found.audience("hooked", "webhook")
    found.small(2)
    return found


@pytest.mark.parametrize(("engine", "number"), each(or_both(signal.SIGTERM), [signal.SIGINT]), indirect=["engine"])
def test_a_signal_lets_what_is_in_flight_finish(project, gate, number):
    """
    5: at the first SIGTERM or Ctrl-C the batch in flight is finished and settled, what is left is named, and the next
    run goes on.
    """
    with answering(gate) as where:
        with project.started("sync", "--all", **where) as process:
            assert gate.called.wait(ENOUGH)
            process.send_signal(number)
            assert process.stderr.readline().startswith("stopping: ")
            gate.open.set()
            out, _ = process.communicate(timeout=ENOUGH)
        settled = project.sql("select key from audience_sync.ledger_hooked__webhook where sure")
        there = sorted(int(key) for key in gate.keys)
        after = project.types("sync", "--all", **where)

    assert process.returncode == 5
    assert 0 < len(there) < len(PEOPLE)
    assert sorted(int(key) for (key,) in settled) == there
    assert (
        "  stopped by a signal; the next run goes on from here\nteam.file was not begun: a signal came first\n" in out
    )
    assert out.endswith("Syncs: 1 stopped, 1 not begun.\n")
    assert after.code == 0
    assert after.out.endswith("Syncs: 2 delivered.\n")
    assert sorted(gate.keys) == [str(number) for number, *_ in PEOPLE]  # nobody twice


@pytest.mark.parametrize(("engine", "number"), each(or_both(signal.SIGINT), [signal.SIGTERM]), indirect=["engine"])
def test_a_second_signal_leaves_at_once(project, gate, number):
    """
    130 or 143: whoever asks twice does not wait, and the next run goes on from what was acknowledged.
    """
    with answering(gate) as where:
        with project.started("sync", "hooked", **where) as process:
            assert gate.called.wait(ENOUGH)
            process.send_signal(number)
            assert process.stderr.readline().startswith("stopping: ")
            process.send_signal(number)
            assert process.wait(ENOUGH) == SECOND[number]
        gate.open.set()
        after = project.types("sync", "hooked", **where)

    assert after.code == 0
    assert len(project.sql("select * from audience_sync.ledger_hooked__webhook where sure")) == 6
    assert set(gate.keys) == {str(number) for number, *_ in PEOPLE}


@on("duckdb")
def test_no_sync_of_an_audience_begins_after_a_signal(project, gate):
    """
    5: of an audience with two syncs, the second is not begun once a signal came, and is named.
    """
    path = project.folder / "audiences" / "hooked.sql"
    path.write_text(path.read_text().replace("-- ///\nselect", '-- [sync.file]\n-- list = "M"\n-- ///\nselect'))
    path.write_text(path.read_text().replace('list = "M"', 'list = "M"\n-- send = ["email"]'))
    with answering(gate) as where, project.started("sync", "hooked", **where) as process:
        assert gate.called.wait(ENOUGH)
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("stopping: ")
        gate.open.set()
        out, _ = process.communicate(timeout=ENOUGH)

    assert process.returncode == 5
    assert "hooked.file was not begun: a signal came first\n" in out
    assert not (project.folder / "lists" / "M.csv").exists()


@on("duckdb")
def test_the_grace_ends_what_does_not_finish(project, gate):
    """
    143: a worker that was told to stop is gone after AUDIENCES_GRACE, finished or not.
    """
    with answering(gate) as where, project.started("sync", "hooked", AUDIENCES_GRACE="0.2", **where) as process:
        assert gate.called.wait(ENOUGH)
        process.send_signal(signal.SIGTERM)

        assert process.wait(ENOUGH) == 143


@on("duckdb")
def test_a_signal_ends_a_wait(project, gate):
    """
    5: who waits for a host that asks for patience does not wait beyond a signal.
    """
    gate.open.set()
    with (
        answering(lambda told: (gate(told) and 503, {})) as where,
        project.started("sync", "hooked", **where) as process,
    ):
        assert gate.called.wait(ENOUGH)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=ENOUGH)

    assert process.returncode == 5
    assert "a signal ended the wait for a host" in err


@on("duckdb")
def test_a_reader_that_goes_away_stops_no_sync(project):
    """
    0: `audiences sync --all | head -1` delivers everything, whoever reads of it.
    """
    with answering(lambda told: (200, {})) as where, project.started("sync", "--all", **where) as process:
        process.stdout.close()
        _, err = process.communicate(timeout=ENOUGH)

    assert process.returncode == 0
    assert "error" not in err
    assert len(project.written()) == 6


def begun(state):
    """Whether a state database knows of a run; it may not be there yet, nor its tables."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as database:
        return database.execute("select count(*) from run").fetchone()[0]
    return 0


def test_a_long_query_hears_a_signal(project):
    """
    A signal is heard while the warehouse works on a query: the second one ends it at once.
    """
    path = project.folder / "audiences" / "team.sql"
    numbers = "generate_series(1, 100000)"
    long = f"select count(*) from {numbers} a(i), {numbers} b(j) where i % 7 = j % 5"
    path.write_text(path.read_text().replace("from people", f"from people where ({long}) > 0"))
    with project.started("sync", "team") as process:
        while not begun(project.state_file):  # from there on a first signal does not keep the query from being asked
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline().startswith("stopping: ")
        process.send_signal(signal.SIGTERM)

        assert process.wait(ENOUGH) == 143


LOCKED = """
import os, signal
from audiences.cli.signals import Signals
with Signals(60) as signals:
    with signals.asked._cond:
        os.kill(os.getpid(), signal.SIGTERM)
    signals.asked.wait()
"""


def test_a_signal_waits_for_no_lock_of_what_it_interrupts():
    """
    One that comes while the main thread holds the lock of the very event that tells of it is heard all the same.
    """
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", LOCKED], env=where, capture_output=True, text=True, timeout=ENOUGH)

    assert (ended.returncode, ended.stderr.partition(":")[0]) == (0, "stopping")


@contextmanager
def terminal():
    """A terminal as stderr; what it has shown so far, up to a last line that says so."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stderr, os.fdopen(ours, "rb", 0) as screen, redirect_stderr(stderr):

        def shown() -> str:
            print("THE END", file=stderr, flush=True)
            found = b""
            while not found.endswith(b"THE END\r\n"):  # a terminal hands over what it got when it likes
                found += screen.read(4000)
            return found.decode()

        yield shown


def test_long_work_shows_a_bar():
    """
    Where a person watches, work of more than two seconds shows how far it is; what is printed next begins a new line.
    """
    with terminal() as shown:
        progress = Progress(clock=iter([0, 1, 3, 4]).__next__)
        for rows in (10, 20, 20):
            progress.told("team.file", rows, 100)
        progress.clear()
        found = shown()

    assert "10/100" not in found
    assert "team.file  [####" in found
    assert found.index("30/100") < found.index("50/100")
    assert found.endswith("\nTHE END\r\n")


def test_short_work_shows_none():
    """
    Work that is done before anyone wonders leaves no trace; each sync has its own two seconds.
    """
    with terminal() as shown:
        progress = Progress(clock=iter([0, 1, 10, 11]).__next__)
        progress.told("team.file", 100, 100)
        progress.told("other.file", 100, 100)
        progress.clear()

        assert shown() == "THE END\r\n"


def test_nobody_watches():
    """
    Where stderr is no terminal, no bar is drawn.
    """
    with redirect_stderr(io.StringIO()) as stderr:
        progress = Progress(clock=iter([0, 9, 18]).__next__)
        progress.told("team.file", 10, 100)
        progress.told("team.file", 20, 100)
        progress.clear()

    assert stderr.getvalue() == ""
