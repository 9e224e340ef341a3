"""A DuckDB that is told what SQL Server would be told: each statement is read as T-SQL, and meant in DuckDB's words.

It proves what our own translation means, and nothing of SQL Server: that its T-SQL is what sqlglot takes for T-SQL,
and that a text ends where it ends.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from pymssql import ProgrammingError
from sqlalchemy.engine import URL, make_url
from sqlglot import exp, parse_one

from audiences.warehouse import Warehouse
from audiences.warehouse.opened import opened
from engines import DuckDB, Read

sys.setrecursionlimit(5_000)  # JSON of a text is 33 functions deep, and each takes sqlglot's parser a dozen steps
NUMBERS = itertools.count(1)
NUMBER = {duckdb.CatalogException: 208, duckdb.BinderException: 207}
CONCATENATED = (exp.Chr, exp.DPipe, exp.Replace, exp.Lower, exp.Substring)
# What sqlglot does not read -> DuckDB's.
INSTEAD = {
    r"(?i)set implicit_transactions off; set transaction isolation level read committed$": "select 1",
    r"if schema_id\(N'\w+'\) is null exec\(N'create schema \[(\w+)\]'\)$": r'create schema if not exists "\1"',
    r"IF OBJECT_ID\(N'[^']+'\) IS NULL CREATE TABLE": "CREATE TABLE IF NOT EXISTS",
    r"EXEC sp_rename N'(\[\w+\]\.\[\w+\])', N'(\w+)'$": r"ALTER TABLE \1 RENAME TO \2",
    r"(?i) collate Latin1_General_100_BIN2": "",
    r"select name from sys.tables where schema_id = schema_id\(('\w+')\)": (
        r"select name from (select table_name as name, table_schema from information_schema.tables) as t"
        r" where table_schema = \1"
    ),
    r"\bsys\.schemas where name\b": "information_schema.schemata where schema_name",
}
DESCRIBED = re.compile(
    r"(?:if object_id\(N'\[(\w+)\]\.\[(\w+)\]'\) is not null )?exec sp_describe_first_result_set @tsql = N'(.*)'$",
    re.DOTALL,
)
TYPES = {"INTEGER": "int", "VARCHAR": "nvarchar(max)", "TIMESTAMP": "datetime2(7)", "BOOLEAN": "bit", "DOUBLE": "float"}
TYPES |= {"TIMESTAMP WITH TIME ZONE": "datetimeoffset(7)", "UUID": "uniqueidentifier", "BLOB": "varbinary(max)"}


def meant(statement: str) -> str:
    """A statement of T-SQL in DuckDB's words."""
    for pattern, other in INSTEAD.items():
        statement = re.sub(pattern, other, statement)
    statement = re.sub(r"NCHAR\((\d+)\)", lambda found: f"'{chr(int(found[1]))}'", statement)  # sqlglot reads a type
    tree = parse_one(statement, dialect="tsql").transform(_meant)
    for each in reversed([*tree.find_all(exp.Add)]):  # `+` of texts
        if _text(each):
            each.replace(exp.DPipe(this=each.this, expression=each.expression))
    for each in [*tree.find_all(exp.TryCast)]:  # blanks are 0 there, or the first day of 1900
        blank = exp.Trim(this=each.this.copy()).eq(exp.Literal.string(""))
        other = "1900-01-01" if each.to.is_type("date", "timestamp") else "0"
        each.set("this", exp.case().when(blank, exp.Literal.string(other)).else_(each.this.copy()))
    into = tree.find(exp.Into)
    if into is None:
        return tree.sql(dialect="duckdb")
    into.pop()
    temporary = "temp " if into.find(exp.Identifier).args.get("temporary") else ""
    return f"create {temporary}table {into.this.sql(dialect='duckdb')} as {tree.sql(dialect='duckdb')}"


def _meant(node: Any) -> Any:
    if isinstance(node, exp.DataType):
        kinds = {exp.DType.BIT: "boolean", exp.DType.NVARCHAR: "varchar", exp.DType.DATETIME2: "timestamp"}
        return exp.DataType.build(kinds[node.this]) if node.this in kinds else node
    if isinstance(node, exp.National):
        return exp.Literal.string(_continued(node.this))
    return node


def _continued(text: str) -> str:
    """A literal as the server reads it."""
    return re.sub(r"\\\r?\n", "", text)


def _text(node: Any) -> bool:
    inner = node.unnest()
    if isinstance(inner, exp.Add | exp.DPipe):
        return _text(inner.this) or _text(inner.expression)
    if isinstance(inner, exp.Cast):
        return inner.to.is_type(exp.DType.VARCHAR, exp.DType.TEXT)
    return isinstance(inner, CONCATENATED) or (isinstance(inner, exp.Literal) and inner.is_string)


class Connection:
    """What stands in for the driver's. beneath: of DuckDB"""

    rowcount = -1

    def __init__(self, beneath: Any):
        self.beneath = beneath

    def cursor(self) -> Connection:
        return self

    def close(self) -> None:
        """Nothing is held."""

    def execute(self, statement: str) -> None:
        try:
            if asked := DESCRIBED.search(statement):
                self._describe(asked[1], asked[2], _continued(asked[3]).replace("''", "'"))
            else:
                found = self.beneath.execute(meant(statement))
                self.rows, self.description = found.fetchall(), found.description
        except duckdb.Error as error:
            words = f"{error}DB-Lib error message 20018, severity 16".encode()
            raise ProgrammingError(NUMBER.get(type(error), 245), words) from None

    def _describe(self, schema: str | None, table: str | None, select: str) -> None:
        there = "select 1 from information_schema.tables where table_schema = ? and table_name = ?"
        if table and not self.beneath.execute(there, [schema, table]).fetchall():
            self.rows, self.description = [], None
            return
        found = self.beneath.execute(f"describe {meant(select)}").fetchall()
        self.rows = [(False, name, TYPES.get(type_, type_.lower())) for name, type_, *_ in found]
        self.description = [(name, *[None] * 6) for name in ("is_hidden", "name", "system_type_name")]

    def fetchall(self) -> list[tuple]:
        return self.rows


class SQLServer(DuckDB):
    """A DuckDB in the place of a database of SQL Server's, in which our tables are."""

    name, dialect = "sqlserver", "tsql"

    def __init__(self) -> None:
        self.roots = dict[str | None, duckdb.DuckDBPyConnection]()

    def new(self, folder: Path) -> URL:
        return self.alone()

    def alone(self) -> URL:
        """A warehouse that is opened once."""
        url = make_url(f"mssql://worker:not-a-real-password@127.0.0.1:9/w{next(NUMBERS)}")
        self.roots[url.database] = duckdb.connect(":memory:", config={"threads": 1})
        return url

    @contextmanager
    def open(self, url: URL) -> Iterator[Any]:
        with self.roots[url.database].duplicate() as connection:
            yield connection

    @contextmanager
    def ours(self, url: URL) -> Iterator[Read]:
        """What reaches our tables, whichever are meant."""
        with self.warehouse(url) as warehouse:
            yield Read(warehouse)

    def warehouse(self, url: URL) -> Warehouse:
        return opened(url, "audience_sync")

    def connected(self, url: URL) -> Connection:
        """As the driver connects."""
        return Connection(self.roots[url.database].duplicate())

    @classmethod
    def close(cls, url: URL) -> None:
        """It goes with the test."""
