"""The emulator crucible where it holds our tables, with what it has not: sessions, dry runs, a list of tables."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy.engine import URL
from sqlglot import exp, parse_one

from audiences.warehouse import Warehouse
from audiences.warehouse.opened import opened
from engines import Read

NUMBERS = itertools.count(1)
LISTED = re.compile(r"`(\w+)`\.`?INFORMATION_SCHEMA\.TABLES`?")
CHANGED = re.compile(r"(?:UPDATE|DELETE FROM) .* WHERE TRUE$")


def anew(change: Any) -> str:
    """A change of all rows, which it knows none of, as a table that is made anew."""
    table = change.this.sql(dialect="bigquery")
    if isinstance(change, exp.Delete):
        return f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {table} LIMIT 0"
    sets = (f"{each.expression.sql('bigquery')} AS {each.this.sql('bigquery')}" for each in change.expressions)
    return f"CREATE OR REPLACE TABLE {table} AS SELECT * REPLACE ({', '.join(sets)}) FROM {table}"


def shimmed(connection: type) -> type:
    """The driver's connection: a session is a dataset, its temporary tables are tables of it."""

    class Connection(connection):  # type: ignore[misc]
        def asked(self, sql: str, options: Mapping[str, Any]) -> Any:
            if "dry_run" in options:
                nothing = super().asked(f"select * from (\n{sql}\n) as q limit 0", {})
                return SimpleNamespace(schema=nothing.result().schema)
            if "create_session" in options:
                session = f"session_{next(NUMBERS)}"
                self.client.create_dataset(session)
                return SimpleNamespace(result=lambda: None, session_info=SimpleNamespace(session_id=session))
            if "ABORT_SESSION" in sql:
                self.client.delete_dataset(self.session, delete_contents=True)
                return SimpleNamespace(result=lambda: None)
            if listed := LISTED.search(sql):
                names = [table.table_id for table in self.client.list_tables(listed[1])]
                rows = ", ".join(f"'{name}'" for name in names) or "''"
                sql = sql.replace(listed[0], f"(select table_name from unnest([{rows}]) as table_name)")
            sql = re.sub(r"\bTEMP(ORARY)? TABLE", "TABLE", sql).replace("_SESSION.", f"`{self.session}`.")
            if found := CHANGED.search(sql):
                sql = anew(parse_one(found[0], dialect="bigquery"))
            if "ORDER BY MIN(`seq`)" in sql:  # which it cannot
                sql = sql.replace("MIN(`seq`)", "MIN(`seq`) AS lo", 1).replace("ORDER BY MIN(`seq`)", "ORDER BY lo")
            return super().asked(sql, {})

    return Connection


class Held:
    """A dataset of the emulator, beside which another holds our tables. source: the one that is only read"""

    name, dialect = "bigquery", "bigquery"
    listing = 'select table_name from "audience_sync"."INFORMATION_SCHEMA.TABLES"'

    def __init__(self, source: Any):
        self.source = source
        self.open, self.fill = source.open, source.fill

    def new(self, folder: Path) -> URL:
        url: URL = self.source.new(folder)
        with self.open(url) as connection:
            connection.there.create_dataset(f"{url.database}_sync")
        return url

    def alone(self) -> URL:
        """A warehouse that is opened once, and in which a test makes tables through it."""
        return self.new(Path())

    @contextmanager
    def ours(self, url: URL) -> Iterator[Read]:
        """What reaches our tables."""
        with self.warehouse(url) as warehouse:
            yield Read(warehouse)

    def warehouse(self, url: URL) -> Warehouse:
        return opened(url, f"{url.database}_sync")

    def close(self, url: URL) -> None:
        """Nothing of it is held."""
