"""PostgreSQL as the warehouse: what arrives from it, what it refuses and in which words, and two workers on it."""

from __future__ import annotations

import threading
import time

import pytest
from click.testing import CliRunner
from psycopg.types.datetime import (
    DateLoader,
    IntervalLoader,
    TimeLoader,
    TimestampLoader,
    TimestamptzLoader,
    TimetzLoader,
)
from sqlalchemy.engine import make_url

from audiences import cli, control, definition
from audiences.errors import Deferred, DefinitionError, LeaseLost, WarehouseError
from audiences.warehouse import Conflict, Warehouse, dialect
from engines import PostgreSQL
from world import HEADER, World

NAME, TABLE = "team.webhook", "team__webhook"
KINDS = (DateLoader, TimeLoader, TimetzLoader, TimestampLoader, TimestamptzLoader, IntervalLoader)


@pytest.fixture
def world(tmp_path, databases):
    return World(tmp_path, engine=PostgreSQL(databases))


@pytest.fixture
def reader(world):
    """The warehouse's URL for a role that has no rights yet, but to connect."""
    world.sql("drop role if exists reader", "create role reader login", "revoke all on schema public from public")
    yield world.url.set(username="reader")
    world.sql("drop owned by reader cascade", "drop role reader")


def as_reader(world, reader):
    """Run as that role; what went wrong, in words."""
    owner, world.url = world.url, reader
    try:
        error = world.results()[0].error
        return str(error) if error else "delivered"
    except (WarehouseError, Deferred) as error:
        return str(error)
    finally:
        world.url = owner


@pytest.mark.parametrize("text", ["like 'a%'", "~ '^a' and ':x' <> '%(y)s'", "<> 'A\\' and '%' <> ':1'"])
def test_the_query_reaches_the_server_as_it_is_written(world, text):
    """
    Nothing in an audience's SQL is taken for a parameter or an escape.
    """
    world.define(text=HEADER.replace("from people", f"from people where email {text}"))
    world.people((1, "a@x"))

    assert world.plan().added == 1
    assert world.sync().delivered == 1


def test_a_database_that_reads_backslashes_otherwise(world):
    """
    A text is read by the server as it was when it was checked, whatever the database's own setting is.
    """
    world.sql(f"alter database {world.url.database} set standard_conforming_strings = off")
    world.define(text=HEADER.replace("from people", "from people where email <> 'A\\' and '%' <> ':1'"))
    world.people((1, "a@x"))

    assert world.sync().delivered == 1


def test_what_is_written_at_one_moment_is_counted_at_that_moment(world):
    """
    The rows of a first outbox and their counts are of one snapshot, also while others write.
    """
    world.people((1, "a@x"))
    with Warehouse(world.url, "audience_sync") as warehouse, warehouse.transaction(snapshot=True):
        counts = []
        for _ in range(2):
            counts += warehouse.run("select count(*) from people")
            world.sql("insert into people values (2, 'b@x', 1)")

    assert counts == [(1,), (1,)]


def test_the_tables_that_are_searched_by_key_have_an_index(world):
    """
    A single member is found in ledger and refused without reading the whole, and an outbox in the history; the index
    goes with the table's name.
    """
    world.people((1, "a@x"))
    world.sync()
    world.sync()
    found = world.sql("select tablename from pg_indexes where schemaname = 'audience_sync' order by 1")

    assert found == [("history_team__webhook",), ("ledger_team__webhook",), ("refused_team__webhook",)]


def test_tables_that_are_empty_yet_are_not_planned_for_as_empty(world):
    """
    A table is not measured before it has rows; or the statement that fills it would take the square of their number.
    """
    world.people((1, "a@x"))
    world.sync()
    ours = "select relname, reltuples from pg_class where relkind = 'r' and relname like '%_team__webhook'"
    known = dict(world.sql(ours))

    assert {known[f"{kind}_{TABLE}"] for kind in ("ledger", "refused", "history")} == {-1}


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (None, 'create schema audience_sync authorization "reader"'),
        ("create schema audience_sync", 'grant usage, create on schema audience_sync to "reader"'),
        ("create schema audience_sync authorization reader", 'grant usage on schema public to "reader"'),
        ("grant usage on schema public to reader", 'grant select on people to "reader"'),
        ("grant select on people to reader", "delivered"),
    ],
)
def test_a_right_that_is_missing_is_named(world, reader, right, said):
    """
    A role that may not do what it must hears which grant it lacks, one after the other, until it has them all.
    """
    world.people((1, "a@x"))
    world.define(text=HEADER.replace("from people", "from public.people"))
    rights = [
        "create schema audience_sync authorization reader",
        "grant usage on schema public to reader",
        "grant select on people to reader",
    ]
    world.sql(*rights[: rights.index(right)] if right in rights else [], *[right] if right else [])

    assert said in as_reader(world, reader)


