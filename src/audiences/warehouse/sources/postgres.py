"""PostgreSQL 16 or newer, read through a cursor of the server in one transaction that only reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from audiences.warehouse import sqlstate
from audiences.warehouse.landing import ARRAY
from audiences.warehouse.postgres import Postgres
from audiences.warehouse.source import Driven, matched

# numeric may hold NaN; whatever else is not named here, but for arrays, is text.
KINDS = dict.fromkeys(("smallint", "integer", "bigint"), "BIGINT") | {
    "boolean": "BOOLEAN",
    "real": "DOUBLE",
    "double precision": "DOUBLE",
    "numeric": "VARIANT",
}


@dataclass(frozen=True, slots=True)
class PostgresSource(Driven):
    """PostgreSQL, of which a role with SELECT alone is enough."""

    dialect = "postgres"

    @property
    def _words(self) -> Postgres:
        return Postgres(self.url, "")

    def engine(self) -> Engine:
        """psycopg, which `audiences[postgres]` brings."""
        return self._words.engine()

    def greet(self, connection: Connection) -> None:
        """All of it is of one moment, in UTC, and whatever would write is an error of the server's."""
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._words.greet(connection)
        connection.exec_driver_sql("set timezone = 'UTC'")
        if self.most is not None:
            connection.exec_driver_sql(self._words.bounding(self.most)[0])

    def types(self, connection: Connection, select: str) -> dict[str, str]:
        """Parsed by the server and not even planned."""
        return self._words.described(connection, select)

    def kind(self, type_: str) -> str:
        """An array is named by its element."""
        return ARRAY if type_.endswith("[]") else matched(type_, KINDS, "VARCHAR")

    def refusal(self, error: Any) -> Exception:
        """By SQLSTATE."""
        return sqlstate.refusal(error, "", self.url.username or "the worker's role")

    def shut(self, error: Any) -> Exception:
        """Sign-in, network, database."""
        return sqlstate.shut(error)
