"""The layout of the state database: an older one is brought to the newest in place, whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, make_url

from audiences import cli, state
from audiences.errors import WarehouseError
from audiences.state import State, migrate
from states import layout_1, rows
from world import World

OPEN = """
import sys
from sqlalchemy.engine import make_url
from audiences.state import State
for _ in range(2):
    State(make_url(sys.argv[1])).close()
    print(*sys.modules)
"""
# For each number and URL a process that kills itself, as a power cut would, right after so many statements. What all of
# them load is loaded once.
KILLED = """
import os, signal, sys
import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url
from audiences.state import State, migrate

seen = []

@event.listens_for(Engine, "after_cursor_execute")
def after(connection, cursor, statement, *_):
    if statement.lstrip().lower().startswith(("create", "alter", "drop", "insert", "update", "delete")):
        seen.append(statement)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGKILL)

for number, url in zip(sys.argv[1::2], sys.argv[2::2]):
    at = int(number)
    if not os.fork():
        State(make_url(url)).close()
        os._exit(0)
    print(-os.waitstatus_to_exitcode(os.wait()[1]))
"""
WERE = {
    "lease": [("team.webhook", 7, None, 0.0)],
    "opened": [("team.webhook", 7, 40)],
    "verdict": [("team.webhook", 7, 0, 19, "ok")],
    "refusal": [("team.webhook", "k", "no such person", 2)],
    "run": [("r1", "team.webhook", 7, "f", 1.5, 2.5, "delivered", None, 20, 20, 0, 0, 0, 0)],
}


def version(url):
    return int(rows(url, "select value from about where name = 'version'")[0][0])


def tables(url):
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def process(code, *words):
    """What a Python of its own prints, line by line."""
    shown = [each.render_as_string(hide_password=False) if isinstance(each, URL) else str(each) for each in words]
    done = subprocess.run([sys.executable, "-c", code, *shown], capture_output=True, text=True)
    return done.stdout.splitlines()


def kept(url):
    """What the old tables hold, in the columns that they had."""
    return {name: [row[: len(WERE[name][0])] for row in rows(url, f"select * from {name}")] for name in WERE}


@pytest.fixture
def old(state_url):
    return layout_1(state_url)


def test_an_old_database_is_brought_to_the_newest_layout_in_place(old):
    """
    What release 0.1.0 left keeps its id and every row, and has the tables of today.
    """
    opened = State(old)
    opened.close()

    assert opened.id == "the-id-of-old"
    assert version(old) == state.VERSION
    assert kept(old) == WERE
    assert tables(old) == set(state.tables.tables)


@pytest.mark.parametrize("made", ["new", "from layout 1", "from nothing, by revisions"])
def test_however_it_came_about_a_layout_is_the_same(state_url, made):
    """
    A new database, a migrated one, and one that went through every revision are what the tables in the code say.
    """
    engine = create_engine(state_url)
    if made == "from nothing, by revisions":
        with engine.begin() as connection:
            migrate.upgrade(connection, "base")
    else:
        State(layout_1(state_url) if made == "from layout 1" else state_url).close()
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), state.tables)
    engine.dispose()

    assert found == []


def test_the_first_revision_is_the_layout_that_was_shipped(state_url, databases, tmp_path):
    """
    The first revision makes the columns, keys and index that release 0.1.0 made.
    """
    other = databases() if state_url.get_backend_name() == "postgresql" else state_url.set(database=f"{tmp_path}/o")
    engine = create_engine(other)
    with engine.begin() as connection:
        migrate.upgrade(connection, "base", "1")
    engine.dispose()

    assert shape(other) == shape(layout_1(state_url))


def shape(url):
    engine = create_engine(url)
    seen = inspect(engine)
    found = {
        name: (
            [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in seen.get_columns(name)],
            seen.get_pk_constraint(name)["constrained_columns"],
            [(index["name"], index["column_names"]) for index in seen.get_indexes(name)],
        )
        for name in seen.get_table_names()
    }
    engine.dispose()
    return found


def test_the_newest_revision_is_the_version_that_is_compared():
    """
    Who adds a revision counts VERSION up; there is one line of revisions.
    """
    scripts = ScriptDirectory(migrate.FOLDER, version_locations=[migrate.FOLDER])

    assert scripts.get_heads() == [str(state.VERSION)]


def test_a_database_that_is_up_to_date_loads_no_alembic(state_url):
    """
    Neither a new database nor one of today's layout costs the start what Alembic costs; an old one does.
    """
    first, again = process(OPEN, state_url)
    for table in state.tables.tables:
        rows(state_url, f"drop table {table}")
    layout_1(state_url)
    old, _ = process(OPEN, state_url)

    assert "audiences.state" in first.split()
    assert ["alembic" in modules.split() for modules in (first, again, old)] == [False, False, True]
    assert version(state_url) == state.VERSION


def test_workers_that_start_at_once_migrate_once(old):
    """
    Eight workers meet an old database: each opens it, one migrates it, nothing is lost.
    """
    assert together(old, 8) == ["the-id-of-old"] * 8
    assert version(old) == state.VERSION
    assert kept(old) == WERE


def test_workers_that_start_at_once_make_one_database(state_url):
    """
    Eight workers meet none: one makes it, and all know it by one id.
    """
    ids = together(state_url, 8)

    assert len(ids) == 8
    assert {(found,) for found in ids} == set(rows(state_url, "select value from about where name = 'id'"))


def together(url, workers):
    """The ids that so many threads find, each with a connection of its own."""
    start, ids = threading.Barrier(workers, timeout=30), []

    def open_it():
        start.wait()
        opened = State(url)
        ids.append(opened.id)
        opened.close()

    threads = [threading.Thread(target=open_it) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ids


def test_killed_half_way_it_is_as_it_was(state_url, tmp_path, databases):
    """
    Killed after any statement of the migration, the database is the old one, whole; the next start migrates it.
    """
    sqlite = state_url.get_backend_name() == "sqlite"
    old = {
        at: layout_1(state_url.set(database=str(tmp_path / f"{at}.sqlite")) if sqlite else databases())
        for at in (1, 3, 4, 7, 10, 14, 17)
    }
    before = tables(old[1])
    killed = process(KILLED, *(word for each in old.items() for word in each))

    assert killed == [str(int(signal.SIGKILL))] * len(old)
    for url in old.values():
        assert (tables(url), version(url)) == (before, 1)
        assert kept(url) == WERE
        State(url).close()
        assert (tables(url), version(url)) == (set(state.tables.tables), state.VERSION)


def test_killed_while_it_is_made_there_is_none(state_url):
    """
    Killed while a new database is made, there is no table; whoever looks finds none, and the next start makes it.
    """
    assert process(KILLED, 5, state_url) == [str(int(signal.SIGKILL))]
    assert tables(state_url) == set()
    assert not state.exists(state_url)
    State(state_url).close()
    assert state.exists(state_url)


def test_a_newer_layout_is_refused_on_either_database(state_url):
    """
    What a newer release wrote is not touched, by whoever works and by whoever looks.
    """
    State(state_url).close()
    rows(state_url, "update about set value = '7' where name = 'version'")

    for looks in (False, True):
        with pytest.raises(WarehouseError, match=rf"7, this one knows {state.VERSION}\)\n  do: install that release"):
            State(state_url, looks=looks)
    assert version(state_url) == 7


def test_who_looks_migrates_nothing(old):
    """
    A database that is only looked at keeps its layout, and what it says can be read.
    """
    looked = State(old, looks=True)
    looked.close()

    assert looked.id == "the-id-of-old"
    assert (version(old), "token" in tables(old)) == (1, False)


@pytest.mark.parametrize("words", [("plan",), ("sync", "--dry-run"), ("status",), ("refused",)])
def test_commands_that_look_run_no_migration(tmp_path, words):
    """
    plan, status and refused read an old state database as it is.
    """
    world = World(tmp_path)
    with (tmp_path / ".env").open("a") as env:
        env.write("AUDIENCES_WAREHOUSE_URL=duckdb:///w.duckdb\nAUDIENCES_STATE_URL=sqlite:///state/s.sqlite\n")
    world.people((1, "a@x"))
    world.state_file.parent.mkdir(exist_ok=True)
    url = layout_1(make_url(f"sqlite:///{world.state_file}"))
    answer = CliRunner().invoke(cli.root, ["-C", str(tmp_path), *words], standalone_mode=False)

    assert answer.return_value == 0, answer.output
    assert (version(url), "token" in tables(url)) == (1, False)
