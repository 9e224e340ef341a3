"""What is small and changes often, and holds no field of a person: leases, verdicts, reasons of refusals, runs.

Losing it costs resends inside one window and the reasons, never correctness: the warehouse remembers the rest. Only a
refresh token that its provider has exchanged is lost for good; because of it, a SQLite file is its owner's alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, inspect, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from audiences.errors import WarehouseError
from audiences.state import engine, layout
from audiences.state.tables import VERSION, about, definition, lease, opened, refusal, run, tables, token, verdict

__all__ = [
    "VERSION",
    "State",
    "about",
    "definition",
    "exists",
    "hashed",
    "lease",
    "opened",
    "refusal",
    "run",
    "said",
    "tables",
    "token",
    "verdict",
]

SECRETS = ("password", "sslpassword")  # of a URL's query, where PostgreSQL's client takes them too


class State:
    """An open state database. Each transaction is short; on SQLite it locks the file from its first word.

    It is made or migrated where that is due, unless `looks`: who only looks finds the tables of its layout as it is.
    again: the URL of the moment, asked for user and password at each connection that is opened
    """

    def __init__(self, url: URL, *, looks: bool = False, again: Callable[[], URL] | None = None):
        self.url, self.shown = url, _shown(url)
        if not looks:
            engine.made(url)
        self.engine = engine.reached(url)
        if again:
            engine.renewed(self.engine, again)
        try:
            with self.begin() as connection:
                found = layout.known(connection, self.shown) if looks else layout.newest(connection, self.shown)
        except BaseException:
            self.close()
            raise
        self.id = found["id"]

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction. Raises WarehouseError where the database cannot be used."""
        with _in_words(self.shown), self.engine.begin() as connection:
            yield connection

    def reach(self) -> None:
        """Raise WarehouseError where the database does not answer."""
        with self.begin() as connection:
            connection.execute(select(about))

    def now(self) -> str:
        """This database's clock, as an SQL expression in seconds since 1970."""
        sqlite = self.engine.dialect.name == "sqlite"
        return "((julianday('now') - 2440587.5) * 86400.0)" if sqlite else "extract(epoch from clock_timestamp())"

    def close(self) -> None:
        self.engine.dispose()


def said(connection: Connection, sql: str, values: Mapping[str, object]) -> CursorResult[Any]:
    """Run a statement that is run for every batch, with parameters like `:name`.

    It is put into the driver's words once: to look each time how they go takes as long as SQLite takes to run it.
    """
    words, places = _worded(sql, connection.dialect)
    return connection.exec_driver_sql(words, tuple(values[name] for name in places) if places else dict(values))


@lru_cache(64)
def _worded(sql: str, dialect: Dialect) -> tuple[str, Sequence[str]]:
    """A statement as a driver takes it, and the names of its parameters where that tells them by their places."""
    compiled = text(sql).compile(dialect=dialect)
    return str(compiled), compiled.positiontup or ()


def exists(url: URL) -> bool:
    """Whether there is a state database at this URL; asking makes none. Raises WarehouseError where nobody can tell."""
    if not engine.there(url):
        return False
    asked = engine.reached(url)
    try:
        with _in_words(_shown(url)), asked.connect() as connection:
            return inspect(connection).has_table("about")
    finally:
        asked.dispose()


def hashed(key: str) -> str:
    """How the state names a member: by a hash of the key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _shown(url: URL) -> str:
    return url.difference_update_query(SECRETS).render_as_string(hide_password=True)


@contextmanager
def _in_words(shown: str) -> Iterator[None]:
    """A database's own error without its words, which may quote a value."""
    try:
        yield
    except DBAPIError as error:
        raise WarehouseError(
            f"the state database {shown} cannot be used ({type(error.orig).__name__})",
            do="check that it is there, can be reached and may be written, or set AUDIENCES_STATE_URL",
        ) from None
