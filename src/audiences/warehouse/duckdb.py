"""DuckDB: a file, or memory, inside of this process. One process at a time holds a file, until its last connection."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from audiences import mask
from audiences.errors import AudienceError, DefinitionError, Held, WarehouseError
from audiences.warehouse.opening import opened
from audiences.warehouse.words import APART, Cancelled, Conflict, Words, interrupting, quoted

FEW = 48_000_000  # bytes of pages that are not worth to be relieved of
# Types whose JSON is what Python would write; other floats than DOUBLE are rounded on the way.
PLAIN = re.compile(r"VARCHAR|BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|DOUBLE")
DECIMAL = re.compile(r"DECIMAL\(\d+,([0-6])\)")  # finer ones of many digits Python writes with an exponent
ZSTD = re.compile(r"v(1\.[2-9]|1\.\d\d|[2-9])")  # versions of a file that can hold it
# What these say is about names and grammar; every other error may quote a value.
NAMING = ("CatalogException", "BinderException", "ParserException", "SyntaxException")


class DuckDB(Words):
    """The words of DuckDB. It finds conflicts by column, and does not wait: it says so."""

    __slots__ = ()

    dialect = "duckdb"
    text = "VARCHAR"
    moment = "TIMESTAMP"
    streams = True
    number = "hash({})"
    apart = True
    # What is let go of. An audience that several syncs share is in memory only, and would be written to disk for it.
    loose: ClassVar[str] = "tag = 'BASE_TABLE'"
    numbers = True  # to number them in the query would keep it to one core
    whole = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|BOOLEAN|DECIMAL\(\d+,0\)")
    spelled = re.compile(r"VARCHAR|DATE|TIMESTAMP|UUID|ENUM\(.*\)", re.DOTALL)
    tables = (
        "select table_name from duckdb_tables() where database_name = current_database() and schema_name = :schema"
        " and starts_with(table_name, :prefix) order by table_name"
    )
    has_schema = (
        "select count(*) from duckdb_schemas() where database_name = current_database() and schema_name = :schema"
    )

    def engine(self) -> Engine:
        """Raises DefinitionError where there is no such file."""
        self.there()
        return opened(self.url)

    def there(self) -> None:
        """Raises DefinitionError where there is no such file: to open it would make one."""
        file = Path(str(self.url.database))
        if self.url.database not in (None, "", ":memory:") and not os.access(file, os.F_OK):
            raise DefinitionError(
                f"there is no warehouse file {file.name!r} where AUDIENCES_WAREHOUSE_URL points",
                do="create it where this user can see it, or mend the path"
                " (a relative one starts at the project's folder)",
            )

    def greet(self, connection: Connection) -> None:
        """It would draw its progress on stdout, among what we print.

        Of what it packs text with, zstd takes two thirds of the time and of the room. An older file has none.
        """
        connection.exec_driver_sql("set enable_progress_bar = false")
        [(written,)] = connection.exec_driver_sql(
            "select tags['storage_version'] from duckdb_databases() where database_name = current_database()"
        )
        if written and ZSTD.match(written):
            connection.exec_driver_sql("set force_compression = 'zstd'")

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """Asked of the binder."""
        rows = connection.execution_options(no_parameters=True).exec_driver_sql(f"describe {select}")
        return {row[0]: row[1] for row in rows}

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """Asked of the binder once the table is known to be there: `duckdb_columns()` lists all that any table has.

        The schema is ours, and so are its names: none needs quoting inside of a literal.
        """
        there = connection.exec_driver_sql(
            "select 1 from duckdb_tables() where database_name = current_database()"
            f" and schema_name = '{self.schema}' and table_name = '{table}'"
        ).first()
        return self.described(connection, f"from {quoted(self.schema)}.{quoted(table)}") if there else {}

    def fitted(self, expression: str, type_: str) -> str:
        """Its own word for that."""
        return f"try_cast({expression} as {type_})"

    def timed(self, connection: Connection, most: timedelta) -> AbstractContextManager[None]:
        """It has no time-out of its own."""
        return interrupting(connection, most)

    def written(self, key: str, fields: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
        """By its own JSON, which writes NaN and infinity too. A struct's is made faster than json_object's."""
        values = {name: _json(*field) for name, field in fields.items()}
        if None in values.values():
            return None
        parts = ", ".join(f"{quoted(name)} := {value}" for name, value in values.items())
        finite = [f"isfinite({column})" for column, type_ in fields.values() if type_ in ("DOUBLE", "DATE")]
        told = f"to_json(struct_pack(key := {key}, fields := struct_pack({parts})))"
        return told, " and ".join(finite) or "true"

    @contextmanager
    def beside(self, connection: Connection) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """Of the same instance: a new one in memory would be another database."""
        driver: Any = connection.connection.driver_connection
        with closing(driver.duplicate()) as other:
            other.execute("set enable_progress_bar = false")
            yield lambda sql: list(other.execute(sql).fetchall())

    def relieve(self, connection: Connection) -> None:
        """It keeps pages in case they are read again, up to its limit; what is in use stays.

        Where they are few it is left alone: to let go of them takes longer than to settle a small delivery.
        """
        pages = f"coalesce(sum(memory_usage_bytes) filter ({self.loose}), 0)"
        asked = f"select current_setting('memory_limit'), {pages}, sum(memory_usage_bytes) from duckdb_memory()"
        [(usual, pages, held)] = connection.exec_driver_sql(asked)
        if pages <= FEW:
            return
        with suppress(DBAPIError):
            connection.exec_driver_sql(f"set memory_limit = '{held - pages + FEW}B'")
        connection.exec_driver_sql(f"set memory_limit = '{usual}'")

    def shut(self, error: BaseException) -> Exception:
        """A file that is missing, broken, or held by another process."""
        if "Could not set lock" in str(error) or type(error).__name__ != "IOException":
            return self.refusal(error)
        said = str(error).splitlines()[0].removeprefix("IO Error: ")
        return WarehouseError(f"the warehouse cannot be opened: {said}", do="mend the file, or AUDIENCES_WAREHOUSE_URL")

    def refusal(self, error: BaseException) -> Exception:
        """By the class of the error."""
        kind, said = type(error).__name__, str(error)
        if kind == "TransactionException":
            return Conflict()
        if kind == "InterruptException":
            return Cancelled("the warehouse was interrupted", do="nothing: run it again")
        if "Could not set lock" in said:
            return held()
        if "read-only mode" in said:
            return WarehouseError("the warehouse is read-only", do=f"let the worker write its schema; or {APART}")
        if kind in NAMING:
            return WarehouseError(
                f"the warehouse refuses a statement: {mask.text(said.splitlines()[0])}", do="mend the audience's SQL"
            )
        return WarehouseError(
            f"the warehouse fails with {kind}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them",
        )


def _json(column: str, type_: str) -> str | None:
    """What to_json makes of the value what `portable` says; None where that is not known."""
    said = f"cast({column} as varchar)"
    if PLAIN.fullmatch(type_):
        return column
    if type_ == "DATE":
        return said
    if type_ == "HUGEINT":
        return (
            f"case when {column} between {-(2**63)} and {2**64 - 1} then cast({said} as json) else to_json({said}) end"
        )
    if found := DECIMAL.fullmatch(type_):
        number = f"case when {column} = trunc({column}) then cast(cast({column} as hugeint) as varchar) else {said} end"
        few = f"abs({column}) < {10 ** (15 - int(found[1]))}"
        return f"case when {few} then cast({number} as json) else to_json({said}) end"
    return None


def held() -> AudienceError:
    """What to say where another process has the warehouse's file."""
    return Held(
        "the warehouse file is held by another process (DuckDB lets one process in at a time)",
        do="wait for that run to end, or close the console that has the file open, and try again",
    )
