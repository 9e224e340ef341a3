"""Snowflake as the emulator fakesnow tells it, behind Snowflake's own protocol and connector.

It is DuckDB, which does not wait for locks, and takes a name for the same in small letters and in capitals.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL

from audiences.warehouse import Warehouse
from audiences.warehouse.sources.snowflake import SnowflakeSource

NUMBERS = itertools.count(1)

# What it does not know, by its documentation or by its answer -> what is asked of it instead.
INSTEAD = {
    r"show parameters like 'READ_CONSISTENCY_MODE' in account": "select 'GLOBAL' as \"value\"",
    r"show parameters like 'DEFAULT_DDL_COLLATION' in schema": "select '' as \"value\"",
    r"alter session (un)?set (lock|statement)_timeout.*": "select 1",
    r" default_ddl_collation = ''": "",
    r"collate\((.+?), ''\)": r"\1",
    r'rename to ".+?"\.': "rename to ",
}


class Spoken:
    """A connection of Snowflake's, spoken to as the other drivers' are."""

    def __init__(self, connection: Any):
        self.connection = connection

    def execute(self, statement: str, values: Any = None) -> Any:
        return self.connection.cursor().execute(statement, values)


class Snowflake:
    """A database of the emulator, which is only read."""

    name, dialect = "snowflake, only read", "snowflake"

    def __init__(self, server: dict[str, Any]):
        self.server = server

    def new(self, folder: Path) -> URL:
        return URL.create("snowflake", "fake", "snow", "fakesnow", database=f"t{next(NUMBERS)}/public")

    @contextmanager
    def open(self, url: URL) -> Iterator[Spoken]:
        from snowflake.connector import connect

        database, schema = str(url.database).split("/")
        with closing(connect(**self.server, database=database, schema=schema)) as connection:
            yield Spoken(connection)

    def fill(self, url: URL, table: str, rows: list[tuple]) -> None:
        with self.open(url) as connection:
            connection.execute(f"delete from {table}")
            if rows:
                places = ", ".join([f"({', '.join(['%s'] * len(rows[0]))})"] * len(rows))
                connection.execute(f"insert into {table} values {places}", [value for row in rows for value in row])

    def close(self, url: URL) -> None:
        """Nothing of it is held."""


class WritableSnowflake(Snowflake):
    """A database of the emulator that holds our tables."""

    name, nowhere = "snowflake", "snowflake://fake:snow@nowhere/t/public"
    listing = "select table_name from information_schema.tables where table_schema = 'audience_sync'"

    def alone(self) -> URL:
        """A warehouse that is opened once, and in which a test makes tables through it."""
        return self.new(Path())

    def copy(self, url: URL, folder: Path) -> URL:
        other = self.new(folder)
        old, new = (str(each.database).partition("/")[0] for each in (url, other))
        with self.open(url) as source, self.open(other) as target:
            target.execute(f'create schema {new}."audience_sync"')
            found = source.execute(
                f"select table_schema, table_name from {old}.information_schema.tables"
                f" where table_schema in ('PUBLIC', 'audience_sync')"
            ).fetchall()
            for schema, table in found:
                target.execute(f'create table {new}."{schema}"."{table}" as select * from {old}."{schema}"."{table}"')
        return other

    def ours(self, url: URL) -> Any:
        """What reaches our tables."""
        return self.open(url)

    def warehouse(self, url: URL) -> Warehouse:
        return Warehouse(url, "audience_sync")


@contextmanager
def emulated(server: dict[str, Any]) -> Iterator[None]:
    """Let whatever speaks to Snowflake reach the emulator, in words that it knows."""
    at = {name: server[name] for name in ("host", "port", "protocol", "network_timeout")}  # what a URL cannot say
    engine, options, types = SnowflakeSource.engine, SnowflakeSource.options, SnowflakeSource.types
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnowflakeSource, "options", lambda self: options(self) | at)
        patch.setattr(SnowflakeSource, "engine", lambda self, *session, **more: _heard(engine(self, *session, **more)))
        patch.setattr(SnowflakeSource, "types", lambda self, *asked: _found(*asked) and types(self, *asked))
        yield


def _heard(engine: Engine) -> Engine:
    event.listen(engine, "before_cursor_execute", _instead, retval=True)
    event.listen(engine, "close", lambda connection, _: connection.rollback())  # as the end of a session does
    return engine


def _found(connection: Connection, select: str) -> bool:
    """A query that cannot be compiled would break the transaction off, which Snowflake leaves open."""
    from snowflake.connector.errors import ProgrammingError

    if ours := re.fullmatch(r'select \* from "audience_sync"\."(\w+)"', select):
        tables = "information_schema.tables where table_schema = 'audience_sync'"
        if not connection.exec_driver_sql(f"select 1 from {tables} and table_name = '{ours[1]}'").fetchall():
            raise ProgrammingError(msg="no such table", errno=2003, sqlstate="42S02")
    return True


def _instead(_connection: object, cursor: Any, sql: str, values: object, *_: object) -> tuple[str, object]:
    if re.match(r"(create|alter table|drop)\b", sql, re.IGNORECASE):  # it commits first: the emulator does not
        cursor.execute("commit")
    for pattern, other in INSTEAD.items():
        sql = re.sub(pattern, other, sql, flags=re.IGNORECASE)
    return sql, values
