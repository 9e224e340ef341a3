"""A PostgreSQL that is told what Redshift would be told: our statements in Redshift's words, as far as both know them.

It proves what our own translation means, and nothing of Redshift. What Redshift alone has is put into PostgreSQL's
words on the way, or is a function of the test's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import URL

from audiences.warehouse import Warehouse
from audiences.warehouse.opened import opened
from audiences.warehouse.sources.redshift import RedshiftSource
from engines import PostgreSQL, Read

FUNCTIONS = (
    "create function db_collation() returns varchar language sql as $$ select 'case_sensitive'::varchar $$",
    "create function dateadd(varchar, integer, timestamp) returns timestamp language sql"
    " as $$ select $3 + $2 * ('1 ' || $1)::interval $$",
)
INSTEAD = {
    re.compile(r"^set enable_result_cache_for_session to off$"): "set audiences.cache = off",
    re.compile(r"DATEADD\(HOUR, "): "DATEADD('hour', ",
    re.compile(r"TRY_CAST\((CAST\(\S+ AS VARCHAR\(65535\)\)) AS ([A-Z ]+(?:\(\d+, \d+\))?)\)"): (
        r"CASE WHEN pg_input_is_valid(\1, '\2') THEN CAST(\1 AS \2) END"
    ),
}


class Cursor(psycopg.Cursor[Any]):
    """Says each statement in PostgreSQL's words."""

    def execute(self, query: Any, *more: Any, **others: Any) -> Any:
        for said, instead in INSTEAD.items():
            query = said.sub(instead, query)
        return super().execute(query, *more, **others)


class Near(RedshiftSource):
    """The same way in, to a PostgreSQL that lets everyone in."""

    def signature(self) -> tuple[str, str]:
        return str(self.url.username), ""

    def connected(self, **options: Any) -> Any:
        return super().connected(cursor_factory=Cursor, **options)


class Redshift(PostgreSQL):
    """A database of PostgreSQL's in the place of Redshift's, in which our tables are."""

    name, dialect = "redshift", "redshift"

    def new(self, folder: Path) -> URL:
        return self.alone()

    def alone(self) -> URL:
        """A warehouse that is opened once."""
        url = super().alone()
        with super().open(url) as connection:
            for function in FUNCTIONS:
                connection.execute(function)
        return self.named(url)

    def copy(self, url: URL, folder: Path) -> URL:
        return self.named(super().copy(url, folder))

    def named(self, url: URL) -> URL:
        return url.set(drivername="redshift").update_query_dict({"port": "5432"})

    @contextmanager
    def ours(self, url: URL) -> Iterator[Read]:
        """What reaches our tables, whichever are meant."""
        with self.warehouse(url) as warehouse:
            yield Read(warehouse)

    def warehouse(self, url: URL) -> Warehouse:
        return opened(url, "audience_sync")


class Dropped(Redshift):
    """A database a history, dropped at its end."""

    def __init__(self, server: Any):
        super().__init__(server.database)
        self.server = server

    def close(self, url: URL) -> None:  # type: ignore[override]
        PostgreSQL.close(url)
        self.server.drop(url)
