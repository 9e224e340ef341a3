"""SQLite 3.39 or newer: a file that is read, and our schema as a file of its own beside it.

The schema `audience_sync` of shop.sqlite is shop.audience_sync.sqlite, attached by that name. So the file that users
have is never written, and whoever writes it is never kept waiting.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from audiences import mask
from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.dialects import sqlite as said
from audiences.warehouse.dialects import translated
from audiences.warehouse.words import APART, Cancelled, Conflict, Words, interrupting, literal, quoted

OLDEST = (3, 39, 0)  # has FULL JOIN and IS DISTINCT FROM
PATIENCE = 60.0  # seconds for which another worker may write the schema
ANY = "BLOB"  # a column of no type: each value keeps its own
NAMING = ("no such ", "ambiguous column", "near ", "misuse of ", "wrong number of arguments", "not authorized")
SHUT_OUT = ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN", "SQLITE_AUTH")

sqlite3.register_converter("MOMENT", lambda written: datetime.fromisoformat(written.decode()))


class SQLite(Words):
    """The words of SQLite. One writer at a time has the schema; another waits, and then finds no row."""

    __slots__ = ()

    dialect = "sqlite"
    text = "TEXT"
    moment = "TIMESTAMP"
    lands = True
    tables = (
        "select name from pragma_table_list where schema = :schema and type = 'table'"
        " and name not glob 'sqlite_*' and substr(name, 1, length(:prefix)) = :prefix order by name"
    )
    has_schema = "select count(*) from pragma_database_list where name = :schema"

    @property
    def file(self) -> Path:
        """Where our schema is."""
        file = Path(str(self.url.database))
        return file.with_name(f"{file.stem}.{self.schema}{file.suffix}")

    def engine(self) -> Engine:
        """The driver that Python has. Raises DefinitionError where there is no such file, or it is too old."""
        if sqlite3.sqlite_version_info < OLDEST:
            raise DefinitionError(
                f"this Python has SQLite {sqlite3.sqlite_version}; 3.39 or newer is needed", do="install a newer one"
            )
        return create_engine("sqlite://", poolclass=NullPool, creator=self._connected, isolation_level="AUTOCOMMIT")

    def _connected(self) -> sqlite3.Connection:
        """Only our own columns are declared as moments."""
        named = f"file:{quote(str(Path(str(self.url.database))))}?mode=rw"
        options: Mapping[str, Any] = {"uri": True, "check_same_thread": False, "isolation_level": None}
        connection: sqlite3.Connection = sqlite3.connect(
            named, PATIENCE, detect_types=sqlite3.PARSE_DECLTYPES, **options
        )
        connection.text_factory = read
        return connection

    def greet(self, connection: Connection) -> None:
        """Our schema, where there is one; and what our statements call that the engine has not."""
        driver: Any = connection.connection.driver_connection
        for name, (takes, of) in said.FUNCTIONS.items():
            driver.create_function(name, takes, of, deterministic=True)
        if self.file.exists():
            connection.exec_driver_sql(self._attached("rw"))

    def _attached(self, mode: str) -> str:
        """A new file has the rights of the warehouse's own: `modeof`."""
        named = f"file:{quote(str(self.file))}?mode={mode}&modeof={quote(str(self.url.database))}"
        return f"attach database {literal(named)} as {quoted(self.schema)}"

    def founded(self) -> Sequence[str]:
        """A file; readers of it do not keep its writer waiting."""
        return self._attached("rwc"), f"pragma {quoted(self.schema)}.journal_mode = wal"

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL."""
        return (translated(statement, said.SQLite),)

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Each value as it is: the type of its column, which would count in a comparison, stays behind."""
        picked = ", ".join(f"+q.{quoted(name)} as {quoted(name)}" for name in types)
        made = f"create temp table {table} as select {picked} from (\n{select}\n) as q"
        return f"drop table if exists temp.{table}", made

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """Their names alone: to ask for no row runs nothing."""
        asked = connection.execution_options(no_parameters=True).exec_driver_sql(
            f"select * from (\n{select}\n) limit 0"
        )
        return dict.fromkeys(asked.keys(), ANY)

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """From the schema's own list; to ask one that is not attached is an error."""
        there = connection.execute(text(self.has_schema), {"schema": self.schema}).scalar()
        rows = connection.exec_driver_sql(f"pragma {quoted(self.schema)}.table_info({quoted(table)})") if there else ()
        return {name: self.moment if type_ == said.MOMENT else type_ for _, name, type_, *_ in rows}

    def fitted(self, expression: str, type_: str) -> str:
        """Any value fits."""
        return expression

    def later(self, moment: str, hours: str) -> str:
        """A function of ours: all moments are kept in one form, for they are compared as text."""
        return f"later({moment}, {hours})"

    def key(self, columns: Sequence[str], types: Mapping[str, str]) -> tuple[str, str]:
        """A column may hold several types: it names a member by its text. Of several columns none may be a float."""
        if len(columns) > 1:
            return Words.key(self, columns, types)
        return f"cast(q.{quoted(columns[0])} as varchar)", self.text

    def _part(self, column: str, type_: str) -> str:
        value = f"q.{quoted(column)}"
        return f"case when typeof({value}) in ('integer', 'text') then json_quote({value}) end"

    def indexed(self, table: str, column: str) -> Sequence[str]:
        """Each batch would read the whole table."""
        schema, _, name = table.partition(".")
        return (f"create index if not exists {schema}.{quoted(f'by_{name}')} on {name} ({column})",)

    def timed(self, connection: Connection, most: timedelta) -> AbstractContextManager[None]:
        """It has no time-out of its own."""
        return interrupting(connection, most)

    def impatient(self) -> tuple[str, str]:
        """It would wait for as long as the other transaction is open."""
        return "pragma busy_timeout = 0", f"pragma busy_timeout = {PATIENCE * 1000:.0f}"

    def shut(self, error: BaseException) -> Exception:
        """A file that is missing or closed to this user."""
        return WarehouseError(
            f"the warehouse cannot be opened: {error}", do="let AUDIENCES_WAREHOUSE_URL name a file that can be read"
        )

    def refusal(self, error: BaseException) -> Exception:
        """By its code, and by its words, of which those about names and grammar are shown."""
        kind, said = getattr(error, "sqlite_errorname", type(error).__name__), str(error)
        if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Conflict()
        if kind == "SQLITE_INTERRUPT":
            return Cancelled("the warehouse was interrupted", do="nothing: run it again")
        if kind.startswith(SHUT_OUT):
            return WarehouseError(
                f"the file {self.file.name!r} beside the warehouse cannot be written",
                do=f"let the worker write it, and its folder; or {APART}",
            )
        if said.startswith(NAMING):
            return WarehouseError(f"the warehouse refuses a statement: {mask.text(said)}", do="mend the audience's SQL")
        return WarehouseError(
            f"the warehouse fails with {kind}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them",
        )


def read(value: bytes) -> object:
    """Text; bytes that are none cannot travel, and are refused with their member instead of failing the whole."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return float("nan")
