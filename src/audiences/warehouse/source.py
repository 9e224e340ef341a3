"""A warehouse of which the worker only reads: it runs the audiences' queries, and our tables are elsewhere."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from audiences.warehouse.landing import whole

ROWS = 5_000  # of one batch


@dataclass(frozen=True, slots=True)
class Source(ABC):
    """What one engine says in its own way where it is only read. Nothing else asks which engine it is.

    Each question has a connection of its own: none is held while nothing is asked.
    """

    url: URL
    most: timedelta | None = None  # what a statement may take; None: what it needs

    dialect: ClassVar[str]  # what sqlglot calls the SQL

    @abstractmethod
    def named(self, select: str) -> dict[str, str]:
        """Column -> type that a SELECT would return, as the engine names it; it plans it at most, and runs nothing."""

    @abstractmethod
    def kind(self, type_: str) -> str:
        """The kind, as `landing` has them, in which a type is kept."""

    @abstractmethod
    def asked(self, select: str) -> Sequence[Sequence[Any]]:
        """The few rows of a SELECT."""

    @abstractmethod
    def batches(self, select: str, columns: Sequence[str]) -> Generator[Sequence[Sequence[Any]]]:
        """These columns of a SELECT's rows, a batch at a time: only they leave the warehouse."""

    def bounded(self, most: timedelta | None, size: int | None) -> Source:
        """The same, where a query breaks off (Cancelled) that takes longer, or reads more bytes. None: as it likes."""
        return replace(self, most=most)

    def described(self, select: str) -> dict[str, str]:
        """Column -> kind that a SELECT would return."""
        return {column: self.kind(type_) for column, type_ in self.named(select).items()}


class Driven(Source):
    """A source behind a driver of SQLAlchemy's."""

    __slots__ = ()

    @abstractmethod
    def engine(self) -> Engine:
        """What opens connections. Raises DefinitionError where that cannot work on this machine."""

    def greet(self, connection: Connection) -> None:
        """The settings that a new connection needs; where the engine can, that it only reads, and for how long."""

    @abstractmethod
    def types(self, connection: Connection, select: str) -> dict[str, str]:
        """Column -> type, as the engine names it, that a SELECT would return."""

    @abstractmethod
    def refusal(self, error: Any) -> Exception:
        """What a driver's error means to a person. Its words are shown only where they cannot hold a value."""

    @abstractmethod
    def shut(self, error: Any) -> Exception:
        """Why the source cannot be opened. No row was read yet: what the engine says is shown."""

    def named(self, select: str) -> dict[str, str]:
        """Asked over a connection."""
        with self._open() as connection:
            return self.types(connection, select)

    def asked(self, select: str) -> Sequence[Sequence[Any]]:
        """Asked over a connection."""
        with self._open() as connection:
            return connection.execution_options(no_parameters=True).exec_driver_sql(select).fetchall()

    def batches(self, select: str, columns: Sequence[str]) -> Generator[Sequence[Sequence[Any]]]:
        """Streamed over a connection that ends with the last row."""
        with self._open() as connection:
            quote = connection.dialect.identifier_preparer.quote_identifier
            yield from self.streamed(connection, picked(select, map(quote, columns)))

    def streamed(self, connection: Connection, statement: str) -> Iterator[Sequence[Sequence[Any]]]:
        """A statement's rows, ROWS at a time."""
        asked = connection.execution_options(stream_results=True, no_parameters=True, max_row_buffer=ROWS)
        # The result's own method, for the cursor is ahead of it; with a size, or it would read all at once.
        yield from asked.exec_driver_sql(statement).partitions(ROWS)

    def timed(self, connection: Connection, most: timedelta) -> AbstractContextManager[None]:
        """One of these for all that a connection is asked, where the engine breaks off nothing by itself."""
        return nullcontext()

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        engine = self.engine()
        errors = (DBAPIError, engine.dialect.loaded_dbapi.Error)  # those of a driver's own cursor are not wrapped
        try:
            try:
                connection = engine.connect()
            except errors as error:
                raise self.shut(getattr(error, "orig", None) or error) from None
            with connection:
                self.greet(connection)
                with self.timed(connection, self.most) if self.most else nullcontext():
                    yield connection
        except errors as error:
            raise self.refusal(getattr(error, "orig", None) or error) from None
        finally:
            engine.dispose()


def picked(select: str, columns: Iterable[str]) -> str:
    """These columns, quoted, of a SELECT. The line break: it may end in a line comment."""
    return f"select {', '.join(f'q.{column}' for column in columns)} from (\n{select}\n) as q"


def matched(type_: str, kinds: Mapping[str, str], other: str) -> str:
    """The kind of a type by its name, without what stands in parentheses; `other` for one that is not named."""
    return kinds.get(type_.lower().partition("(")[0].strip(), other)


def measured(type_: str) -> str:
    """The kind of a decimal that is named with its precision and scale: decimal(10,2). It holds no NaN."""
    found = re.search(r"\((\d+), ?(\d+)\)", type_)
    return whole(int(found[1]), int(found[2])) if found else "VARIANT"
