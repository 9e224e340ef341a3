"""The warehouse: one connection, and one schema of it for our tables. What its engine says otherwise: `words`.

Where it is only read, as a `source`, our tables are in a file of the worker's own, and an audience's rows land there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from audiences.errors import WarehouseError
from audiences.warehouse import landing, sources
from audiences.warehouse.catalogue import Catalogue
from audiences.warehouse.embedded import Ledger, made
from audiences.warehouse.engines import dialect, spoken
from audiences.warehouse.landing import Made
from audiences.warehouse.source import Source
from audiences.warehouse.words import Conflict, Words, literal, overdue, quoted

__all__ = ["Conflict", "Made", "Warehouse", "Words", "dialect", "literal", "made", "quoted", "sources"]

NOTHING: Mapping[str, Made] = MappingProxyType({})


@dataclass
class Warehouse:
    """An open warehouse. Used by one thread; a DuckDB file is held until `close`.

    url:    of our tables, and of the audiences' as well where there is no source
    source: where the audiences' queries run, if that is another place
    """

    url: URL
    schema: str
    source: Source | None = None
    words: Words = field(init=False)
    engine: Engine = field(init=False)
    connection: Connection = field(init=False)
    catalogue: Catalogue = field(init=False)
    label: str = field(default="", init=False)  # what stands before each statement now, as a comment
    most: timedelta | None = field(default=None, init=False)  # what a statement may take now
    reading: Lock = field(default_factory=Lock, init=False)  # held while the second connection asks

    def __post_init__(self) -> None:
        self.words = (Ledger if self.source else spoken(self.url))(self.url, self.schema)
        self.engine = self.words.engine()
        self.catalogue = Catalogue(self.engine)
        event.listen(self.engine, "before_cursor_execute", self._labelled, retval=True)
        try:
            self.connection = self.engine.connect()
        except DBAPIError as error:
            raise self.words.shut(error.orig or error) from None
        try:
            with self._in_words():
                self.words.greet(self.connection)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()
        self.engine.dispose()

    def relieve(self) -> None:
        """Let go of memory that the engine keeps unasked. Not while it reads: it may have too little for a moment."""
        with self._in_words(), self.reading:
            self.words.relieve(self.connection)

    def table(self, name: str) -> str:
        """A table of ours, quoted, with its schema."""
        return f"{quoted(self.schema)}.{quoted(name)}"

    def prepare(self) -> None:
        """Make our schema, where it is missing. It is asked for first: to make it takes a right that few roles have."""
        [(there,)] = self._bound(self.words.has_schema, schema=self.schema).fetchall()
        for statement in () if there else self.words.founded():
            self._native(statement)

    def tables(self, prefix: str) -> list[str]:
        """The names of our tables that start with `prefix`."""
        return [name for (name,) in self._bound(self.words.tables, schema=self.schema, prefix=prefix).fetchall()]

    def columns(self, table: str) -> dict[str, str]:
        """Column -> type of one of our tables; empty where there is no such table."""
        with self._in_words():
            return self.catalogue.columns(table, lambda: self.words.columns(self.connection, table))

    def described(self, select: str) -> dict[str, str]:
        """Column -> type that an audience's SELECT would return; the engine plans it and runs nothing.
        An array's ends with a bracket.
        """
        if self.source:
            return self.source.described(select)
        with self._in_words():
            return self.words.described(self.connection, select)

    def stored(self, types: Mapping[str, str]) -> Mapping[str, str]:
        """The same columns, each with the type in which a table of ours keeps it."""
        return landing.stored(types) if self.source else types

    def named(self, select: str) -> dict[str, str]:
        """Column -> type that an audience's SELECT would return, as its engine names it."""
        with self._in_words():
            return self.source.named(select) if self.source else self.words.named(self.connection, select)

    def asked(self, select: str) -> Sequence[Sequence[Any]]:
        """The few rows of a SELECT that is asked where the audiences are."""
        return self.source.asked(f"{self.label}{select}") if self.source else self._native(select)

    @property
    def lands(self) -> bool:
        """Whether an audience's rows are written down before anything else is asked of them."""
        return self.source is not None or self.words.lands

    def land(self, table: str, select: str, types: Mapping[str, str], made: Mapping[str, Made] = NOTHING) -> None:
        """Make a temporary table, quoted, of these columns of an audience's rows. Nothing else leaves the source.
        made: of a source, by their names, columns that are made on the way
        """
        if self.source is None:
            for each in self.words.landed(table, select, types):
                self._native(each)
            return
        kinds = {**self.stored(types), **{name: each.kind for name, each in made.items()}}
        columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in kinds.items())
        self.run(f"create or replace temp table {table} ({columns})")
        statement, read = landing.insert(table, kinds), [*types, *(each.column for each in made.values())]
        with closing(self.source.batches(f"{self.label}{select}", read)) as batches, self._in_words():
            for rows in batches:
                landed = landing.document(rows, list(kinds.values()), [each.of for each in made.values()])
                self.connection.exec_driver_sql(statement, (landed,))

    @contextmanager
    def labelled(self, label: str) -> Iterator[None]:
        """Have each statement of this block begin with a comment, by which its cost is found in the engine's own lists;
        those cut a long one off at its end. label: names and ids of ours; no person, no value of a row
        """
        before, self.label = self.label, f"/* audiences: {label} */ "
        try:
            yield
        finally:
            self.label = before

    def _labelled(self, _connection: object, _cursor: object, sql: str, values: object, *_: object) -> tuple[str, Any]:
        return self.words.labelled(self.label, sql), values

    @contextmanager
    def bounded(self, most: timedelta | None, size: int | None = None) -> Iterator[None]:
        """Break off each statement of this block that takes longer, or reads more bytes. Raises WarehouseError then."""
        usual, outer = self.source, self.most
        self.source, self.most = usual and usual.bounded(most, size), outer if usual else most or outer
        try:
            told = ("", "") if usual or not most else self.words.bounding(most)
            with self.around(told), self.words.sized(self.connection, None if usual else size), overdue(most):
                yield
        finally:
            self.source, self.most = usual, outer

    def index(self, table: str, column: str) -> None:
        """Let a table of ours, quoted, be read by ranges of a column, if it was not before."""
        for statement in self.words.indexed(table, column):
            self._native(statement)

    def rows(self, sql: str, **values: object) -> Sequence[Any]:
        return self._bound(self._said(sql), **values).fetchall()

    def change(self, sql: str, **values: object) -> int:
        """Run a statement of ours; the rows it changed."""
        return int(self._bound(self._said(sql), **values).rowcount)

    @contextmanager
    def around(self, statements: tuple[str, str]) -> Iterator[None]:
        """Run one of these, in the engine's own SQL, before this block and the other after it; an empty one is none."""
        before, after = statements
        if before:
            self._native(before)
        try:
            yield
        finally:
            with suppress(WarehouseError):  # a connection that broke has no settings either
                if after:
                    self._native(after)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL that may hold an audience's text: nothing in it is taken for a parameter. Plain tuples."""
        return self._native(self._said(sql))

    @contextmanager
    def beside(self) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """What asks for rows as `run` does, over a connection of its own: for one thread beside this one's."""
        with self._in_words(), self.words.beside(self.connection) as ask:

            def asked(sql: str) -> list[tuple[Any, ...]]:
                with self.reading:
                    return ask(sql)

            yield asked

    def _said(self, sql: str) -> str:
        *before, last = self.words.said(sql)
        for each in before:
            self._native(each)
        return last

    def _bound(self, sql: str, **values: object) -> CursorResult[Any]:
        with self._in_words():
            return self.connection.execute(text(sql), values)

    def _native(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement in the engine's own SQL."""
        with self._in_words():
            result = self.connection.execution_options(no_parameters=True).exec_driver_sql(sql)
            return list(result.cursor.fetchall()) if result.cursor is not None and result.returns_rows else []

    @contextmanager
    def transaction(self, snapshot: bool = False) -> Iterator[None]:
        """All or nothing. Raises Conflict where another worker got there first.
        snapshot: whether all its statements must see the data of one moment
        """
        self._native(self.words.snapshot if snapshot else self.words.begin)
        try:
            yield
            self._native("commit")
        except BaseException:
            with suppress(DBAPIError):  # DuckDB ends the transaction by itself where a commit fails
                self.connection.exec_driver_sql("rollback")
            raise

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        errors = (DBAPIError, self.engine.dialect.loaded_dbapi.Error)  # those of a driver's cursor are not wrapped
        try:
            with self.words.timed(self.connection, self.most) if self.most else nullcontext():
                yield
        except errors as error:
            raise self.words.refusal(getattr(error, "orig", None) or error) from None
