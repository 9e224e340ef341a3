"""BigQuery, only read and holding our tables, by the emulator crucible behind its own client: `make apart`."""

from __future__ import annotations

import itertools
import threading
from contextlib import closing, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from audiences.warehouse import bigqueried
from audiences.warehouse.sources.bigquery import BigQuerySource
from crucibled import Held, shimmed
from engines import ReadOnly
from scale import times
from sourced import failed, travelled, two_syncs
from test_bigquery_ours import empty
from test_changes import agrees, by_any_rule, by_this_rule, cases, often, people, unique_people
from test_convergence import Told, ToldOfJobs, told
from test_forms import writes_one_form
from test_normal import RULES
from world import World

NUMBERS = itertools.count(1)

# A value as BigQuery writes it -> what travels. The emulator has no BIGNUMERIC, and no arrays on this DuckDB.
VALUES = {
    "null": None,
    "'😀'": "😀",
    "''": "",
    "true": True,
    "7": 7,
    "0.1": 0.1,
    "numeric '1.50'": 1.5,
    "date '2026-02-28'": "2026-02-28",
    "datetime '2026-02-28 23:59:59.5'": "2026-02-28T23:59:59.500000",
    "timestamp '2026-02-28 23:59:59+05:30'": "2026-02-28T18:29:59+00:00",
    "time '12:30:00'": "12:30:00",
    "b'\\x00\\xff'": "AP8=",
    "struct(1 as a, 'x' as b)": {"a": 1, "b": "x"},
}


@pytest.fixture(scope="module")
def port():
    pytest.importorskip("crucible", reason="crucible has an environment of its own: make apart")
    import uvicorn
    from crucible.engine import Engine
    from crucible.server.app import create_app

    server = uvicorn.Server(uvicorn.Config(create_app("bigquery", Engine()), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def client(port):
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    at = {"api_endpoint": f"http://127.0.0.1:{port}"}
    return bigquery.Client("shop", credentials=AnonymousCredentials(), client_options=at)


@pytest.fixture(autouse=True)
def emulated(monkeypatch, port):
    """Its port, and nobody signed in; it has no dry runs, so a query for no row is what tells its columns."""

    class Emulated(BigQuerySource):
        def client(self):
            return client(port)

        def options(self, sql, dry_run=False, **more):
            return BigQuerySource.options(self, sql, **more)

        def named(self, select):
            with self._open(reads=False) as there:
                nothing = f"select * from (\n{select}\n) as q limit 0"
                fields = there.query(nothing, job_config=self.options(nothing)).result().schema
            return {field.name: "array" if field.mode == "REPEATED" else field.field_type for field in fields}

    for room in ("sources.bigquery", "bigquery"):
        monkeypatch.setattr(f"audiences.warehouse.{room}.BigQuerySource", Emulated)
    monkeypatch.setattr(bigqueried, "Connection", shimmed(bigqueried.Connection))


class Spoken:
    """A client, spoken to as the other drivers' connections are."""

    def __init__(self, there, dataset):
        self.there, self.dataset = there, dataset

    def execute(self, statement):
        from google.cloud.bigquery import QueryJobConfig

        sql = statement.replace("varchar", "string").replace("integer", "int64").replace("bigint", "int64")
        config = QueryJobConfig(default_dataset=f"shop.{self.dataset}")
        found = self.there.query(sql, job_config=config).result()
        self.rows, self.description = [row.values() for row in found], found.schema
        return self

    def fetchall(self):
        return self.rows


class BigQuery:
    """A dataset of the emulator."""

    name, dialect = "bigquery, only read", "bigquery"

    def __init__(self, port):
        self.port = port

    def new(self, folder):
        self.dataset = f"t{next(NUMBERS)}"
        with closing(client(self.port)) as there:
            there.create_dataset(self.dataset)
        return make_url(f"bigquery://shop/{self.dataset}")

    @contextmanager
    def open(self, url):
        with closing(client(self.port)) as there:
            yield Spoken(there, url.database)

    def fill(self, url, table, rows):
        with self.open(url) as connection:
            connection.execute(f"create or replace table {table} (id int64, email string, nps int64)")
            if rows:
                written = (", ".join("null" if value is None else repr(value) for value in row) for row in rows)
                connection.execute(f"insert into {table} values {', '.join(f'({row})' for row in written)}")

    def close(self, url):
        """Nothing of it is held."""


@pytest.fixture
def world(tmp_path, port):
    return World(tmp_path, engine=ReadOnly(BigQuery(port)))


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


def test_any_history_ends_in_step(port):
    """
    The histories of test_convergence, from BigQuery's protocol.
    """
    told(Told, ReadOnly(BigQuery(port)), times(5, 1_000, 20))


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says.
    """
    assert travelled(world, VALUES) == [*VALUES.values()]


def test_what_is_said(world):
    """
    What cannot be compiled is shown.
    """
    assert "refuses a statement" in failed(world, "select id, email, nps from peeple")


def test_two_syncs_where_it_holds_our_tables(tmp_path, port):
    """
    The same where our tables are beside, with what the emulator has not made up for: see `shimmed`.
    """
    two_syncs(World(tmp_path, engine=Held(BigQuery(port))))


@pytest.mark.parametrize("machine", [Told, ToldOfJobs])
def test_any_history_ends_in_step_where_it_holds_our_tables(port, machine):
    """
    And the same histories, with killed runs, a lost state, and jobs that end later.
    """
    told(machine, Held(BigQuery(port)), times(2, 1_000, 20))


@pytest.fixture
def warehouse(port):
    engine = Held(BigQuery(port))
    with engine.warehouse(engine.alone()) as warehouse:
        yield warehouse


@pytest.mark.parametrize("rule", [None, "another"])
def test_the_plan_is_what_the_rules_say(warehouse, rule):
    """
    Rows and counts of a comparison equal those of the rules in plain Python, also after a change of list or identifier.
    """
    claims, fence = by_any_rule if rule else by_this_rule, empty(warehouse)

    @settings(max_examples=times(2, 300, 20), **often)
    @given(case=st.one_of(cases(unique_people, claims), cases(people, claims)))
    def holds(case):
        agrees(fence, case, **({"rule": rule} if rule else {}))

    holds()


def test_sql_and_python_write_one_form(warehouse):
    """
    Of any text the emulator makes the form that the worker makes.
    """
    for name in RULES:
        writes_one_form(warehouse, name)
