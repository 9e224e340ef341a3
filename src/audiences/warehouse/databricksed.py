"""Connections of Databricks' own connector, whose values are what our tables hold.

What the connector makes of a decimal or a moment depends on whether pyarrow is there, and a moment may come with a zone
or without: all of ours are in UTC and have none, as those of the users' are text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from audiences.warehouse import driven
from audiences.warehouse.sources.databricks import DatabricksSource


def opened(source: DatabricksSource) -> Engine:
    """What opens connections."""
    from databricks import sql

    source.quiet()
    return driven.engine(sql, lambda: Connection(sql.connect(**source.options())))


class Connection:
    """A connection, by PEP 249 as far as it is asked. connection: the connector's"""

    def __init__(self, connection: Any):
        self.connection = connection

    def cursor(self) -> Cursor:
        return Cursor(self.connection.cursor())

    def close(self) -> None:
        self.connection.close()


class Cursor:
    """A cursor. cursor: the connector's"""

    rowcount = -1

    def __init__(self, cursor: Any):
        self.cursor = cursor

    @property
    def description(self) -> Any:
        return self.cursor.description

    def execute(self, statement: str, _parameters: object = None) -> None:
        self.cursor.execute(statement)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Each row, as one of our tables holds it."""
        reads = [READ.get(str(kind).lower()) for _, kind, *_ in self.cursor.description or ()]
        return [_row(row, reads) for row in self.cursor.fetchall()]

    def close(self) -> None:
        self.cursor.close()


def _row(row: Sequence[Any], reads: Sequence[Callable[[Any], Any] | None]) -> tuple[Any, ...]:
    return tuple(read(value) if read and value is not None else value for value, read in zip(row, reads, strict=True))


def _moment(value: Any) -> datetime:
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.replace(tzinfo=None)


READ: dict[str, Callable[[Any], Any]] = {
    "decimal": lambda value: Decimal(str(value)),
    "timestamp": _moment,
    "timestamp_ntz": _moment,
}
