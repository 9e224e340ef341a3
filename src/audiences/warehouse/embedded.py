"""The ledger's own DuckDB file, on the worker's disk, where the warehouse is only read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL

from audiences.errors import Held, WarehouseError
from audiences.warehouse.duckdb import NAMING, DuckDB
from audiences.warehouse.opening import opened
from audiences.warehouse.words import Conflict, quoted

# Of the engine, beyond which it spills, and the threads for which that is enough: each holds blocks of its own. A
# ?memory_limit=… in the URL says otherwise, and then there is a thread for each core.
MEMORY, THREADS = "200MB", 2


class Ledger(DuckDB):
    """DuckDB's words where its file is the worker's own and no audience's SQL reaches it."""

    __slots__ = ()

    loose = "true"  # also an audience that has landed: most are read once, and there is little memory

    def engine(self) -> Engine:
        """Where there is no file yet, memory: who only looks makes none."""
        return opened(self.url if Path(str(self.url.database)).exists() else self.url.set(database=":memory:"))

    def greet(self, connection: Connection) -> None:
        """It spills beside its file. Rows need no order of their own: to keep one costs memory."""
        DuckDB.greet(self, connection)
        if "memory_limit" not in self.url.query:
            connection.exec_driver_sql(f"set memory_limit = '{MEMORY}'")
            connection.exec_driver_sql(f"set threads = {THREADS}")
        spilled = f"{self.url.database}.tmp".replace("'", "''")
        connection.exec_driver_sql(f"set temp_directory = '{spilled}'")
        connection.exec_driver_sql("set preserve_insertion_order = false")

    def key(self, columns: Sequence[str], types: Mapping[str, str]) -> tuple[str, str]:
        """A single column that may hold several types names a member by its text."""
        if len(columns) == 1 and types[columns[0]] == "VARIANT":
            return f"cast(q.{quoted(columns[0])} as varchar)", self.text
        return DuckDB.key(self, columns, types)

    def shut(self, error: BaseException) -> Exception:
        """A file that is broken, closed to this user, or held by another process."""
        return self.refusal(error)

    def refusal(self, error: BaseException) -> Exception:
        """By the class of the error."""
        kind, said = type(error).__name__, str(error)
        if kind == "TransactionException":
            return Conflict()
        if "Could not set lock" in said:
            return Held(
                "the ledger's file is held by another worker or command (one at a time has it)",
                do="wait for that run to end, and try again",
            )
        if kind == "OutOfMemoryException":
            return WarehouseError(
                "the ledger's engine has no room left",
                do="give it more: AUDIENCES_LEDGER_URL=duckdb:///…?memory_limit=1GB; or free its disk, where it spills",
            )
        shown = f": {said.splitlines()[0]}" if kind in NAMING else "; its words may hold data and are not shown"
        return WarehouseError(
            f"the ledger's file fails with {kind}{shown}", do="see that AUDIENCES_LEDGER_URL names a file to be written"
        )


def made(url: URL) -> None:
    """Make the ledger's file, for its owner's eyes alone: it holds what is sent of each member."""
    file = Path(str(url.database))
    if file.exists():
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        duckdb.connect(str(file)).close()
        file.chmod(0o600)
    except (OSError, duckdb.Error) as error:
        raise WarehouseError(
            f"the ledger's file cannot be made ({type(error).__name__})",
            do="let AUDIENCES_LEDGER_URL name a file in a folder that can be written",
        ) from None
