"""MySQL 8.0.21 or newer, through PyMySQL: our schema is a database of its own beside those that are read.

A session that stands still inside a transaction would keep its locks there until it ends, so none is asked for:
`swapped` holds our tables. Each statement is committed by itself, a CREATE TABLE … SELECT whole or not at all, and in
READ COMMITTED each reads what was committed before it began.

https://dev.mysql.com/doc/refman/8.4/en/create-table-select.html, …/en/innodb-transaction-isolation-levels.html,
…/en/kill.html (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Timer

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from audiences.errors import WarehouseError
from audiences.warehouse.dialects.mysql import COLLATED, stepped
from audiences.warehouse.mariadb import MariaDB
from audiences.warehouse.words import APART, Words

OLDEST = (8, 0, 21)
GREETING = (
    "set session transaction isolation level read committed",
    "set lock_wait_timeout = 60, innodb_lock_wait_timeout = 60",
)


class MySQL(MariaDB):
    """The words of MySQL."""

    __slots__ = ()

    collated = COLLATED
    swaps = True
    settles = 100_000_000
    reads = 40_000

    def greet(self, connection: Connection) -> None:
        """Raises WarehouseError for a server that is too old, or MariaDB."""
        [(version,)] = connection.exec_driver_sql("select version()")
        number = tuple(map(int, re.findall(r"\d+", version)[:3]))
        if "MariaDB" in version or number < OLDEST:
            raise WarehouseError(
                f"the warehouse is {version}; mysql:// is for MySQL 8.0.21 or newer",
                do=f"let AUDIENCES_WAREHOUSE_URL begin with mariadb:// for MariaDB; upgrade the server; or {APART}",
            )
        for statement in GREETING:
            connection.exec_driver_sql(statement)

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL, step by step."""
        return stepped(statement)

    def anew(self, table: str, select: str) -> Sequence[str]:
        """It has no CREATE OR REPLACE."""
        return f"drop temporary table if exists {table}", f"create temporary table {table} as {select}"

    def indexed(self, table: str, column: str) -> Sequence[str]:
        """An outbox alone, which is new: it has no CREATE INDEX IF NOT EXISTS, and takes no text without a length."""
        if column != "seq":
            return ()
        return (f"create index audiences on {table.replace(chr(34), chr(96))} (seq)",)

    impatient = Words.impatient  # nothing waits for a transaction
    bounding = Words.bounding  # its own time-out is for a SELECT alone

    @contextmanager
    def timed(self, connection: Connection, most: timedelta) -> Iterator[None]:
        """A clock beside a statement, that has the server break it off: a user may do so with what is its own."""
        [(number,)] = connection.exec_driver_sql("select connection_id()")
        clock = Timer(most.total_seconds(), self._kill, (connection, number))
        clock.start()
        try:
            yield
        finally:
            clock.cancel()
            clock.join()  # what comes next is not to be broken off

    def _kill(self, connection: Connection, number: int) -> None:
        with suppress(DBAPIError), connection.engine.connect() as other:  # gone: it has ended, or the wire has
            other.exec_driver_sql(f"kill query {number}")
