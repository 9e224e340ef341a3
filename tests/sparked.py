"""Databricks' words on Spark SQL, its engine without Delta: what only Databricks has is said otherwise here."""

from __future__ import annotations

import itertools
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import URL, make_url

from audiences.warehouse import Warehouse, driven
from audiences.warehouse.databricksed import Cursor
from audiences.warehouse.opened import opened
from audiences.warehouse.sources.databricks import DatabricksSource
from engines import Read

NUMBERS = itertools.count(1)
# What Spark has not -> what stands for it.
INSTEAD = {
    r" TBLPROPERTIES \('delta.columnMapping.mode' = 'name'\)": "",
    r" default collation utf8_binary": "",
    r"DELETE FROM (\S+) WHERE TRUE": r"truncate table \1",  # of a user's table in parquet
    r"'(\d{4}-\d\d-\d\d(T[\d:]+)?)'": r"timestamp_ntz'\1'",  # as a test writes a moment
    r"set STATEMENT_TIMEOUT = \d+|reset STATEMENT_TIMEOUT": "select 1",
}
# A temporary table is one of the session's schema here. What either statement means of it:
# https://learn.microsoft.com/en-us/azure/databricks/tables/temporary-tables,
# https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-drop-table (read 2026-11)
MADE = re.compile(r"(?i)create (or replace )?temporary table (`\w+`)")
DROPPED = re.compile(r"(?i)drop (temporary )?table (?:if exists )?(`\w+`)$")
SCHEMATA = re.compile(r"select count\(\*\) from information_schema.schemata where schema_name = '(\w+)'")
TABLES = re.compile(r"select table_name from information_schema.tables where table_schema = '(\w+)' and .*, '(\w*)'\)")
PROJECT = re.compile(r"UPDATE (\S+) SET (.+)")


@cache
def session() -> Any:
    """The one that this process has."""
    sql = pytest.importorskip("pyspark.sql", reason="pyspark has an environment of its own: make apart")
    if not shutil.which("java"):
        pytest.skip("there is no Java, on which Spark runs")
    conf = {"spark.sql.shuffle.partitions": 1, "spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC"}
    conf |= {"spark.sql.adaptive.enabled": "false", "spark.sql.codegen.wholeStage": "false"}  # for tables of a few rows
    conf |= {"spark.sql.warehouse.dir": tempfile.mkdtemp(), "spark.sql.sources.default": "parquet"}
    found = sql.SparkSession.builder.master("local[1]")
    for name, value in conf.items():
        found = found.config(name, value)
    made = found.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    logging.getLogger("SQLQueryContextLogger").disabled = True
    return made


class Error(Exception):
    """What fails, as a driver's error."""


class Answer:
    """What the connector's cursor would give. temporary: the names of its session's temporary tables"""

    def __init__(self, temporary: set[str]) -> None:
        self.temporary = temporary
        self.description: Any = None
        self.rows: list[Any] = []

    def execute(self, statement: str) -> None:
        statement = self.lasting(statement)
        for pattern, other in INSTEAD.items():
            statement = re.sub(pattern, other, statement)
        try:
            self.answer(statement)
        except Exception as error:
            raise Error(f"{error} SQLSTATE: {getattr(error, 'getSqlState', lambda: '')()}") from None

    def lasting(self, statement: str) -> str:
        """The statement with an ordinary table for a temporary one. One that is there is made again only where that is
        said, and a DROP TABLE means it only where that is said.
        """
        if made := MADE.search(statement):
            if made[2] in self.temporary and not made[1]:
                raise Error(f"[TEMP_TABLE_OR_VIEW_ALREADY_EXISTS] {made[2]} SQLSTATE: 42P07")
            session().sql(f"drop table if exists {made[2]}" if made[2] in self.temporary else "select 1")
            self.temporary.add(made[2])
            return MADE.sub(r"create table \2", statement)
        dropped = DROPPED.search(statement)
        if dropped and bool(dropped[1]) != (dropped[2] in self.temporary):
            raise Error(f"[TABLE_OR_VIEW_NOT_FOUND] {dropped[2]} SQLSTATE: 42P01")
        self.temporary.discard(dropped[2] if dropped else "")
        return statement.replace(dropped[0], f"drop table {dropped[2]}") if dropped else statement

    def answer(self, statement: str) -> None:
        spark = session()
        if found := SCHEMATA.search(statement):
            self.rows, kinds = [(len(spark.sql(f"show schemas like '{found[1]}'").collect()),)], [("n", "bigint")]
        elif found := TABLES.search(statement):
            names = [row[1] for row in spark.sql(f"show tables in {found[1]}").collect()]
            self.rows, kinds = sorted((name,) for name in names if name.startswith(found[2])), [("n", "string")]
        elif found := PROJECT.fullmatch(statement):  # of a table in parquet no row changes
            rows = spark.sql(f"select * from {found[1]}").collect()
            told = dict(re.findall(r"`(\w+)` = '([^']*)'", found[2]))
            [row] = [{**row.asDict(), **told} for row in rows]
            values = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in row.values())
            self.rows, kinds = spark.sql(f"insert overwrite {found[1]} values ({values})").collect(), []
        else:
            frame = spark.sql(statement)
            self.rows, kinds = [tuple(row) for row in frame.collect()], frame.dtypes
        self.description = [(name, str(kind).partition("(")[0], *[None] * 5) for name, kind in kinds] or None

    def fetchall(self) -> list[Any]:
        return self.rows

    def close(self) -> None:
        """Nothing is held."""


