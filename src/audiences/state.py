"""What is small and changes often, and holds no field of a person: leases, verdicts, reasons of refusals, runs.

Losing it costs resends inside one window and the reasons, never correctness: the warehouse remembers the rest.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

from audiences.errors import DefinitionError, WarehouseError

VERSION = 1
tables = MetaData()
statement = cache(text)  # parsed once: some are run for every batch

about = Table("about", tables, Column("name", String, primary_key=True), Column("value", String, nullable=False))
lease = Table(
    "lease",
    tables,
    Column("sync", String, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("holder", String),
    Column("until", Float, nullable=False),  # seconds since 1970 by this database's clock
)
opened = Table(
    "opened",
    tables,
    Column("sync", String, primary_key=True),
    Column("outbox", Integer, nullable=False),
    Column("mark", Integer, nullable=False),  # rows below it may have been sent
)
verdict = Table(
    "verdict",
    tables,
    Column("sync", String, primary_key=True),
    Column("outbox", Integer, primary_key=True),
    Column("lo", Integer, primary_key=True),
    Column("hi", Integer, nullable=False),
    Column("verdict", String, nullable=False),
)
refusal = Table(
    "refusal",
    tables,
    Column("sync", String, primary_key=True),
    Column("key_hash", String, primary_key=True),  # sha256 of the key, as hex
    Column("reason", Text, nullable=False),  # the provider's words, people masked
    Column("attempts", Integer, nullable=False),
)
run = Table(
    "run",
    tables,
    Column("id", String, primary_key=True),
    Column("sync", String, nullable=False, index=True),
    Column("outbox", Integer),
    Column("fingerprint", String, nullable=False),  # sha256 of the definition's file
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("result", String),  # delivered, paused, guarded, deferred, failed …
    Column("note", Text),
    *(
        Column(name, Integer, nullable=False, server_default="0")
        for name in ("listed", "added", "updated", "removed", "refused", "set_aside")
    ),
)


class State:
    """An open state database. Each transaction is short; on SQLite it locks the file from its first word."""

    def __init__(self, url: URL):
        self.url = url
        self.shown = url.render_as_string(hide_password=True)
        self.engine = _engine(url)
        self.id = self._adopt()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction. Raises WarehouseError where the database cannot be used."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise WarehouseError(
                f"the state database {self.shown} cannot be used ({type(error.orig).__name__})",
                do="check that it exists and can be written, or set AUDIENCES_STATE_URL",
            ) from None

    def now(self) -> str:
        """This database's clock, as an SQL expression in seconds since 1970."""
        sqlite = self.engine.dialect.name == "sqlite"
        return "((julianday('now') - 2440587.5) * 86400.0)" if sqlite else "extract(epoch from clock_timestamp())"

    def close(self) -> None:
        self.engine.dispose()

    def _adopt(self) -> str:
        with self.begin() as connection:
            tables.create_all(connection)
            known = {row.name: row.value for row in connection.execute(select(about))}
            if not known:
                known = {"version": str(VERSION), "id": uuid.uuid4().hex}
                connection.execute(about.insert(), [{"name": n, "value": v} for n, v in known.items()])
        if int(known["version"]) > VERSION:
            raise WarehouseError(
                f"the state database {self.shown} was written by a newer release"
                f" (layout {known['version']}, this one knows {VERSION})",
                do="install that release again, or set AUDIENCES_STATE_URL to another database",
            )
        return str(known["id"])


def exists(url: URL) -> bool:
    """Whether there is a state database at this URL; asking makes none."""
    if url.get_backend_name() == "sqlite":
        return os.access(str(url.database), os.F_OK)
    engine = _reached(url)
    try:
        return inspect(engine).has_table("about")
    finally:
        engine.dispose()


def hashed(key: str) -> str:
    """How the state names a member: by a hash of the key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _reached(url: URL) -> Engine:
    try:
        return create_engine(url)
    except (ArgumentError, ImportError):
        raise DefinitionError(
            f"there is no driver for a state database of the kind {url.drivername!r}",
            do="install it beside audiences, or mend AUDIENCES_STATE_URL",
        ) from None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return _reached(url)
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(
            f"the folder of the state database cannot be made ({error.strerror})",
            do="set XDG_STATE_HOME or AUDIENCES_STATE_URL to a place that can be written",
        ) from None
    engine = create_engine(url, connect_args={"timeout": 30})
    event.listen(engine, "connect", _at_connect)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("begin immediate"))
    return engine


def _at_connect(connection: Any, _: object) -> None:
    # The driver's own BEGIN is deferred and would fail half-way where two workers meet; ours locks at once.
    connection.isolation_level = None
    connection.execute("pragma journal_mode = wal")
    # An intent that a power cut takes back would turn "may have been sent" into "never sent".
    connection.execute("pragma synchronous = full")