def test_tables_of_another_role_are_named(world, reader):
    """
    A schema whose tables were made by another role: the statement that hands them over is told.
    """
    world.people((1, "a@x"))
    world.sync()
    world.sql(
        "grant all on schema audience_sync, public to reader",
        "grant all on all tables in schema audience_sync, public to reader",
        "alter table people alter column nps type bigint",
    )

    said = as_reader(world, reader)

    assert "must be owner of table" in said
    assert 'owner to "reader"' in said


def test_staging_needs_a_right_of_its_own(world, reader):
    """
    Two syncs share one evaluation in a temporary table, for which there is a grant.
    """
    world.define('[sync.second]\nconnector = "webhook"\nlist = "M"\nsend = ["email"]')
    world.people((1, "a@x"))
    world.sql(
        "grant usage on schema public to reader",
        "grant select on people to reader",
        f"revoke temporary on database {world.url.database} from public",
        "create schema audience_sync authorization reader",
    )

    assert f'grant temporary on database "{world.url.database}" to "reader"' in as_reader(world, reader)


def test_a_read_only_database_says_so(world):
    """
    A standby cannot be written.
    """
    world.people((1, "a@x"))
    world.sql(f"alter database {world.url.database} set default_transaction_read_only = on")

    with pytest.raises(WarehouseError, match="is read-only"):
        world.results()


def test_a_dry_run_needs_no_right_to_write(world, reader):
    """
    Whoever may read the sources may plan, also where nothing can be written.
    """
    world.people((1, "a@x"))
    world.sql("grant usage on schema public to reader", "grant select on people to reader")
    world.sql("alter role reader set default_transaction_read_only = on")
    world.url = reader
    plan = world.plan()
    world.url = reader.set(username="tester")

    assert plan.added == 1


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select id, email, nps from peeple", 'refuses a statement: relation "peeple" does not exist'),
        ("select id, email, nps, no_such(id) from people", "refuses a statement: function no_such(bigint) does not"),
        ("select id, email, email::int as nps from people", "fails with InvalidTextRepresentation"),
        ("select id, email, 1 / (id - 1) as nps from people", "fails with DivisionByZero"),
    ],
)
def test_what_the_server_says_is_shown_where_it_holds_no_value(world, sql, said):
    """
    Names and grammar are shown; what may quote a row is not.
    """
    world.people((1, "ada@example.com"))
    world.define(text=HEADER.replace("select id, email, nps from people", sql))
    error = world.sync().error

    assert said in error.what
    assert "ada" not in str(error)


def test_a_table_that_the_role_cannot_see(world, reader):
    """
    Without a right to the schema, its tables do not exist by their short names: the grant is told along.
    """
    world.people((1, "a@x"))
    world.sql("create schema audience_sync authorization reader")

    assert 'grant usage on its schema to "reader"' in as_reader(world, reader)


def test_a_query_that_takes_too_long_is_put_off(world):
    """
    statement_timeout is the role's own guard; the run says so and can be repeated.
    """
    world.people((1, "a@x"))
    world.sql(f"alter database {world.url.database} set statement_timeout = 50")
    world.define(text=HEADER.replace("from people", "from people, generate_series(1, 100000000) where id > 0"))
    result = world.sync()

    assert result.outcome == "deferred"
    assert "statement_timeout" in str(result.error)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
        ({"username": "nobody"}, 'role "nobody" does not exist'),
        ({"query": {"host": "/nowhere"}}, "No such file or directory"),
    ],
)
def test_a_server_that_cannot_be_reached(world, change, said):
    """
    Why no connection was made is said in the server's words, without a traceback or a password.
    """
    url = world.url.set(password="not-a-real-password", **change)

    with pytest.raises(WarehouseError) as refused:
        Warehouse(url, "audience_sync")
    assert refused.value.what.startswith("the warehouse cannot be reached: ")
    assert said in refused.value.what
    assert "password" not in refused.value.what


