"""What an audience may not do, on a real PostgreSQL: the check refuses it, and it would have been done otherwise."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from audiences import denied, query
from audiences.errors import DefinitionError, WarehouseError
from audiences.place import Place
from audiences.warehouse import Warehouse

# Functions that PostgreSQL calls volatile though they only read, or only compute.
HARMLESS = """
    amvalidate array_sample array_shuffle brin_* bt_index_* clock_timestamp current_query currtid2 currval lastval
    file_fdw_* gin_index_check gin_*_info gin_*_items gist_page_* hash_* heap_page_* heap_tuple_* tuple_data_split
    page_* normal_rand gen_random_uuid uuidv4 uuidv7 random random_normal timeofday txid_status verify_heapam
    plpgsql_* pgrowlocks pgstat* pg_*_size pg_available_wal_summaries pg_*blocking_pids pg_buffercache_* pg_check_*
    pg_*collation_* pg_control_* pg_current_wal_* pg_freespace pg_get_* pg_is_* pg_isolation_* pg_jit_available
    pg_last_* pg_lock_status pg_notification_queue_usage pg_partition_* pg_prepared_xact pg_relpages
    pg_sequence_last_value pg_show_replication_origin_status pg_stat_* pg_visibility* pg_xact_*
"""

ITSELF = "'host=' || current_setting('unix_socket_directories') || ' user=tester dbname=' || current_database()"


@pytest.fixture
def server(postgres):
    """A database with a table, and a connection of an administrator's."""
    url = make_url(postgres)
    with psycopg.connect(
        host=str(url.query["host"]), user="tester", dbname=url.database, autocommit=True
    ) as connection:
        connection.execute("create table people (id int, email text); insert into people values (1, 'a@x')")
        connection.execute("create sequence numbers; create extension dblink")
        yield connection


def refused(sql):
    with pytest.raises(DefinitionError) as caught:
        query.checked(sql, "postgres", Place(Path("audiences/x.sql"), 1))
    return caught.value.what


def test_every_function_that_does_more_than_read_is_denied(server):
    """
    A server with its contributed extensions says which functions it calls volatile: each is denied, or known to be
    harmless. A release that adds one fails here.
    """
    for (name,) in server.execute("select name from pg_available_extensions").fetchall():
        server.execute(f'create extension if not exists "{name}" cascade')
    rows = server.execute(
        "select distinct proname from pg_proc where provolatile = 'v' and prokind = 'f'"
        " and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)"
        " and not 'internal'::regtype = any(proargtypes)"
    ).fetchall()
    open_ = {name for (name,) in rows if not denied.call("postgres", name)}
    harmless = {name for name in open_ for pattern in HARMLESS.split() if fnmatch.fnmatchcase(name, pattern)}

    assert len(rows) > 250
    assert open_ - harmless == set()


def test_a_data_modifying_cte_is_refused(server):
    """
    DELETE in a WITH would empty the table.
    """
    sql = "with gone as (delete from people returning *) select * from gone"

    assert "DELETE" in refused(sql)
    assert server.execute(sql).fetchall() == [(1, "a@x")]
    assert server.execute("select count(*) from people").fetchone() == (0,)


def test_select_into_is_refused(server):
    """
    SELECT INTO would make a table.
    """
    sql = "select id into copied from people"

    assert "writes, with INTO" in refused(sql)
    server.execute(sql)
    assert server.execute("select id from copied").fetchall() == [(1,)]


@pytest.mark.parametrize("lock", ["update", "no key update", "share", "key share", "update of people skip locked"])
def test_a_lock_is_refused(server, lock):
    """
    FOR UPDATE and its like would lock rows until the run ends.
    """
    sql = f"select * from people for {lock}"

    assert "locks the rows" in refused(sql)
    with server.transaction():
        server.execute(sql)
        locks = "select count(*) from pg_locks where relation = 'people'::regclass and mode = 'RowShareLock'"
        assert server.execute(locks).fetchone() == (1,)


@pytest.mark.parametrize(
    ("sql", "does", "proof"),
    [
        ("select pg_read_file('PG_VERSION')", "reads files", "18\n"),
        ("select pg_read_binary_file('PG_VERSION')", "reads files", b"18\n"),
        ("select name from pg_ls_dir('.') as f(name) where name = 'base'", "reads files", "base"),
        ("select (pg_stat_file('base')).isdir", "reads files", True),
        ("select lo_import('PG_VERSION') > 0", "reads files", True),
        ("select lo_creat(-1) > 0", "writes", True),
        ("select nextval('numbers')", "writes", 1),
        ("select setval('numbers', 7)", "writes", 7),
        ("select setval as x from setval('numbers', 7)", "writes", 7),
        ("select pg_catalog.\"setval\"('numbers', 7)", "writes", 7),
        ("select set_config('work_mem', '1MB', false)", "changes settings", "1MB"),
        ("select pg_terminate_backend(0)", "ends sessions or stops the server", False),
        ("select pg_cancel_backend(0)", "ends sessions or stops the server", False),
        ("select pg_advisory_lock(1)::text", "takes locks", ""),
        ("select pg_sleep(0)::text", "sleeps", ""),
        ("select word from ts_stat('select to_tsvector(''simple'', ''a'')')", "runs SQL", "a"),
        (f"select * from dblink({ITSELF}, 'select 1') as t(x int)", "reads other servers", 1),
        ("select pg_notify('a', 'b')::text", "writes", ""),
    ],
)  # fmt: skip
def test_a_call_that_does_more_than_read_is_refused(server, sql, does, proof):
    """
    Each call is refused, with what it does; and a real server knows it.
    """
    assert does in refused(sql)
    assert server.execute(sql).fetchone() == (proof,)


@pytest.mark.parametrize(
    "sql",
    [
        "with gone as (delete from people returning *) select * from gone",
        "select id into copied from people",
        "delete from people returning id",
        "select 1) as q; delete from people; select * from (select 1",
        "select 1; delete from people",
    ],
)
def test_what_passed_the_check_would_still_meet_the_grammar(server, postgres, sql):
    """
    Whatever a warehouse is asked of an audience stands in parentheses, as one prepared statement: what is no plain
    SELECT there is an error, and nothing is done.
    """
    with Warehouse(make_url(postgres), "audience_sync") as warehouse, pytest.raises(WarehouseError):
        warehouse.described(sql)
    assert server.execute("select count(*) from people").fetchone() == (1,)


def test_asking_for_columns_runs_nothing(server, postgres):
    """
    A query that would fail, or count, at its first row is described without either.
    """
    server.execute("create function counted() returns bigint language sql as $$ select nextval('numbers') $$")
    with Warehouse(make_url(postgres), "audience_sync") as warehouse:
        types = warehouse.described("select 1 / 0 as a, counted() as b, 'x'::varchar(3) as c, 1.5::numeric(4, 2) as d")

    assert types == {"a": "integer", "b": "bigint", "c": "character varying(3)", "d": "numeric(4,2)"}
    assert server.execute("select is_called from numbers").fetchone() == (False,)