class Connection:
    """A connection of the session, whose schema is one that a test has made."""

    def __init__(self, schema: str):
        self.schema, self.temporary = schema, set[str]()

    def cursor(self) -> Cursor:
        session().catalog.setCurrentDatabase(self.schema)
        return Cursor(Answer(self.temporary))

    def close(self) -> None:
        for name in self.temporary:
            session().sql(f"drop table if exists {self.schema}.{name}")


def engine_of(source: DatabricksSource) -> Engine:
    """As `databricksed.opened` makes one."""
    return driven.engine(SimpleNamespace(Error=Error), lambda: Connection(str(source.url.query["schema"])))


class Spoken:
    """The session, spoken to as the drivers' connections are."""

    def __init__(self, schema: str):
        self.connection, self.description, self.rows = Connection(schema), True, list[tuple]()

    def execute(self, statement: str) -> Spoken:
        cursor = self.connection.cursor()
        cursor.execute(statement.replace(" varchar", " string"))
        self.rows = cursor.fetchall()
        return self

    def fetchall(self) -> Sequence[tuple]:
        return self.rows


class Spark:
    """A schema of the session, beside which another holds our tables."""

    name, dialect, nowhere = "spark", "databricks", "databricks://token:t@nowhere?http_path=p&catalog=c&schema=s"
    listing = (
        "select table_name from information_schema.tables where table_schema = 'audience_sync' and startswith(x, '')"
    )

    def __init__(self, databases: object = None):
        """Needs no server."""

    def new(self, folder: Path) -> URL:
        schema = f"t{next(NUMBERS)}"
        session().sql(f"create schema {schema}")
        for view in session().catalog.listTables():
            if view.isTemporary:
                session().catalog.dropTempView(view.name)  # of other tests: it would stand before a table of its name
        return make_url(f"databricks://token:t@localhost?http_path=p&catalog=spark_catalog&schema={schema}")

    def alone(self) -> URL:
        """A warehouse that is opened once, and in which a test makes tables through it."""
        return self.new(Path())

    @contextmanager
    def open(self, url: URL) -> Iterator[Spoken]:
        yield Spoken(str(url.query["schema"]))

    @contextmanager
    def ours(self, url: URL) -> Iterator[Read]:
        """What reaches our tables, whichever are meant."""
        with self.warehouse(url) as warehouse:
            yield Read(warehouse)

    def warehouse(self, url: URL) -> Warehouse:
        return opened(url, f"{url.query['schema']}_sync")

    def fill(self, url: URL, table: str, rows: list[tuple]) -> None:
        with self.open(url) as connection:
            values = ", ".join(f"({', '.join(map(written, row))})" for row in rows)
            columns = "cast(null as bigint) as id, cast(null as string) as email, cast(null as int) as nps where false"
            given = f"values {values}" if rows else f"select {columns}"
            connection.execute(f"insert overwrite {table} {given}")

    def close(self, url: URL) -> None:
        """Nothing of it is held."""


def written(value: object) -> str:
    """A value as Spark reads it."""
    return "null" if value is None else f"'{value}'" if isinstance(value, str) else str(value)
