"""Snowflake as a source, by the emulator fakesnow behind its own protocol: `make apart` runs these where that is."""

from __future__ import annotations

import itertools
from contextlib import closing, contextmanager

import pytest
from sqlalchemy.engine import URL

from audiences.warehouse.sources.snowflake import SnowflakeSource
from engines import ReadOnly
from scale import times
from sourced import failed, two_syncs
from test_convergence import Told, told
from world import HEADER, World

NUMBERS = itertools.count(1)

# A value as Snowflake writes it -> what travels.
VALUES = {
    "null": None,
    "'😀'": "😀",
    "''": "",
    "true": True,
    "7": 7,
    "12345678901234567890": 12345678901234567890,
    "0.1::float": 0.1,
    "1.50::number(10, 2)": 1.5,
    "'2026-02-28'::date": "2026-02-28",
    "'2026-02-28 23:59:59'::timestamp_ntz": "2026-02-28T23:59:59",
    "'2026-02-28 23:59:59'::timestamp_tz": "2026-02-28T23:59:59+00:00",
}


@pytest.fixture(scope="module")
def server():
    fakesnow = pytest.importorskip("fakesnow", reason="fakesnow has an environment of its own: make apart")
    with fakesnow.server() as found:
        yield found


class Spoken:
    """A connection of Snowflake's, spoken to as the other drivers' are."""

    def __init__(self, connection):
        self.connection = connection

    def execute(self, statement, values=None):
        return self.connection.cursor().execute(statement, values)


class Snowflake:
    """A database of the emulator."""

    name, dialect = "snowflake, only read", "snowflake"

    def __init__(self, server):
        self.server = server

    def new(self, folder):
        return URL.create("snowflake", "fake", "snow", "fakesnow", database=f"t{next(NUMBERS)}/public")

    @contextmanager
    def open(self, url):
        from snowflake.connector import connect

        database, schema = url.database.split("/")
        with closing(connect(**self.server, database=database, schema=schema)) as connection:
            yield Spoken(connection)

    def fill(self, url, table, rows):
        with self.open(url) as connection:
            connection.execute(f"delete from {table}")
            for row in rows:
                connection.execute(f"insert into {table} values ({', '.join(['%s'] * len(row))})", row)

    def close(self, url):
        """Nothing of it is held."""


@pytest.fixture(autouse=True)
def emulated(monkeypatch, server):
    """Its port, and no TLS: what a URL cannot say."""
    at = {name: server[name] for name in ("host", "port", "protocol")}
    usual = SnowflakeSource.options
    monkeypatch.setattr(SnowflakeSource, "options", lambda self: usual(self) | at)


@pytest.fixture
def world(tmp_path, server):
    return World(tmp_path, engine=ReadOnly(Snowflake(server)))


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


def test_any_history_ends_in_step(server):
    """
    The histories of test_convergence, from Snowflake's protocol.
    """
    told(Told, ReadOnly(Snowflake(server)), times(10, 1_000, 20))


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says.
    """
    columns = ", ".join(f"{value} as v{n}" for n, value in enumerate(VALUES))
    send = ", ".join(f'"v{n}"' for n in range(len(VALUES)))
    text = HEADER.replace("select id, email, nps from people", f"select 1 as id, 'p@x' as email, {columns}")
    world.define(text=text.replace('"nps"]', f"{send}]"))
    result = world.sync()

    assert result.error is None
    [member] = world.receiver.sent("upsert")
    assert [member["fields"][f"v{n}"] for n in range(len(VALUES))] == [*VALUES.values()]
    assert world.sync().outcome == "unchanged"


def test_what_is_said(world):
    """
    What cannot be compiled is shown.
    """
    assert "refuses a statement" in failed(world, "select id, email, nps from peeple")
