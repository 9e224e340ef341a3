"""SQL Server and Azure SQL Database: our schema is one of the database that is read, each statement a transaction.

At READ COMMITTED, with or without row versions, a SELECT sees what was committed before it began, and a statement that
has returned is committed, where the login's settings open no transaction by themselves. No more is relied on: `swapped`
holds our tables. A SELECT … INTO that fails may leave an empty table: nobody reads one before a row of the control
table names it.

Blanks at the end of a text do not count where texts are compared, whatever the collation. An audience's texts lose them
as they are written down: else whether `k` and `k ` are one member would be left to the step that compares them.

https://learn.microsoft.com/en-us/sql/t-sql/statements/set-transaction-isolation-level-transact-sql,
…/t-sql/queries/select-into-clause-transact-sql, …/t-sql/language-elements/string-comparison-assignment,
…/t-sql/statements/set-implicit-transactions-transact-sql,
…/relational-databases/system-stored-procedures/sp-describe-first-result-set-transact-sql (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib.util import find_spec

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import awaited, driven
from audiences.warehouse.dialects.tsql import COLLATION, stepped, temporary
from audiences.warehouse.sources.sqlserver import SQLServerSource, compiled, national, parted, told
from audiences.warehouse.words import APART, Cancelled, Conflict, Words

MISSING = {208}  # no such table
# A table or a schema that is there already, or is gone; a deadlock; a table that is being changed.
MET = {1205, 1222, 2714, 3701, 3961}
# Of several errors the driver tells the gravest: of a schema that may not be made (262) that it was not made (2759).
DENIED = {229, 262, 2759, 2760}
KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), "BIGINT"),
    **dict.fromkeys(("char", "varchar", "text", "nchar", "nvarchar", "ntext", "sysname"), "VARCHAR"),
    **dict.fromkeys(("datetime2", "datetime", "smalldatetime"), "TIMESTAMP"),
    "bit": "BOOLEAN",
    "date": "DATE",
    "money": "DECIMAL(19,4)",
    "smallmoney": "DECIMAL(10,4)",
}
KEPT = {
    "BIGINT": "cast({} as bigint)",
    "BOOLEAN": "cast({} as bit)",
    "DATE": "cast({} as date)",
    "TIMESTAMP": "cast({} as datetime2)",
    "VARCHAR": f"rtrim(cast({{}} as nvarchar(max))) {COLLATION}",
}
HELPS = {
    **dict.fromkeys(("float", "real"), "cast({} as decimal(38, 10))"),  # their text has six digits
    **dict.fromkeys(("binary", "varbinary", "image", "timestamp"), "convert(nvarchar(max), {}, 2)"),
    "datetimeoffset": "cast(switchoffset({}, '+00:00') as datetime2)",
    "uniqueidentifier": "lower(cast({} as nvarchar(36)))",
}


class SQLServer(Words):
    """The words of SQL Server."""

    __slots__ = ()

    dialect = "tsql"
    text = "VARCHAR"
    moment = "TIMESTAMP"
    lands = True
    swaps = True
    settles = 100_000_000
    reads = 40_000
    whole = re.compile(r"BIGINT|DECIMAL\(\d+,0\)")
    spelled = re.compile(r"VARCHAR|DATE")
    tables = (
        "select name from sys.tables where schema_id = schema_id(:schema)"
        " and left(name, len(:prefix)) = :prefix collate Latin1_General_100_BIN2 order by name"
    )
    has_schema = "select count(*) from sys.schemas where name = :schema"

    @property
    def _source(self) -> SQLServerSource:
        return SQLServerSource(self.url)

    def engine(self) -> Engine:
        """pymssql, which `audiences[sqlserver]` brings."""
        if find_spec("pymssql") is None:
            raise DefinitionError("SQL Server needs a driver", do="pip install 'audiences[sqlserver]'")
        import pymssql

        pymssql.set_wait_callback(awaited.wait)
        return driven.engine(pymssql, lambda: self._source.connection(autocommit=True))

    def greet(self, connection: Connection) -> None:
        """What the driver has not set already."""
        asked = connection.execution_options(no_parameters=True)  # the driver takes even none of them for some
        asked.exec_driver_sql("set implicit_transactions off; set transaction isolation level read committed")

    def founded(self) -> Sequence[str]:
        """A CREATE SCHEMA stands alone in what is run."""
        made = f"create schema {_quoted(self.schema)}"
        return (f"if schema_id({national(self.schema)}) is null exec({national(made)})",)

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL, step by step."""
        return stepped(statement)

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Each value in the type in which our tables keep it. Raises DefinitionError for what has no such type."""
        picked = ", ".join(f"{_kept(name, kind)} as {_quoted(name)}" for name, kind in types.items())
        (head, body), name = parted(select), _quoted(temporary(table[1:-1]))
        made = f"{head}select {picked} into {name} from (\n{body}\n) as q"
        return f"drop table if exists {name}", made

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """Compiled by the server and not run."""
        return _columns(connection, compiled(select))

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """Of a query for all of it, where it is there."""
        name = f"{_quoted(self.schema)}.{_quoted(table)}"
        there = f"if object_id({national(name)}) is not null"
        return _columns(connection, f"{there} {compiled(f'select * from {name}')}")

    def fitted(self, expression: str, type_: str) -> str:
        """By way of text, of which alone each cast can be tried. An empty one would become 0 or 1900-01-01, a day in
        another form than ISO's what the login's language says, and any number a bit: all that is sent again.
        """
        text = f"cast({expression} as varchar)"
        if type_ == self.text:
            return text
        if type_ == "BOOLEAN":
            return "cast(null as BOOLEAN)"
        if type_ in (self.moment, "DATE"):
            return f"case when {text} like '____-__-__%' then try_cast({text} as {type_}) end"
        return f"try_cast(nullif({text}, '') as {type_})"

    def key(self, columns: Sequence[str], types: Mapping[str, str]) -> tuple[str, str]:
        """A boolean is none: its text is 1 or 0."""
        if len(columns) == 1 and types[columns[0]] == "BOOLEAN":
            raise DefinitionError(
                f"the key {columns[0]!r} is of the type bit, whose text is 1 or 0 here",
                do=f"cast it in the query: case {columns[0]} when 1 then 'true' else 'false' end as {columns[0]}",
            )
        return Words.key(self, columns, types)

    @contextmanager
    def timed(self, connection: Connection, most: timedelta) -> Iterator[None]:
        """The server has no time-out: the worker waits for its answer so long."""
        try:
            with awaited.within(most):
                yield
        except Cancelled:
            with suppress(DBAPIError):  # gone: the wire has ended
                connection.exec_driver_sql("select 1")  # before it the driver has the server end the other
            raise

    def shut(self, error: BaseException) -> Exception:
        """Sign-in, network, database."""
        return self._source.shut(error)

    def refusal(self, error: BaseException) -> Exception:
        """By its number."""
        number, said = told(error)
        if number in MET or (number in MISSING and self.schema in said):
            return Conflict()
        refused = self._source.refusal(error)
        if number in DENIED:
            grants = f"create schema {_quoted(self.schema)} authorization its user, grant create table to it"
            return WarehouseError(
                f"the warehouse refuses: {said}",
                do=f"grant select on what it names to the worker's user; our own tables need: {grants}; or {APART}",
            )
        return refused


def _columns(connection: Connection, statement: str) -> dict[str, str]:
    """Column -> type, of what is compiled; empty where nothing is."""
    asked = connection.execution_options(no_parameters=True).exec_driver_sql(statement)
    if not asked.returns_rows:
        return {}
    place = {name: at for at, (name, *_) in enumerate(asked.cursor.description)}
    return {row[place["name"]] or "": _kind(row[place["system_type_name"]]) for row in asked.cursor.fetchall()}


def _kind(type_: str | None) -> str:
    """What a type is called in our statements."""
    name, _, size = (type_ or "unknown").partition("(")
    return f"DECIMAL({size}" if name in ("decimal", "numeric") else KINDS.get(name, name)


def _kept(name: str, kind: str) -> str:
    """A column as it is kept."""
    if kind not in KEPT and not kind.startswith("DECIMAL("):
        help_ = HELPS.get(kind, "cast({} as nvarchar(max))").format(name)
        raise DefinitionError(
            f"the column {name!r} is of the type {kind}, which cannot be compared here",
            do=f"cast it in the query: {help_} as {name}",
        )
    return KEPT.get(kind, f"cast({{}} as {kind})").format(f"q.{_quoted(name)}")


def _quoted(name: str) -> str:
    return f"[{name.replace(']', ']]')}]"
