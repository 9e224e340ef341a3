"""The warehouse: one connection, one schema of it for our tables, and the few words in which its engine differs.

Only DuckDB so far. What another engine says differently belongs here, and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from audiences import mask
from audiences.errors import AudienceError, Deferred, DefinitionError, WarehouseError

# What these say is about names and grammar; every other error of an engine may quote a value.
NAMING = ("CatalogException", "BinderException", "ParserException", "SyntaxException")


class Conflict(Exception):
    """Another worker changed what this transaction meant to change (DuckDB does not wait, it says so)."""


@dataclass
class Warehouse:
    """An open warehouse. Used by one thread; a DuckDB file is held until `close`."""

    url: URL
    schema: str
    engine: Engine = field(init=False)
    connection: Connection = field(init=False)
    limit: str = field(init=False)  # of DuckDB's memory, as it says it

    def __post_init__(self) -> None:
        dialect(self.url)
        file = Path(str(self.url.database))
        if not self.in_memory and not os.access(file, os.F_OK):
            raise DefinitionError(
                f"there is no warehouse file {file.name!r} where AUDIENCES_WAREHOUSE_URL points",
                do="create it where this user can see it, or mend the path"
                " (a relative one starts at the project's folder)",
            )
        # NullPool: a pooled connection would keep the file locked against every other process.
        self.engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        try:
            self.connection = self.engine.connect()
        except DBAPIError as error:
            raise shut(error) from None
        self.run("set enable_progress_bar = false")  # DuckDB would draw it on stdout, among what we print
        [(self.limit,)] = self.run("select current_setting('memory_limit')")

    @property
    def in_memory(self) -> bool:
        return self.url.database in (None, "", ":memory:")

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()
        self.engine.dispose()

    def relieve(self) -> None:
        """Let go of the pages that DuckDB keeps in case they are read again. Unasked it keeps them up to its limit."""
        with suppress(WarehouseError):  # what is in use stays
            self.run("set memory_limit = '32MB'")
        self.run(f"set memory_limit = '{self.limit}'")

    def table(self, name: str) -> str:
        """A table of ours, quoted, with its schema."""
        return f'"{self.schema}"."{name}"'

    def prepare(self) -> None:
        """Make our schema, where it is missing."""
        self.run(f'create schema if not exists "{self.schema}"')

    def tables(self, prefix: str) -> list[str]:
        """The names of our tables that start with `prefix`."""
        rows = self.rows(
            "select table_name from duckdb_tables() where database_name = current_database() and schema_name = :schema"
            " and starts_with(table_name, :prefix) order by table_name",
            schema=self.schema,
            prefix=prefix,
        )
        return [name for (name,) in rows]

    def columns(self, table: str) -> dict[str, str]:
        """Column -> type of one of our tables; empty where there is no such table."""
        if table not in self.tables(table):
            return {}
        return {row[0]: row[1] for row in self.run(f"describe {self.table(table)}")}

    def described(self, select: str) -> dict[str, str]:
        """Column -> type that a SELECT would return; the engine plans it and runs nothing."""
        return {row[0]: row[1] for row in self.run(f"describe {select}")}

    def rows(self, sql: str, **values: object) -> Sequence[Any]:
        with self._in_words():
            return self.connection.execute(text(sql), values).fetchall()

    def change(self, sql: str, **values: object) -> int:
        """Run a statement of ours; the rows it changed."""
        with self._in_words():
            return int(self.connection.execute(text(sql), values).rowcount)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL that holds an audience's text: nothing in it is taken for a parameter. Plain tuples."""
        with self._in_words():
            result = self.connection.execution_options(no_parameters=True).exec_driver_sql(sql)
            return list(result.cursor.fetchall()) if result.cursor is not None else []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Raises Conflict where another worker got there first."""
        self.run("begin transaction")
        try:
            yield
            self.run("commit")
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        try:
            self.connection.exec_driver_sql("rollback")
        except DBAPIError:  # DuckDB ends the transaction by itself where a commit fails
            return

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise in_words(error) from None


def dialect(url: URL) -> str:
    """What sqlglot calls the SQL of a warehouse. Raises DefinitionError for a kind that is not supported yet."""
    kind = url.get_backend_name()
    if kind != "duckdb":
        raise DefinitionError(
            f"a warehouse of the kind {kind!r} is not supported yet",
            do="set AUDIENCES_WAREHOUSE_URL to a DuckDB database: duckdb:///path/to/file.duckdb",
        )
    return kind


def shut(error: DBAPIError) -> Exception:
    """Why a warehouse cannot be opened. No row was read yet: what the engine says of the file is shown."""
    if "Could not set lock" in str(error.orig) or type(error.orig).__name__ != "IOException":
        return in_words(error)
    said = str(error.orig).splitlines()[0].removeprefix("IO Error: ")
    return WarehouseError(f"the warehouse cannot be opened: {said}", do="mend the file, or AUDIENCES_WAREHOUSE_URL")


def in_words(error: DBAPIError) -> Exception:
    """What an engine's error means to a person. Its message is shown only where it cannot hold a value."""
    kind, said = type(error.orig).__name__, str(error.orig)
    if kind == "TransactionException":
        return Conflict()
    if "Could not set lock" in said:
        return held()
    if "read-only mode" in said:
        return WarehouseError("the warehouse is read-only", do="let the worker write its schema")
    if kind in NAMING:
        return WarehouseError(
            f"the warehouse refuses a statement: {mask.text(said.splitlines()[0])}", do="mend the audience's SQL"
        )
    return WarehouseError(
        f"the warehouse fails with {kind}; its words may hold data and are not shown",
        do="run the audience's SQL in a console of the warehouse to see them",
    )


def held() -> AudienceError:
    """What to say where another process has the warehouse's file."""
    return Deferred(
        "the warehouse file is held by another process (DuckDB lets one process in at a time)",
        do="wait for that run to end, or close the console that has the file open, and try again",
    )


def literal(value: str) -> str:
    """Text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
