"""What clickhouse-connect's own connection is asked to do otherwise: to take statements as they stand.

Imported where a connection is opened alone, for the driver is an extra.
"""

from __future__ import annotations

from typing import Any

from clickhouse_connect.dbapi import connection, cursor

from audiences.warehouse.dialects.clickhouse import NAIVE


class Connection(connection.Connection):
    """A connection of a client that is there already."""

    def __init__(self, client: Any):
        self.client, self.timezone = client, client.server_tz

    def cursor(self) -> Cursor:
        return Cursor(self.client)


class Cursor(cursor.Cursor):
    """A `%` in a statement without parameters is one; moments of ours have no zone."""

    def execute(self, operation: str, parameters: Any = None, *more: Any, **others: Any) -> None:
        super().execute(operation, parameters, *more, **{**others, "pyformat_encoded": bool(parameters)})
        ours = [NAIVE in str(kind) for kind in self.types]
        if any(ours):
            rows: Any = self.data
            self.data = [[_plain(v) if our else v for v, our in zip(row, ours, strict=True)] for row in rows]


def _plain(moment: Any) -> Any:
    return moment and moment.replace(tzinfo=None)
