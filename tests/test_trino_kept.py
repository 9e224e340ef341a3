"""What is kept in Trino, and what is temporary there: on a DuckDB behind a false driver, untried on Trino."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url

from audiences import cli, fresh
from audiences.audience import Fresh
from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import Warehouse
from audiences.warehouse.dialects.letters import folded, original
from audiences.warehouse.opened import opened
from test_redshift_kept import ASKED
from trinoed import Driver, Trino, falsely, kept, opening
from world import World

# What an audience selects -> how our tables keep it, and what of it is written down.
VALUES = {
    "1": ("BIGINT", 1),
    "'x '": ("VARCHAR", "x "),
    "true": ("BOOLEAN", True),
    "cast(0.5 as real)": ("REAL", 0.5),
    "cast(0.1 as double)": ("DOUBLE", 0.1),
    "cast(1.5 as decimal(10, 2))": ("DECIMAL(10,2)", Decimal("1.50")),
    "date '2026-03-01'": ("DATE", date.fromisoformat("2026-03-01")),
    "timestamp '2026-02-28 23:59:59.123456'": ("VARCHAR", "2026-02-28T23:59:59.123456"),
    "timestamp '2026-02-28 23:59:59'": ("VARCHAR", "2026-02-28T23:59:59"),
    "cast('2026-02-28 23:59:59+05:30' as timestamp with time zone)": ("VARCHAR", "2026-02-28T18:29:59+00:00"),
    "cast(null as varchar)": ("VARCHAR", None),
}
ROWS = {
    "a": "(1, 1), (1, 2), (2, 3), (3, null), (null, 4), (4, 1), (4, 7)",
    "b": "(1, 1), (1, null), (3, null), (3, null), (4, 1), (4, 7), (null, 2)",
    "c": "(3, null), (4, 2)",
}
NAMES = ["First Name", "a;b", "_xY", "é", "_x41_", "x", "_", "sent_x_x", "A_x61_"]


@pytest.fixture(autouse=True)
def patch():
    with falsely() as patch:
        yield patch


@pytest.fixture
def engine():
    return Trino()


@pytest.fixture
def url(engine):
    return engine.alone()


def day(ago):
    return f"{datetime.now(UTC) - timedelta(days=ago):%Y%m%d}"


def test_its_types_are_ours(engine, url):
    """
    A column is described as a table of ours has it once it is made and asked again; moments are the text that travels.
    """
    select = "select " + ", ".join(f"{value} as v{n}" for n, value in enumerate(VALUES))
    with engine.warehouse(url) as warehouse:
        types = warehouse.described(select)
        warehouse.land('"staged_1"', select, types)
        made = warehouse.table("ledger_t")
        columns = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in types.items())
        warehouse.run(f'create table {made} as select {columns} from "staged_1"')

        assert [*types.values()] == [kind for kind, _ in VALUES.values()]
        assert warehouse.columns("ledger_t") == types
        assert warehouse.columns("ledger_u") == {}
        assert warehouse.run(f"select * from {made}") == [tuple(value for _, value in VALUES.values())]


@pytest.mark.parametrize("statement", ASKED)
def test_a_statement_means_what_it_said(engine, url, statement):
    """
    A test of existence in any place, a part of a WITH, a list of values, NULL in comparisons: the rows are DuckDB's.
    """
    with Warehouse(make_url("duckdb:///:memory:"), "s") as duckdb, engine.warehouse(url) as trino:
        for warehouse in (duckdb, trino):
            for table, rows in ROWS.items():
                warehouse.run(f"create table {table} (k bigint, n bigint)")
                warehouse.run(f"insert into {table} values {rows}")
        rows, expected = (sorted(each.run(statement), key=str) for each in (trino, duckdb))

    assert expected
    assert rows == expected


@pytest.mark.parametrize("kind", ["timestamp", "timestamp with time zone", "date"])
def test_how_fresh_a_source_is(engine, url, kind):
    """
    A moment is asked for as it is, though an audience's is kept as text.
    """
    with engine.open(url) as connection:
        connection.execute(f"create table loads (came {kind})")
        connection.execute("insert into loads values ('2026-03-01 00:00:00')")
    with engine.warehouse(url) as warehouse:
        wanted = Fresh("loads", "came", timedelta(days=2))
        fresh.check(warehouse, wanted)

        assert fresh.look(warehouse, wanted, datetime.fromisoformat("2026-03-02T12:00:00")).stale is None
        assert fresh.look(warehouse, wanted, datetime.fromisoformat("2026-03-03T12:00:00")).stale
        warehouse.run("create table words (came varchar)")
        with pytest.raises(DefinitionError, match="which is no time"):
            fresh.check(warehouse, Fresh("words", "came", timedelta(days=2)))


def test_a_moment_of_ours_comes_back_as_one(engine, url):
    """
    To the microsecond, and without a zone.
    """
    with engine.warehouse(url) as warehouse:
        warehouse.run(f'create table {warehouse.table("t")} ("at" timestamp)')
        warehouse.run(f"insert into {warehouse.table('t')} values (timestamp '2026-03-01 12:00:00.123456')")

        assert warehouse.columns("t") == {"at": "TIMESTAMP"}
        assert warehouse.run(f"select \"at\" + 2 * interval '1 hour' from {warehouse.table('t')}") == [
            (datetime.fromisoformat("2026-03-01T14:00:00.123456"),)
        ]


def test_any_name_of_a_field_has_a_column(engine, url):
    """
    Trino tells none apart by case, Delta Lake takes no blank: small letters, digits and underscores stand for it.
    """
    with engine.warehouse(url) as warehouse:
        columns = ", ".join(f'"sent_{name}" bigint' for name in NAMES)
        warehouse.run(f"create table {warehouse.table('t')} ({columns})")
        warehouse.run(f'insert into {warehouse.table("t")} ("sent_A_x61_", "sent_é") values (1, 2)')

        assert list(warehouse.columns("t")) == [f"sent_{name}" for name in NAMES]
        assert warehouse.run(f'select "sent_A_x61_", "sent_é", "sent_First Name" from {warehouse.table("t")}') == [
            (1, 2, None)
        ]
        asked = kept().execute(f'select * from "{warehouse.schema}"."t"')
        assert [name for name, *_ in asked.description if re.search(r"[^a-z0-9_]", name)] == []


def test_no_two_names_are_one():
    """
    What is written for a name is read as that name alone.
    """
    parts = ["_", "x", "_x", "4", "41", "A", "a", " ", "é", "x5f_"]
    names = {one + two + three + "_" for one in parts for two in parts for three in parts}

    assert [name for name in names if original(folded(name)) != name] == []
    assert len({folded(name) for name in names}) == len(names)


def test_what_is_temporary_goes_with_the_session(engine, url):
    """
    Of two sessions neither meets the other's; each drops its own, also where a statement failed.
    """
    with engine.warehouse(url) as one, engine.warehouse(url) as other:
        for n, warehouse in enumerate((one, other)):
            warehouse.land('"staged_1"', f"select {n} as x", {"x": "BIGINT"})
        with pytest.raises(WarehouseError):
            one.run("with a as (select x, count(*) as n from nowhere group by x) select * from a")

        assert [warehouse.run('select x from "staged_1"') for warehouse in (one, other)] == [[(0,)], [(1,)]]
        assert len(engine.scratch(url)) == 2
    assert engine.scratch(url) == []
    assert all(driver.closed for driver in opening)


def test_nothing_is_dropped_twice(engine, url):
    """
    Each statement has its price there: what was never made is not dropped, nor what is gone as the session ends.
    """
    with engine.warehouse(url) as warehouse:
        for _ in range(2):
            warehouse.run("with a as (select count(*) as n from (values (1)) v(x)) select * from a")
        warehouse.run('drop table "<a>"')
    assert sum("starts_with(table_name" in statement for statement in opening[-1].heard) == 1
    told = [statement.partition(' "')[0] for statement in opening[-1].heard if "step_a" in statement]

    assert told == [
        "CREATE TABLE",
        "SELECT * FROM",
        "DROP TABLE IF EXISTS",
        "CREATE TABLE",
        "SELECT * FROM",
        "DROP TABLE",
    ]


def test_what_a_killed_session_left_is_dropped(engine, url, patch):
    """
    Once its day and the next have gone by; nothing else is, and where it cannot be, the session goes on.
    """
    schema = engine.schema(url)
    stay = [f"scratch_{day(1)}_0123abcd_step_j", f"scratch_{day(0)}_0123abcd_step_j", "scratch_20200101_of_mine"]
    gone = [f"scratch_{day(2)}_0123abcd_step_j", "scratch_20200101_0123abcd_staged_1"]
    for name in stay + gone:
        kept().execute(f'create table "{schema}"."{name}" (x bigint)')
    patch.setattr(Driver, "refuses", "starts_with(table_name")
    with engine.warehouse(url) as warehouse:
        warehouse.land('"staged_1"', "select 1 as x", {"x": "BIGINT"})
        assert set(stay + gone) < {*engine.scratch(url)}

    patch.setattr(Driver, "refuses", "")
    with engine.warehouse(url) as warehouse:
        assert {*engine.scratch(url)} == {*stay, *gone}
        warehouse.land('"staged_1"', "select 1 as x", {"x": "BIGINT"})
    assert {*engine.scratch(url)} == {*stay}


@pytest.mark.parametrize("words", [("plan",), ("sync", "team", "--dry-run")])
def test_a_plan_before_there_is_a_schema(tmp_path, engine, words, patch):
    """
    It writes down what it compares, and makes no schema for that: what to do is told. Afterwards it leaves nothing.
    """
    world = World(tmp_path, engine=engine)
    patch.setenv("AUDIENCES_SCHEMA", engine.schema(world.url))
    with (tmp_path / ".env").open("a") as env:
        env.write(f"AUDIENCES_WAREHOUSE_URL={world.url}\nAUDIENCES_STATE_URL=sqlite:///state/s.sqlite\n")
    world.people((1, "a@x"))
    answer = CliRunner().invoke(cli.root, ["-C", str(tmp_path), *words]).output

    assert f"there is no schema {engine.schema(world.url)} in the catalog lake" in answer
    assert f"create schema lake.{engine.schema(world.url)}; or run `audiences sync` first" in answer
    assert "Traceback" not in answer

    world.sync()
    before = world.sql(world.engine.listing)
    assert "+ 0 added" in CliRunner().invoke(cli.root, ["-C", str(tmp_path), *words]).output
    assert (world.sql(world.engine.listing), engine.scratch(world.url)) == (before, [])


def test_what_takes_too_long_is_broken_off(engine, url):
    """
    By a property of the session, for a while. By another one nothing is ever run twice.
    """
    with engine.warehouse(url) as warehouse:
        with warehouse.bounded(timedelta(seconds=90)):
            assert opening[-1].session == {"query_max_run_time": "90000ms", "retry_policy": "NONE"}
        assert opening[-1].session == {"retry_policy": "NONE"}


@pytest.mark.parametrize(("catalog", "said"), [("old", "is of the connector hive"), ("none", "is not known")])
def test_a_catalog_of_which_nothing_is_known(catalog, said):
    """
    Only what the documentation of these two connectors promises is relied on.
    """
    url = make_url(f"trino://worker@trino.example.com/{catalog}/main")
    with pytest.raises(WarehouseError, match=said) as no:
        opened(url, "audience_sync")

    assert "AUDIENCES_LEDGER_URL" in no.value.do
    opened(url.set(database="delta/main"), "audience_sync").close()


def test_nobody_answers(engine, url, patch):
    """
    It is told without a password, also as the session ends; what is temporary stays then.
    """
    with engine.warehouse(url) as warehouse:
        warehouse.land('"staged_1"', "select 1 as x", {"x": "BIGINT"})
        patch.setattr(Driver, "refuses", "TABLE")
        with pytest.raises(WarehouseError, match="cannot be reached: error 503"):
            warehouse.run('drop table "staged_1"')
        heard = len(opening[-1].heard)
    assert len(opening[-1].heard) == heard + 1
    assert len(engine.scratch(url)) == 1


def test_a_type_without_one_of_ours(engine, url):
    """
    The query is not run.
    """
    with engine.warehouse(url) as warehouse, pytest.raises(DefinitionError, match="'x' is of the type array"):
        warehouse.land('"staged_1"', "select 1", warehouse.described("select array[1] as x"))

    assert engine.scratch(url) == []
