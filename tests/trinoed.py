"""Trino where it holds our tables: a false driver beneath our connection, which runs on DuckDB what it is told.

It proves what our own translation means, and nothing of Trino. What Trino would refuse of it, as far as its
documentation says so, it refuses too: `amiss`. Each statement is read back by sqlglot.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy.engine import URL, make_url
from sqlglot import exp, parse_one
from trino.exceptions import HttpError, TrinoUserError

from audiences.warehouse import Warehouse
from audiences.warehouse.opened import opened
from engines import Read

NUMBERS = itertools.count(1)
TYPES = {
    "TIMESTAMP": "timestamp(6)",
    "TIMESTAMP WITH TIME ZONE": "timestamp(6) with time zone",
    "TIMESTAMP_S": "timestamp(0)",
    "TIMESTAMP_MS": "timestamp(3)",
    "FLOAT": "real",
    "BLOB": "varbinary",
    '"NULL"': "unknown",
    "INTEGER[]": "array(integer)",
}
SESSION = re.compile(r"(?:/\*.*?\*/ )?(set|reset) session (\w+)(?: = '(.*)')?", re.IGNORECASE)
CATALOGS = re.compile(r"from system\.metadata\.catalogs where catalog_name = '(\w*)'")
CONNECTORS = {"lake": "iceberg", "delta": "delta_lake", "old": "hive"}
NAMES = {duckdb.ParserException: "SYNTAX_ERROR", duckdb.ConversionException: "INVALID_CAST_ARGUMENT"}


def refused(name: str, words: str) -> TrinoUserError:
    return TrinoUserError({"errorName": name, "message": words})


@cache
def kept() -> duckdb.DuckDBPyConnection:
    """The one that the tests of a process speak to."""
    connection = duckdb.connect()
    connection.execute("set global threads = 1")
    return connection


def amiss(tree: Any) -> str:
    """What Trino would refuse of a statement of ours; empty for nothing.

    https://trino.io/docs/current/sql/create-table-as.html, …/sql/select.html, …/connector/delta-lake.html
    """
    if tree.find(exp.TemporaryProperty):
        return "SYNTAX_ERROR"
    if isinstance(tree, exp.Create) and tree.expression:
        if any(isinstance(each.unalias(), exp.Null) for each in tree.expression.selects) and not _united(tree):
            return "COLUMN_TYPE_UNKNOWN"
        names = [each.alias_or_name for each in tree.expression.selects]
        if any(re.search(r"[^a-z0-9_]", name) for name in names if name != "*"):
            return "DELTA_LAKE_INVALID_SCHEMA"
    if any(join.side == "FULL" and not isinstance(join.args["on"], exp.EQ) for join in tree.find_all(exp.Join)):
        return "NOT_SUPPORTED"
    return ""


def _united(create: Any) -> bool:
    """Whether another part of the query says the type."""
    return isinstance(create.expression, exp.SetOperation)


@lru_cache(maxsize=4096)
def translated(sql: str) -> str:
    """A statement as DuckDB says it. Raises TrinoUserError."""
    tree = parse_one(sql, dialect="trino")
    if name := amiss(tree):
        raise refused(name, sql)
    for each in tree.find_all(exp.Typeof):
        each.replace(exp.Lower(this=each.copy()))
    return tree.sql(dialect="duckdb")


class Driver:
    """A connection of the driver's: its options are told as the real one's.

    refuses: what no statement may hold for now; heard: all that it was told
    """

    refuses = ""

    def __init__(self, **options: Any):
        self.session = dict(options.get("session_properties") or {})
        self.engine, self.heard = kept().cursor(), list[str]()
        self.engine.execute("set timezone = 'UTC'")
        self.engine.execute(f"set schema = '\"{options['schema']}\"'")
        self.closed = False
        opening.append(self)

    def cursor(self) -> Cursor:
        return Cursor(self)

    def close(self) -> None:
        self.closed = True


opening: list[Driver] = []


class Cursor:
    rowcount = -1

    def __init__(self, driver: Driver):
        self.driver, self.description, self.rows = driver, [], []

    def execute(self, sql: str) -> Cursor:
        self.driver.heard.append(sql)
        if self.driver.refuses and self.driver.refuses in sql:
            raise HttpError("error 503: service unavailable")
        if found := SESSION.match(sql):
            deed, name, value = found.groups()
            self.driver.session.pop(name, None)
            if deed.lower() == "set":
                self.driver.session[name] = value
        elif found := CATALOGS.search(sql):
            self.rows = [[CONNECTORS[found[1]]]] if found[1] in CONNECTORS else []
            self.description = [("connector_name", "varchar")]
        else:
            self.run(sql)
        return self

    def run(self, sql: str) -> None:
        try:
            done = self.driver.engine.execute(translated(sql))
        except duckdb.Error as error:
            raise refused(_name(error), str(error)) from None
        told = [(name, str(kind)) for name, kind, *_ in done.description]
        self.description = [(name, TYPES.get(kind, kind.lower())) for name, kind in told]
        self.rows = [list(row) for row in done.fetchall()]

    def fetchall(self) -> list[list[Any]]:
        return self.rows


def _name(error: duckdb.Error) -> str:
    if "already exists" in str(error):
        return "TABLE_ALREADY_EXISTS"
    if isinstance(error, duckdb.CatalogException) and "does not exist" in str(error):
        return "SCHEMA_NOT_FOUND" if "Schema with name" in str(error) else "TABLE_NOT_FOUND"
    return NAMES.get(type(error), "GENERIC_USER_ERROR")


@contextmanager
def falsely() -> Iterator[Any]:
    """With the false driver in place of the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiences.warehouse.trinoed.connect", Driver)
        opening.clear()
        yield patch