@pytest.mark.parametrize("kind", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_each_way_of_writing_the_url(world, kind):
    """
    Whatever driver a URL names, this one is used.
    """
    url = world.url.set(drivername=kind)

    assert dialect(url) == "postgres"
    with Warehouse(url, "audience_sync") as warehouse:
        assert warehouse.run("select 1") == [(1,)]


def test_a_connection_that_breaks(world):
    """
    A session that the server ends is an error with a way out.
    """
    with Warehouse(world.url, "audience_sync") as warehouse:
        [(pid,)] = warehouse.run("select pg_backend_pid()")
        world.sql(f"select pg_terminate_backend({pid})")

        with pytest.raises(WarehouseError, match="connection to the warehouse broke"):
            warehouse.run("select 1")


def test_a_worker_that_stands_still_in_a_transaction_is_let_go(world):
    """
    A session that does nothing inside of a transaction is ended by the server, and its locks with it.
    """
    with Warehouse(world.url, "audience_sync") as warehouse:
        assert warehouse.run("show idle_in_transaction_session_timeout") == [("1min",)]


@pytest.fixture
def two(world):
    """Two workers on one warehouse, in which a sync has run."""
    with Warehouse(world.url, "audience_sync") as first, Warehouse(world.url, "audience_sync") as second:
        control.create(first, NAME, TABLE)
        yield first, second


def test_a_settlement_of_the_old_worker_waits_for_the_takeover(two):
    """
    The takeover is not committed yet when the old worker settles: it waits, and then changes nothing.
    """
    first, second = two
    old = control.take(first, NAME, TABLE, 0, 1, "worker")
    errors = []

    def settle():
        try:
            old.update("mark = 7")
        except LeaseLost as error:
            errors.append(error)

    with second.transaction():
        control.take(second, NAME, TABLE, 1, 2, "another")
        late = threading.Thread(target=settle)
        late.start()
        while second.run("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") == [(0,)]:
            time.sleep(0.01)
    late.join()

    assert len(errors) == 1
    assert control.read(second, TABLE).mark == 0


def test_two_workers_make_one_sync_at_once(world):
    """
    Two first runs meet while they make the schema: both find it, or one says that it came in the other's way.
    """
    said = []

    def make():
        try:
            with Warehouse(world.url, "audience_sync") as warehouse:
                gate.wait()
                control.create(warehouse, NAME, TABLE)
        except Conflict as error:
            said.append(error.exit_code)

    gate = threading.Barrier(4, timeout=30)
    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(said) <= {5}
    assert world.sql("select epoch, mark from audience_sync.control_team__webhook") == [(0, 0)]


def test_names_beyond_what_the_server_keeps(world):
    """
    Two syncs whose long names begin alike have tables of their own, within 63 bytes.
    """
    names = [f"{'a' * 60}_{end}" for end in ("one", "two")]
    for n, name in enumerate(names):
        world.define(text=HEADER.replace('list = "L"', f'list = "{n}"'), name=name)
    (world.folder / "audiences" / "team.sql").unlink()
    world.people((1, "a@x"))
    results = world.results()
    tables = [name for (name,) in world.sql("select tablename from pg_tables where schemaname = 'audience_sync'")]

    assert [result.outcome for result in results] == ["delivered", "delivered"]
    assert world.receiver.holds("0") == world.receiver.holds("1") == {"a@x"}
    assert len([name for name in tables if name.startswith("ledger_")]) == 2
    assert max(map(len, tables)) < 63
    assert [result.outcome for result in world.results()] == ["unchanged", "unchanged"]


def test_a_column_is_found_in_any_case(world):
    """
    The header may write a column in another case than the server keeps it, for one sync and for two.
    """
    text = HEADER.replace('"email", "nps"', '"Email", "NPS"').replace('key = "id"', 'key = "ID"')
    path = world.folder / "audiences" / "team.sql"
    world.define(text=text.replace("select id, email, nps", "select *"))
    world.people((1, "a@x"))

    assert definition.load(path, "postgres").key == ("ID",)
    assert world.sync().outcome == "delivered"

    world.define(
        '[sync.second]\nconnector = "webhook"\nlist = "M"\nsend = ["EMAIL"]',
        text=text.replace("select id, email, nps", "select *"),
    )
    env = world.folder / ".env"
    env.write_text(env.read_text().replace("WEBHOOK_", "SECOND_") + env.read_text())

    assert [result.error for result in world.results()] == [None, None]


def test_another_kind_of_warehouse_is_refused():
    """
    What cannot hold our tables says what can.
    """
    with pytest.raises(DefinitionError, match="'oracle' cannot hold our tables") as refused:
        dialect(make_url("oracle://example.com/x"))
    assert "postgresql://host/database" in refused.value.do


def test_status_and_forget(world):
    """
    The commands that look after a sync find its tables, and take them away.
    """
    with (world.folder / ".env").open("a") as env:
        env.write(f"AUDIENCES_WAREHOUSE_URL={world.url}\nAUDIENCES_STATE_URL=sqlite:///state/s.sqlite\n")
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    asked = [
        CliRunner().invoke(cli.root, ["-C", str(world.folder), *words]).output
        for words in (["status"], ["forget", "team.webhook", "--yes"])
    ]

    assert "2 listed" in asked[0]
    assert "team.webhook is forgotten: 2 members it had listed" in asked[1]
    assert world.sql("select tablename from pg_tables where schemaname = 'audience_sync'") == [("project",)]


def test_a_connection_leaves_no_class_behind(world):
    """
    A worker that stays opens one a turn, for months: what the driver keeps for good is made once.
    """
    for _ in range(2):
        Warehouse(world.url, "audience_sync").close()
    loaders = sum(len(kind.__subclasses__()) for kind in KINDS)
    Warehouse(world.url, "audience_sync").close()

    assert loaders == sum(len(kind.__subclasses__()) for kind in KINDS) >= len(KINDS)
