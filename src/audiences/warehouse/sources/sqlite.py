"""A SQLite file, opened to read. Its columns have no types: each value has its own."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from audiences import mask
from audiences.errors import Deferred, WarehouseError
from audiences.warehouse.source import Driven
from audiences.warehouse.sqlite import NAMING, read
from audiences.warehouse.words import Cancelled, interrupting

PATIENCE = 5.0  # seconds for which a writer may keep the file


@dataclass(frozen=True, slots=True)
class SQLiteSource(Driven):
    """A file that this user may read and need not write."""

    dialect = "sqlite"

    def engine(self) -> Engine:
        """The driver that Python has. Raises WarehouseError at the first connection where there is no such file."""
        return create_engine("sqlite://", poolclass=NullPool, creator=self._connected)

    def _connected(self) -> sqlite3.Connection:
        file = f"file:{quote(str(Path(str(self.url.database))))}?mode=ro"
        connection = sqlite3.connect(file, PATIENCE, uri=True, check_same_thread=False)
        connection.text_factory = read
        return connection

    def timed(self, connection: Connection, most: timedelta) -> AbstractContextManager[None]:
        """It has no time-out of its own."""
        return interrupting(connection, most)

    def types(self, connection: Connection, select: str) -> dict[str, str]:
        """Their names alone: to ask for no row runs nothing."""
        nothing = connection.execution_options(no_parameters=True).exec_driver_sql(
            f"select * from (\n{select}\n) as q limit 0"
        )
        return dict.fromkeys(nothing.keys(), "ANY")

    def kind(self, type_: str) -> str:
        """Whatever a column was declared as, it may hold any value."""
        return "VARIANT"

    def refusal(self, error: Any) -> Exception:
        """By its code, and by its words, of which those about names and grammar are shown."""
        kind, said = getattr(error, "sqlite_errorname", type(error).__name__), str(error)
        if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Deferred("the warehouse file is being written", do="nothing: run it again in a minute")
        if kind == "SQLITE_INTERRUPT":
            return Cancelled("the warehouse was interrupted", do="nothing: run it again")
        if said.startswith(NAMING):
            return WarehouseError(f"the warehouse refuses a statement: {mask.text(said)}", do="mend the audience's SQL")
        return WarehouseError(
            f"the warehouse fails with {kind}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them",
        )

    def shut(self, error: Any) -> Exception:
        """A file that is missing or closed to this user."""
        return WarehouseError(
            f"the warehouse cannot be opened: {error}", do="let AUDIENCES_WAREHOUSE_URL name a file that can be read"
        )
