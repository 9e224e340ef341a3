"""What an audience may cost its warehouse: the engine breaks off what takes longer, and the error says the way out."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import timedelta
from threading import Timer

import pytest

from audiences import definition, project, run
from audiences.cli import plan, show
from audiences.errors import Deferred, DefinitionError, WarehouseError
from audiences.warehouse import Warehouse
from audiences.warehouse.words import interrupting
from engines import Closed, Onlooker, ReadOnly, Seen, on
from mariadb import MariaDB
from test_redshift import Redshift, near  # noqa: F401 (a fixture for all)
from world import HEADER, World

MOMENT = timedelta(milliseconds=30)
ENDLESS = {
    "duckdb": "select count(*) from range(1000000000000) a(x) where x % 7 = 8",
    "postgresql": "select count(*) from generate_series(1, 1000000000000) a(x) where x % 7 = 8",
}
# What is only read: its dialect -> what takes for ever, and what takes longer than a moment.
RECURSIVE = "with recursive n(x) as (select 1 union all select x + 1 from n) select"
MANY = ", ".join(f"information_schema.collations {name}" for name in "abcdef")
ASKED = {
    "duckdb": (ENDLESS["duckdb"], "select sleep_ms(60)"),
    **dict.fromkeys(("postgres", "redshift"), (ENDLESS["postgresql"], "select pg_sleep(0.06)")),
    "sqlite": (f"{RECURSIVE} count(*) from n", f"{RECURSIVE} count(*) from (select x from n limit 500000)"),
    "mysql": (f"select count(*) from {MANY}", "select sleep(0.06)"),
}
STREAMS = {
    "duckdb": "select x from range(1000000000000) a(x)",
    "sqlite": f"{RECURSIVE} x from n",
    "mysql": f"select 1 as x from {MANY}",
}
STOPPED = (
    "the warehouse took longer than the .* that \\[limits\\] allows, and was stopped\n  do: make the audience's query"
)


@pytest.fixture
def world(tmp_path, engine):
    world = World(tmp_path, engine=engine)
    world.people((1, "a@x"))
    return world


@pytest.fixture
def warehouse(world):
    with Warehouse(world.url, "audience_sync") as warehouse:
        yield warehouse


def test_what_takes_too_long_is_broken_off(warehouse, engine):
    """
    A statement over its time is ended by the engine, also inside of a transaction; the connection goes on, and what
    comes after the block may take its time.
    """
    for _ in range(2):
        with pytest.raises(WarehouseError, match=STOPPED), warehouse.bounded(MOMENT), warehouse.transaction():
            warehouse.run(ENDLESS[engine.name])
    longer = {"duckdb": "sleep_ms(60)", "postgresql": "pg_sleep(0.06)"}[engine.name]

    assert warehouse.run(f"select 1, {longer}")[0][0] == 1
    if engine.name == "postgresql":
        assert warehouse.run("show statement_timeout") == [("0",)]


@on("duckdb")
def test_what_begins_late_is_broken_off_too(warehouse, engine):
    """
    Time may be up between the clock's start and the statement's: what interrupts nothing comes again.
    """
    with interrupting(warehouse.connection, timedelta(milliseconds=1)):
        time.sleep(0.02)
        with pytest.raises(Deferred, match="interrupted"):
            warehouse.run(ENDLESS[engine.name])


def test_what_ends_in_time_is_left_alone(warehouse, engine):
    """
    A limit that is not reached changes nothing, and neither does none; an error of another kind stays what it is.
    """
    with warehouse.bounded(timedelta(days=24)), warehouse.bounded(None):
        assert warehouse.run("select 1") == [(1,)]
    with pytest.raises(WarehouseError, match="refuses a statement"), warehouse.bounded(timedelta(days=1)):
        warehouse.run("select nothing from nowhere")


def test_who_else_ends_a_statement_is_not_blamed_on_the_limit(warehouse, engine):
    """
    A statement that somebody cancelled before its time was up is deferred, as without a limit.
    """
    driver = warehouse.connection.connection.driver_connection
    Timer(MOMENT.total_seconds(), driver.interrupt if engine.name == "duckdb" else driver.cancel).start()

    with pytest.raises(Deferred) as caught, warehouse.bounded(timedelta(days=1)):
        warehouse.run(ENDLESS[engine.name])

    assert "[limits]" not in str(caught.value)


@pytest.fixture
def read(request, tmp_path):
    """A warehouse that is only read: its dialect, and what reads it."""
    needs = {MariaDB: "mariadb_server", Onlooker: "databases", Redshift: "databases"}.get(request.param)
    engine = ReadOnly(request.param(*([request.getfixturevalue(needs)] if needs else [])))
    with engine.warehouse(engine.new(tmp_path)) as warehouse:
        yield engine.dialect, warehouse


@pytest.mark.parametrize("read", [Closed, Onlooker, Redshift, Seen, MariaDB], indirect=True)
def test_a_source_holds_to_it(read):
    """
    What is only read is broken off, too, and what comes after the block may take its time.
    """
    dialect, warehouse = read
    endless, longer = ASKED[dialect]
    with pytest.raises(WarehouseError, match=STOPPED), warehouse.bounded(MOMENT):
        warehouse.asked(endless)

    assert len(warehouse.asked(longer)) == 1


@pytest.mark.parametrize("read", [Closed, Seen, MariaDB], indirect=True)
def test_a_stream_that_does_not_end_is_broken_off(read):
    """
    The rows of one statement may take no longer than it, from the first to the last.
    """
    dialect, warehouse = read
    with pytest.raises(WarehouseError, match=STOPPED), warehouse.bounded(MOMENT):
        warehouse.land('"landed"', STREAMS[dialect], {"x": "BIGINT"})

    assert [*warehouse.asked("select 1")] == [(1,)]


@pytest.fixture
def slow(world, engine):
    """An audience that takes for ever, its sync, and that it may take no longer than a moment."""
    world.sync()
    path = world.folder / "audiences" / "team.sql"
    path.write_text(path.read_text().replace("from people", f"from people where id > ({ENDLESS[engine.name]})"))
    found = project.load(world.folder, engine.dialect)
    return replace(found.audiences[0], timeout=MOMENT), found.bindings["team.webhook"]


def test_an_audience_over_its_time_sends_nothing(world, slow):
    """
    A query that takes longer than its audience allows fails each of its syncs, with or without a table for all of them;
    nothing is sent, and the next run is as ever.
    """
    calls = len(world.receiver.calls)
    audience, binding = slow
    with world.worker() as worker:
        [alone] = run.audience(worker, audience, [binding])
        staged = run.audience(worker, audience, [binding] * 2)

    for result in (alone, *staged):
        assert re.search(STOPPED, str(result.error))
        assert result.outcome == "failed"
    assert len(world.receiver.calls) == calls
    world.define()
    assert world.sync().outcome == "unchanged"


def test_whoever_looks_is_kept_from_waiting_too(world, slow):
    """
    `plan` and `show` ask no longer than the audience allows.
    """
    audience, binding = slow
    with Warehouse(world.url, "audience_sync") as warehouse:
        shown = plan.one(warehouse, None, audience, binding, plan.Wish(()))

        assert re.search(STOPPED, str(shown.error))
        with pytest.raises(WarehouseError, match=STOPPED):
            show.members(warehouse, audience)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ('timeout = "10 minutes"', None),
        ('timeout = "10"', "team.sql:11 limits.timeout '10' is no span of time\n  do: write a number and a unit"),
        ('timeout = "4 weeks"', 'limits.timeout is over 24 days\n  do: write "24 days" at most'),
        ("bytes = 1000", "team.sql:11 limits.bytes is for BigQuery, and this warehouse speaks duckdb\n  do: leave it"),
        ("byte = 1000", "team.sql:11 has an unknown key: limits.byte\n  do: did you mean bytes?"),
    ],
)
def test_a_limit_is_read_or_refused(tmp_path, limits, said):
    """
    What no engine here can hold to is refused where it is written, and so is what is no limit.
    """
    lines = f"-- [limits]\n-- {limits}\n"
    (tmp_path / "team.sql").write_text(HEADER.replace("{more}", lines))

    if said is None:
        assert definition.load(tmp_path / "team.sql", "duckdb").timeout == timedelta(minutes=10)
    else:
        with pytest.raises(DefinitionError, match=re.escape(said)):
            definition.load(tmp_path / "team.sql", "duckdb")
