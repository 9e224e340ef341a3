"""The words in which one engine differs from the others: the base of each engine's own file, and what they share."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL

from audiences import ranges, span
from audiences.errors import Deferred, DefinitionError, WarehouseError

PARTS = "text, whole numbers, booleans, dates, timestamps without a zone, UUIDs"  # what a key of several columns takes
AGAIN = 0.05  # seconds between two interrupts
APART = "let it only read, with the ledger on its own disk: AUDIENCES_LEDGER_URL=duckdb:////path/to/ledger.duckdb"


class Conflict(Deferred):
    """Another worker changed, or is changing, what this statement meant to change."""

    def __init__(self) -> None:
        super().__init__(
            "another session of the warehouse changes what this run needs", do="nothing: run it again in a minute"
        )


class Cancelled(Deferred):
    """The engine broke a statement off, for it took too long or someone told it to."""


@contextmanager
def overdue(most: timedelta | None) -> Iterator[None]:
    """Raise WarehouseError, with the way out, where a statement of this block was broken off for it took so long."""
    begun = time.monotonic()
    try:
        yield
    except Cancelled:
        if most is None or time.monotonic() - begun < most.total_seconds():  # by someone else
            raise
        raise WarehouseError(
            f"the warehouse took longer than the {span.said(most)} that [limits] allows, and was stopped",
            do="make the audience's query faster, or raise timeout under [limits]",
        ) from None


@contextmanager
def interrupting(connection: Connection, most: timedelta) -> Iterator[None]:
    """A clock beside the statements of this block, of an engine in this process, that breaks them off.

    Again and again: an interrupt that comes before a statement has begun is lost.
    """
    driver: Any = connection.connection.driver_connection
    over = Event()

    def watch() -> None:
        wait = most.total_seconds()
        while not over.wait(wait):
            driver.interrupt()
            wait = AGAIN

    clock = Thread(target=watch, daemon=True)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()  # what comes next is not to be interrupted


@dataclass(frozen=True, slots=True)
class Words(ABC):
    """What one engine says in its own way. Nothing else asks which engine it is.

    url, schema: of the warehouse, for what errors say; none of them shows a password
    """

    url: URL
    schema: str

    dialect: ClassVar[str]  # what sqlglot calls the SQL
    text: ClassVar[str]  # the type of text, and of a moment without a zone, as `columns` names them
    moment: ClassVar[str]
    begin: ClassVar[str] = "begin transaction"
    snapshot: ClassVar[str] = "begin transaction"  # all statements of it see the data of one moment
    lands: ClassVar[bool] = False  # whether an audience is written down before anything else is asked of it
    streams: ClassVar[bool] = False  # whether rows that are both grouped and counted are not written down for that
    number: ClassVar[str] = ""  # of a value {}: equal ones have the same, hardly any others; where JSON is `written`
    apart: ClassVar[bool] = False  # whether it tells a million of those apart sooner than Python reads them
    locks: ClassVar[bool] = False  # whether a write that has waited for another may not see what that one wrote
    swaps: ClassVar[bool] = False  # whether it has no transactions, so that a table that changes is made anew beside
    numbers: ClassVar[bool] = False  # whether each row of a table has its place in it, from 0 up, as its `rowid`
    settles: ClassVar[int] = ranges.ROWS  # rows of one transaction; where that makes a table anew, all there are
    reads: ClassVar[int] = 4_000  # rows read at a time: as many as stay in a processor's cache, or pay for a statement
    whole: ClassVar[re.Pattern[str]]  # types whose text is a JSON number, of one form only
    spelled: ClassVar[re.Pattern[str]]  # types whose text has one form only

    @abstractmethod
    def engine(self) -> Engine:
        """What opens connections. Raises DefinitionError where that cannot work on this machine."""

    @abstractmethod
    def greet(self, connection: Connection) -> None:
        """The settings that a new connection needs."""

    @abstractmethod
    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """Column -> type that a SELECT would return, as our tables keep it. It is planned at most, never run."""

    def named(self, connection: Connection, select: str) -> dict[str, str]:
        """The same, as the engine names it, where our tables keep a moment as text."""
        return self.described(connection, select)

    @abstractmethod
    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """Column -> type of one of our tables; empty where there is no such table."""

    @abstractmethod
    def fitted(self, expression: str, type_: str) -> str:
        """A cast that gives NULL for what cannot be cast."""

    @abstractmethod
    def refusal(self, error: BaseException) -> Exception:
        """What a driver's error means to a person. Its words are shown only where they cannot hold a value."""

    @abstractmethod
    def shut(self, error: BaseException) -> Exception:
        """Why the warehouse cannot be opened. No row was read yet: what the engine says is shown."""

    def said(self, statement: str) -> Sequence[str]:
        """A statement of ours in the engine's SQL; the last one gives the rows. One that holds an audience's text comes
        here only where `lands` is false.
        """
        return (statement,)

    def labelled(self, label: str, statement: str) -> str:
        """A statement with a comment, or without one where the label is empty."""
        return f"{label}{statement}"

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Make a temporary table, quoted, of these columns of an audience's rows; where it `lands`, in place of one."""
        picked = ", ".join(f"q.{quoted(column)}" for column in types)
        return (f"create temp table {table} as select {picked} from (\n{select}\n) as q",)

    def founded(self) -> Sequence[str]:
        """Make our schema."""
        return (f"create schema if not exists {quoted(self.schema)}",)

    def later(self, moment: str, hours: str) -> str:
        """So many hours, a whole number, after a moment."""
        return f"{moment} + cast({hours} as integer) * interval '1 hour'"

    @property
    @abstractmethod
    def tables(self) -> str:
        """The names of the tables of :schema that start with :prefix, in order."""

    has_schema: ClassVar[str]  # whether there is a :schema

    def taken(self, column: str, type_: str) -> str:
        """A column of a row `q` of the query, as `described` says that it is kept."""
        return f"q.{quoted(column)}"

    def indexed(self, table: str, column: str) -> Sequence[str]:
        """Statements after which a table of ours is read fast by ranges of `column`, if it was not before."""
        return ()

    def seldom(self, condition: str) -> str:
        """A condition on rows, said so that the engine expects it to hold for few of them."""
        return condition

    def light(self, ask: Callable[[str], Sequence[Sequence[Any]]], select: str) -> bool:
        """Whether to run a SELECT twice costs the engine less than to write its rows down and read those. ask: runs"""
        return False

    def weighed(self, table: str) -> Sequence[str]:
        """Statements after which a table that has just got its rows is planned for as large as it is."""
        return ()

    def relieve(self, connection: Connection) -> None:
        """Let go of memory that the engine keeps unasked."""

    def bounding(self, most: timedelta) -> tuple[str, str]:
        """Statements before and after those that the engine must break off where they take longer."""
        return "", ""

    def timed(self, connection: Connection, most: timedelta) -> AbstractContextManager[None]:
        """One of these, where the engine breaks off nothing by itself. `refusal` makes of it a Cancelled."""
        return nullcontext()

    def sized(self, connection: Connection, most: int | None) -> AbstractContextManager[None]:
        """Let no query of an audience in a block read more bytes, where the engine tells them before."""
        return nullcontext()

    def impatient(self) -> tuple[str, str]:
        """Statements before and after one that raises Conflict where another worker's transaction is in the way."""
        return "", ""

    def written(self, key: str, fields: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
        """JSON of a member as text, `{"key": …, "fields": {…}}`, and whether it is JSON: SQL expressions over a row.
        None where the engine does not write all of it just as `portable` and Python would.
        fields: destination field -> column, type
        """
        return None

    @contextmanager
    def beside(self, connection: Connection) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """What asks over a second connection, in one other thread, while the first is busy."""
        with connection.engine.connect() as other:
            self.greet(other)
            asked = other.execution_options(no_parameters=True)
            yield lambda sql: list(asked.exec_driver_sql(sql).cursor.fetchall())

    def key(self, columns: Sequence[str], types: Mapping[str, str]) -> tuple[str, str]:
        """The key of a row `q` as an expression, and its type: a column, or several as one text, a JSON array without
        blanks, which is NULL where any part is. Raises DefinitionError for a part whose text may have several forms
        (1.5 and 1.50): two of them would be two members.
        """
        if len(columns) == 1:
            return f"q.{quoted(columns[0])}", types[columns[0]]
        parts = " || ',' || ".join(self._part(column, types[column]) for column in columns)
        return f"'[' || {parts} || ']'", self.text

    def _part(self, column: str, type_: str) -> str:
        value = f"cast(q.{quoted(column)} as varchar)"
        if self.whole.fullmatch(type_):
            return value
        if self.spelled.fullmatch(type_):
            return f"cast(to_json({value}) as varchar)"
        raise DefinitionError(
            f"the key's column {column!r} is of the type {type_}; a key of several columns is made of {PARTS}",
            do=f"cast it to text in the query, in one form: cast({column} as varchar) as {column}",
        )


def literal(value: str) -> str:
    """Text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
