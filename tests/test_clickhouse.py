"""ClickHouse as a source, by the real engine in this process: `make apart` runs these in an environment that has it."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from datetime import timedelta
from functools import cache

import pytest
from sqlalchemy.engine import make_url

from audiences.errors import WarehouseError
from audiences.warehouse import sources
from audiences.warehouse.sources.clickhouse import ClickHouseSource
from engines import ReadOnly
from scale import times
from sourced import failed, several, two_syncs
from test_convergence import Told, told
from world import HEADER, World

NUMBERS = itertools.count(1)
PEOPLE = "create table people (id Int64, email Nullable(String), nps Nullable(Int32)) engine = Memory"

# A value as ClickHouse writes it -> what travels.
VALUES = {
    "null": None,
    "'😀'": "😀",
    "toFixedString('ab', 2)": "YWI=",
    "toLowCardinality('x')": "x",
    "true": True,
    "toUInt8(7)": 7,
    "toUInt64(18446744073709551615)": 18446744073709551615,
    "toInt128('170141183460469231731687303715884105727')": "170141183460469231731687303715884105727",
    "toInt256('1')": 1,
    "toFloat64(0.1)": 0.1,
    "toDecimal64(1.5, 2)": 1.5,
    "toDecimal128('12345678901234567.5', 2)": "12345678901234567.50",
    "toDate('2026-02-28')": "2026-02-28",
    "toDateTime('2026-02-28 23:59:59', 'UTC')": "2026-02-28T23:59:59+00:00",
    "toDateTime64('2026-02-28 23:59:59.5', 3, 'Asia/Kolkata')": "2026-02-28T18:29:59.500000+00:00",
    "toUUID('c0ffee00-0000-0000-0000-000000000000')": "c0ffee00-0000-0000-0000-000000000000",
    "[1, null, 3]": [1, None, 3],
    "map('a', 1)": {"a": 1},
    "toIPv4('10.0.0.1')": "10.0.0.1",
}


class InProcess(ClickHouseSource):
    """The same client, whose engine is here instead of behind HTTP."""

    def client(self):
        return connected(self.url.database, settings=self.settings())


def connected(database, **more):
    pytest.importorskip("chdb", reason="chdb has an environment of its own: make apart")
    from clickhouse_connect import get_client

    return get_client(interface="chdb", database=database, tz_mode="aware", **more)


@cache
def kept():
    """The client that keeps the engine: its data go with the last one."""
    return connected("default")


class Spoken:
    """A client, spoken to as the other drivers' connections are."""

    def __init__(self, client):
        self.client, self.description, self.rows = client, None, []

    def execute(self, statement):
        if statement.startswith(("select", "describe")):
            self.rows = [*self.client.query(statement).result_rows]
            self.description = True
        else:
            self.client.command(PEOPLE if statement.startswith("create table people") else statement)
        return self

    def fetchall(self):
        return self.rows


class ClickHouse:
    """A database of the engine that this process has."""

    name, dialect = "clickhouse, only read", "clickhouse"

    def new(self, folder):
        self.database = f"t{next(NUMBERS)}"
        kept().command(f"create database {self.database}")
        return make_url(f"clickhouse://tester@localhost/{self.database}")

    @contextmanager
    def open(self, url):
        yield Spoken(connected(url.database))

    def fill(self, url, table, rows):
        client = connected(url.database)
        client.command(f"truncate table {table}")
        if rows:
            client.insert(table, rows)

    def close(self, url):
        kept().command(f"drop database {url.database}")


@pytest.fixture(autouse=True)
def in_process(monkeypatch):
    monkeypatch.setattr("audiences.warehouse.sources.clickhouse.ClickHouseSource", InProcess)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, engine=ReadOnly(ClickHouse()))


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


def test_any_history_ends_in_step():
    """
    The histories of test_convergence, from ClickHouse.
    """
    told(Told, ReadOnly(ClickHouse()), times(10, 1_000, 40))


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says.
    """
    columns = ", ".join(f"{value} as v{n}" for n, value in enumerate(VALUES))
    send = ", ".join(f'"v{n}"' for n in range(len(VALUES)))
    text = HEADER.replace("select id, email, nps from people", f"select 1 as id, 'p@x' as email, {columns}")
    world.define(text=text.replace('"nps"]', f"{send}]"))
    result = world.sync()
    [member] = world.receiver.sent("upsert")

    assert result.error is None
    assert [member["fields"][f"v{n}"] for n in range(len(VALUES))] == [*VALUES.values()]
    assert world.sync().outcome == "unchanged"


def test_what_cannot_travel_spoils_only_its_member(world):
    """
    NaN is refused with its member; the other is delivered.
    """
    world.define(
        text=HEADER.replace(
            "select id, email, nps from people",
            """
        select 1 as id, 'a@x' as email, nan as nps union all select 2, 'b@x', 1.5""",
        )
    )

    assert world.sync().refused == 1
    assert world.receiver.holds() == {"b@x"}


def test_what_is_said(world):
    """
    Names and grammar are shown; what may quote a row is told by its number.
    """
    world.people((1, "ada@example.com"))

    assert "Unknown table expression identifier 'peeple'" in failed(world, "select id, email, nps from peeple")
    said = failed(world, "select id, email, throwIf(email like 'a%', email) as nps from people")
    assert "fails with error" in said
    assert "ada" not in said


@pytest.mark.parametrize("select", ["select count() as n from {} where number % 7 = 8", "select number as n from {}"])
def test_what_takes_too_long_is_broken_off(world, select):
    """
    One row that does not come, and rows without an end.
    """
    with (
        world.engine.warehouse(world.url) as warehouse,
        pytest.raises(WarehouseError, match="and was stopped"),
        warehouse.bounded(timedelta(milliseconds=100)),
    ):
        warehouse.land('"landed"', select.format("numbers(1000000000000)"), {"n": "HUGEINT"})


def test_several_of_a_member(tmp_path):
    """
    Each value of an array is an identifier.
    """
    several(tmp_path, ReadOnly(ClickHouse()), "id Int64, mails Array(Nullable(String)), primary key (id)")


def test_it_only_reads(world):
    """
    What would write is an error of the engine's.
    """
    with pytest.raises(WarehouseError, match="is read-only"):
        sources.of(world.url).asked("insert into people values (1, 'a@x', 1)")
