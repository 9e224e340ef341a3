"""Open the database behind a state's URL: a private SQLite file of one host, or a server for several."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from audiences.errors import DefinitionError, WarehouseError

# A server that is gone without a word is noticed well before a lease ends. The first in seconds, the second in ms.
PATIENCE = {"connect_timeout": 10, "tcp_user_timeout": 20_000}
OWNER_ONLY = 0o600


def reached(url: URL) -> Engine:
    """An engine for a URL; connects to nothing yet. Raises DefinitionError where there is no driver for it."""
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        options = {"timeout": 30}
    elif url.drivername in ("postgresql", "postgresql+psycopg"):
        options = {name: value for name, value in PATIENCE.items() if name not in url.query}
    try:
        engine = create_engine(url, connect_args=options)
    except (ArgumentError, ImportError):
        raise DefinitionError(
            f"there is no driver for a state database of the kind {url.drivername!r}",
            do="install it beside audiences, or mend AUDIENCES_STATE_URL; for PostgreSQL: pip install 'psycopg[binary]'"
            " and postgresql+psycopg://…",
        ) from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _at_connect)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("begin immediate"))
    return engine


def renewed(engine: Engine, again: Callable[[], URL]) -> None:
    """Let each new connection sign in with the user and password of the moment; the database stays the one it was.

    https://docs.sqlalchemy.org/en/21/core/engines.html#generating-dynamic-authentication-tokens (read 2026-11)
    """

    def signed_in(dialect: Any, _record: object, _words: object, options: dict[str, Any]) -> None:
        _, found = dialect.create_connect_args(again())
        options.update({name: found[name] for name in ("user", "password") if name in found})

    event.listen(engine, "do_connect", signed_in)


def made(url: URL) -> None:
    """Make the folder and the file of a SQLite database, for its owner's eyes alone: it may hold a refresh token."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return
    file = Path(str(url.database))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(OWNER_ONLY)
    except OSError as error:
        raise WarehouseError(
            f"the file of the state database cannot be made ({error.strerror})",
            do="set XDG_STATE_HOME or AUDIENCES_STATE_URL to a place that can be written",
        ) from None
    for part in (file, *(file.with_name(file.name + ending) for ending in ("-wal", "-shm"))):
        with suppress(OSError):  # another user's file stays as it is
            if part.stat().st_mode & ~OWNER_ONLY & 0o777:
                part.chmod(OWNER_ONLY)


def there(url: URL) -> bool:
    """Whether there can be a database at all: opening SQLite would make one."""
    return url.get_backend_name() != "sqlite" or os.access(str(url.database), os.F_OK)


def _at_connect(connection: Any, _: object) -> None:
    # The driver's own BEGIN is deferred, would fail half-way where two workers meet, and lets DDL out of a transaction.
    connection.isolation_level = None
    _ahead(connection)
    # An intent that a power cut takes back would turn "may have been sent" into "never sent".
    connection.execute("pragma synchronous = full")


def _ahead(connection: Any) -> None:
    """Let it write ahead. SQLite does not wait for another connection to a new file for that, as it does else."""
    for patience in range(300, -1, -1):
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not patience:
                raise
        time.sleep(0.1)
