"""Trino's own driver, spoken to as our tables need it: each statement to its end, and what is temporary dropped.

A query is finished, and what it writes committed, once its last page has been asked for. No part of one is run again by
itself, for an INSERT may be committed twice then. Imported where a connection is opened alone, for the driver is an
extra.

https://trino.io/docs/current/develop/client-protocol.html, …/admin/fault-tolerant-execution.html#retry-policy,
https://github.com/trinodb/trino/issues/31246 (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from trino.dbapi import connect
from trino.exceptions import Error, HttpError

from audiences.warehouse.sources.trino import TrinoSource
from audiences.warehouse.words import literal, quoted

__all__ = ["Connection", "Error", "Missing", "Unreached", "paramstyle"]

paramstyle = "named"
NAME = r"scratch_(\d{8})_[0-9a-f]{8}_\w+"
TEMPORARY = re.compile(rf'(?:/\*.*?\*/ )?(create|drop) table (?:if exists )?("[^"]+"\."{NAME}")', re.IGNORECASE)
KEPT = timedelta(days=1)  # what a day's sessions have left is dropped once that day and the next have gone by


class Unreached(Error):
    """Nobody answers, or nobody is signed in."""


class Missing(Error):
    """There is no schema of ours in which anything could be made."""


class Connection:
    """A connection of the driver's.

    schema: ours
    made:   the temporary tables that are there now, as SQL
    """

    def __init__(self, source: TrinoSource, schema: str):
        options: dict[str, Any] = {**source.options()}
        options["session_properties"] = {**options.get("session_properties", {}), "retry_policy": "NONE"}
        self.driver, self.schema = connect(**options), schema
        self.made = set[str]()
        self.swept = False

    def cursor(self) -> Cursor:
        return Cursor(self)

    def close(self) -> None:
        """With what is temporary. What stays, for nobody answers, another session drops some day."""
        with suppress(Error):  # once: each waits for a server that is gone
            for table in self.made:
                self.ran(f"DROP TABLE IF EXISTS {table}")
        self.driver.close()

    def ran(self, sql: str) -> Any:
        """The driver's cursor and all rows of a statement that is done."""
        cursor = self.driver.cursor()
        try:
            return cursor, [tuple(row) for row in cursor.execute(sql).fetchall()]
        except HttpError as error:
            raise Unreached(str(error)) from error

    def makes(self, sql: str, table: str) -> Any:
        """The same of one that makes a temporary table. Raises Missing where there is no schema for it."""
        if not self.swept:
            self.swept = True
            self._sweep()
        self.made.add(table)  # also where it fails: it may be there all the same
        try:
            return self.ran(sql)
        except Error as error:
            if not self.ran(f"select 1 from information_schema.schemata where schema_name = {literal(self.schema)}")[1]:
                raise Missing(self.schema) from error
            raise

    def _sweep(self) -> None:
        """Drop what sessions of earlier days have left, for they were killed. Where that fails, another one does it."""
        before = f"{datetime.now(UTC) - KEPT:%Y%m%d}"
        names = f"select table_name from information_schema.tables where table_schema = {literal(self.schema)}"
        with suppress(Error):
            for (name,) in self.ran(f"{names} and starts_with(table_name, 'scratch_')")[1]:
                found = re.fullmatch(NAME, name)
                if found and found[1] < before:
                    self.ran(f"DROP TABLE IF EXISTS {quoted(self.schema)}.{quoted(name)}")


class Cursor:
    """One statement at a time, and all of its rows."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.description: Sequence[tuple[Any, ...]] | None = None
        self.rowcount = -1
        self.rows: list[tuple[Any, ...]] = []

    def execute(self, operation: str, parameters: object = None) -> None:
        """A statement as it stands: it never has parameters. Nothing is asked of a table that was never made."""
        found, made = TEMPORARY.match(operation), self.connection.made
        if found and found[1].lower() == "create":
            done, self.rows = self.connection.makes(operation, found[2])
        elif found and found[2] not in made:
            return
        else:
            done, self.rows = self.connection.ran(operation)
        self.description, self.rowcount = done.description, done.rowcount
        if found and found[1].lower() == "drop":
            made.discard(found[2])

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.rows

    def close(self) -> None:
        """Nothing of it is held."""
