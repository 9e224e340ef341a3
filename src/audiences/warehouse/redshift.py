"""Amazon Redshift: our schema is one of the database that is read, and each statement is a transaction of its own.

Each operation uses the latest committed version of the data, on whichever cluster it runs, so that a row is seen by
whoever asks after its INSERT has returned. No more is relied on, at either level of isolation: `swapped` holds our
tables.

Blanks at the end of a text do not count where texts are compared. An audience's texts lose them as they are written
down: else whether `k` and `k ` are one member would be left to the step that compares them.

https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html, …/r_Character_types.html, …/r_COLLATE.html,
…/r_DB_COLLATION.html, …/r_TRY_CAST.html, …/r_enable_result_cache_for_session.html, …/concurrency-scaling.html
(read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from sqlalchemy import Connection, Engine

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import driven, sqlstate
from audiences.warehouse.dialects.letters import folded, original
from audiences.warehouse.dialects.redshift import kept, stepped
from audiences.warehouse.sources.redshift import RedshiftSource, described
from audiences.warehouse.words import APART, Conflict, Words, quoted

MISSING = {"42P01", "3F000"}  # no such table, no such schema
TOO_LONG = "22001"
# Two sessions met; what Redshift says of it has no SQLSTATE of its own.
# https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation-serializable-isolation-troubleshooting.html,
# https://github.com/aws/amazon-redshift-jdbc-driver/issues/147 (read 2026-11)
MET = re.compile(
    "serializable isolation violation|conflict with concurrent transaction|(dropped|aborted) by concurrent"
    "|could not open relation with oid",
    re.IGNORECASE,
)
# A type of the protocol -> the one in which our tables keep it.
KINDS = (
    dict.fromkeys(("int2", "int4", "int8"), "BIGINT")
    | dict.fromkeys(("bpchar", "varchar", "text", "name", "unknown"), "VARCHAR")
    | {"bool": "BOOLEAN", "float4": "REAL", "float8": "DOUBLE", "date": "DATE"}
    | {"timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ"}
)
HELPS = {
    "super": "json_serialize({})",
    "varbyte": "to_hex({})",
    "geometry": "st_astext({})",
    "numeric": "{}::decimal(38, 10)",
}


class Redshift(Words):
    """The words of Redshift."""

    __slots__ = ()

    dialect = "redshift"
    text = "VARCHAR"
    moment = "TIMESTAMP"
    lands = True
    swaps = True
    settles = 100_000_000
    reads = 40_000
    whole = re.compile(r"BIGINT|DECIMAL\(\d+,0\)")
    spelled = re.compile(r"VARCHAR|DATE")
    tables = (
        "select tablename from pg_catalog.pg_tables where schemaname = :schema"
        " and substring(cast(tablename as varchar), 1, length(:prefix)) = :prefix order by tablename"
    )
    has_schema = "select count(*) from pg_catalog.pg_namespace where nspname = :schema"

    @property
    def _source(self) -> RedshiftSource:
        return RedshiftSource(self.url)

    def engine(self) -> Engine:
        """psycopg, which `audiences[redshift]` brings."""
        if find_spec("psycopg") is None:
            raise DefinitionError("Redshift needs a driver", do="pip install 'audiences[redshift]'")
        import psycopg

        return driven.engine(psycopg, lambda: self._source.connected(autocommit=True))

    def greet(self, connection: Connection) -> None:
        """Raises WarehouseError where texts that differ in case alone would be one."""
        for setting in ("timezone to 'UTC'", "enable_result_cache_for_session to off"):
            connection.exec_driver_sql(f"set {setting}")
        if (found := connection.exec_driver_sql("select db_collation()").scalar_one()) != "case_sensitive":
            raise WarehouseError(
                f"the warehouse's database compares text as {found}, so that two keys may be one",
                do=f"let AUDIENCES_WAREHOUSE_URL name a database that was made collate case_sensitive; or {APART}",
            )

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL, step by step."""
        return stepped(statement)

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Each value in the type in which our tables keep it, and with the database's collation: for a text that is too
        long an INSERT is an error. Raises DefinitionError for what has no such type.
        """
        for name, kind in types.items():
            if kind not in KINDS.values() and not kind.startswith("DECIMAL("):
                raise DefinitionError(
                    f"the column {name!r} is of the type {kind}, which cannot be compared here",
                    do=f"cast it in the query: {HELPS.get(kind, 'cast({} as varchar)').format(name)} as {name}",
                )
        columns = ", ".join(f"{quoted(folded(name))} {kept(kind)}" for name, kind in types.items())
        read = (
            f"rtrim(q.{quoted(name)}, ' ')" if kind == self.text else f"q.{quoted(name)}"
            for name, kind in types.items()
        )
        return (
            f"drop table if exists {table}",
            f"create temp table {table} ({columns})",
            f"insert into {table} select {', '.join(read)} from (\n{select}\n) as q",
        )

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """Parsed by the server and not run."""
        return {name: _kind(type_, more) for name, type_, more in described(_driver(connection), select)}

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """Of a query for all of it: the same types as an audience's, and no catalogue has to know it."""
        try:
            found = described(_driver(connection), f"select * from {quoted(self.schema)}.{quoted(table)}")
        except connection.dialect.loaded_dbapi.Error as error:
            if getattr(error, "sqlstate", None) in MISSING:
                return {}
            raise
        return {original(name): _kind(type_, more) for name, type_, more in found}

    def fitted(self, expression: str, type_: str) -> str:
        """By way of text, of which alone it tries a cast; to a boolean it tries none."""
        if type_ == self.text:
            return f"cast({expression} as varchar)"
        if type_ == "BOOLEAN":
            return "cast(null as BOOLEAN)"
        return f"try_cast(cast({expression} as varchar) as {type_})"

    def key(self, columns: Sequence[str], types: Mapping[str, str]) -> tuple[str, str]:
        """A boolean is none: it becomes no text."""
        if len(columns) == 1 and types[columns[0]] == "BOOLEAN":
            raise DefinitionError(
                f"the key {columns[0]!r} is of the type BOOLEAN, which Redshift makes no text of",
                do=f"cast it in the query: case when {columns[0]} then 'true' else 'false' end as {columns[0]}",
            )
        return Words.key(self, columns, types)

    def bounding(self, most: timedelta) -> tuple[str, str]:
        """Its own time-out; after the block that of the user counts again."""
        return f"set statement_timeout to {most // timedelta(milliseconds=1)}", "reset statement_timeout"

    def shut(self, error: BaseException) -> Exception:
        """Sign-in, network, database."""
        return sqlstate.shut(error)

    def refusal(self, error: BaseException) -> Exception:
        """By SQLSTATE, or by its words where it has none of its own."""
        if MET.search(str(error)):
            return Conflict()
        if getattr(error, "sqlstate", None) == TOO_LONG:
            return WarehouseError(
                "a text of the audience is longer than the 65,535 bytes that Redshift keeps",
                do="shorten it in the query: left(…, 16000)",
            )
        return sqlstate.refusal(error, self.schema, self.url.username or "the worker's role")


def _driver(connection: Connection) -> Any:
    """psycopg's own connection."""
    return connection.connection.driver_connection


def _kind(type_: str, modifier: int) -> str:
    """What a type is called in our statements. modifier: of a number, its digits in all and behind the point"""
    if type_ == "numeric" and modifier > 4:
        return f"DECIMAL({(modifier - 4) >> 16},{(modifier - 4) & 0xFFFF})"
    return KINDS.get(type_, type_ or "unknown")