class Spoken:
    """A schema past our code, spoken to as the other drivers' connections are."""

    def __init__(self, schema: str):
        self.cursor = kept().cursor()
        self.cursor.execute(f"set schema = '\"{schema}\"'")
        self.description = True

    def execute(self, statement: str) -> Spoken:
        self.cursor.execute(statement)
        return self

    def fetchall(self) -> list[tuple]:
        return self.cursor.fetchall()


class Trino:
    """A schema of a catalog, beside which another holds our tables."""

    name, dialect, nowhere = "trino", "trino", "trino://worker@trino.example.com/lake/nowhere"

    def __init__(self, databases: object = None):
        """Needs no server."""

    def new(self, folder: Path) -> URL:
        schema = f"t{next(NUMBERS)}"
        self.listing = (
            f"select table_name from information_schema.tables where table_schema = '{schema}_sync'"
            " and not starts_with(table_name, 'scratch_')"
        )
        kept().execute(f'create schema "{schema}"')
        return make_url(f"trino://worker@trino.example.com/lake/{schema}")

    def alone(self) -> URL:
        """A warehouse that is opened once, and in which a test makes tables through it."""
        url = self.new(Path())
        kept().execute(f'create schema "{self.schema(url)}"')
        return url

    def _shop(self, url: URL) -> str:
        return str(url.database).partition("/")[2]

    def schema(self, url: URL) -> str:
        return f"{self._shop(url)}_sync"

    def scratch(self, url: URL) -> list[str]:
        """The tables that are temporary, and there."""
        asked = "select table_name from information_schema.tables where table_schema = ? and table_name like 'scratch%'"
        return [name for (name,) in kept().execute(asked, [self.schema(url)]).fetchall()]

    @contextmanager
    def open(self, url: URL) -> Iterator[Spoken]:
        yield Spoken(self._shop(url))

    def fill(self, url: URL, table: str, rows: list[tuple]) -> None:
        with self.open(url) as connection:
            connection.execute(f"delete from {table}")
            if rows:
                places = ", ".join("?" * len(rows[0]))
                connection.cursor.executemany(f"insert into {table} values ({places})", rows)

    @contextmanager
    def ours(self, url: URL) -> Iterator[Read]:
        """What reaches our tables."""
        with self.warehouse(url) as warehouse:
            yield Read(warehouse)

    def warehouse(self, url: URL) -> Warehouse:
        return opened(url, self.schema(url))

    def close(self, url: URL) -> None:
        """Nothing of it is held."""
