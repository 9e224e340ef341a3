"""A DuckDB file, opened to read: other processes that only read may have it open, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from audiences.warehouse.duckdb import DuckDB
from audiences.warehouse.landing import ARRAY
from audiences.warehouse.opening import opened
from audiences.warehouse.source import ROWS, Driven, matched

WHOLE = ("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger")
TEXT = ("varchar", "date", "uuid", "blob", "bit", "interval", "json", "enum", "bignum")
TIMES = ("time", "time with time zone", "time_ns", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns")
KINDS = (
    dict.fromkeys(WHOLE, "BIGINT")
    | dict.fromkeys(("ubigint", "hugeint"), "HUGEINT")
    | dict.fromkeys((*TEXT, *TIMES, "timestamp with time zone"), "VARCHAR")
    | {"boolean": "BOOLEAN", "float": "DOUBLE", "double": "DOUBLE"}
)


@dataclass(frozen=True, slots=True)
class DuckDBSource(Driven):
    """A file that this user may read and need not write."""

    dialect = "duckdb"

    @property
    def _words(self) -> DuckDB:
        return DuckDB(self.url, "")

    def engine(self) -> Engine:
        """Raises DefinitionError where there is no such file."""
        self._words.there()
        return opened(self.url, read_only=True)

    def greet(self, connection: Connection) -> None:
        """Moments with a zone arrive in UTC."""
        self._words.greet(connection)
        connection.exec_driver_sql("set timezone = 'UTC'")

    def timed(self, connection: Connection, most: timedelta) -> AbstractContextManager[None]:
        """It has no time-out of its own."""
        return self._words.timed(connection, most)

    def types(self, connection: Connection, select: str) -> dict[str, str]:
        """Asked of the binder."""
        return self._words.described(connection, select)

    def kind(self, type_: str) -> str:
        """An array is named by its element."""
        return ARRAY if type_.endswith("]") else matched(type_, KINDS, "VARIANT")

    def streamed(self, connection: Connection, statement: str) -> Iterator[Sequence[Sequence[Any]]]:
        """By the driver itself: the dialect reads JSON into objects, whose numbers would be written anew."""
        driver: Any = connection.connection.driver_connection
        cursor = driver.execute(statement)
        while rows := cursor.fetchmany(ROWS):
            yield rows

    def refusal(self, error: Any) -> Exception:
        """By the class of the error."""
        return self._words.refusal(error)

    def shut(self, error: Any) -> Exception:
        """A file that is missing, broken, or held by another process."""
        return self._words.shut(error)
