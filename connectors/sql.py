"""Any SQL database: a list is a table, with a row for each member and a column for each field.

Set-up: SQL_URL, as SQLAlchemy writes it: postgresql://worker:secret@db.example.com/crm, sqlite:////data/lists.db or
duckdb:////data/lists.duckdb. `pip install 'audiences[postgres]'` brings PostgreSQL's driver; any other is yours to add.
The role needs select, insert, update and delete; to make the table in its own schema, and to add columns, ownership.

    [sync.sql]
    list = "nps_detractors"
    send = ["customer_id", "email", "nps_score"]
    identify = ["customer_id"]

The table has the list's name, letter for letter, and the column `key`, which says whose row it is: the fields that
`identify` names, by default `email` in lower case, else the member's key. A table that is there already is taken if it
has that column. A field's column is made with its first value: boolean, bigint, double precision or text; lists and
dicts are JSON text. A column that is there keeps its type; NULL is NULL.

A batch is one transaction, in which the rows are read again: whoever would be kept with another value than was sent,
such as 2.5 in a bigint, is refused, and the others are written. Columns that are not sent are left alone; others may
add their own. A removal deletes the row, with all that is in it. A dropped table stops the sync.
Tried on SQLite, DuckDB and PostgreSQL; that it works on other databases is not confirmed.
https://docs.sqlalchemy.org/en/21/core/engines.html, …/dialects (read 2026-11)
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateColumn
from sqlalchemy.sql import quoted_name
from sqlalchemy.types import NullType, TypeEngine

from audiences import (
    BatchRefused,
    Chosen,
    DefinitionError,
    DeliveryError,
    Form,
    Limits,
    Member,
    Proof,
    Receipt,
    Unanswered,
)

KEY, AT = "key", "audiences_key"
# The first of these that all values of a new column are; else it is text.
KINDS: Sequence[tuple[tuple[type, ...], TypeEngine[Any]]] = (
    ((bool,), sa.Boolean()),
    ((int,), sa.BigInteger()),
    ((int, float), sa.Double()),
)
# MySQL and MariaDB have no key without a length, and would take `A` and `a` for one.
KEY_TYPE = sa.Text().with_variant(sa.String(255, collation="utf8mb4_bin"), "mysql", "mariadb")


class Sql(Chosen):
    limits = Limits(batch=1000)  # keys that Oracle takes in one `in`
    proof = Proof.DOCUMENTATION

    class Settings(Chosen.Settings):
        url: SecretStr

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.engine = _engine(self.settings.url.get_secret_value().strip())
        self.known: dict[str, dict[str, str]] = {}  # table -> column -> type

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        seen = [KEY, *(name.casefold() for name in send)]
        if twice := [name for name in send if seen.count(name.casefold()) > 1]:
            what = f"{twice[0]!r} is one column with another field, or with `key`, which says whose row it is"
            raise DefinitionError(what, do="give the field another name")
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        return {}

    def check(self) -> None:
        with self._transaction() as db:
            db.execute(sa.select(1))

    def prepare(self, name: str) -> str:
        if not self._columns(name):
            with self._transaction() as db:
                self._table(name, []).create(db)
        self._checked(name)
        return name

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        refused: dict[str, str] = {}
        rows = {self.ident(member): member for member in members}
        table = self._widened(list_id, members)
        while rows:
            wrong = self._put(table, rows)
            for ident, name in wrong.items():
                refused[rows[ident].key] = f"{name}: its column, {self.known[list_id][name]}, keeps another value"
            rows = {ident: each for ident, each in rows.items() if wrong and ident not in wrong}
        return Receipt.of(members, refused)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        if self._columns(list_id) and self._checked(list_id):
            at = self._table(list_id, []).c[KEY]
            with self._transaction() as db:
                db.execute(sa.delete(at.table).where(at.in_([self.ident(member) for member in members])))
        return Receipt.of(members)  # where there is no table, nobody is on the list

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        table = self._table(list_id, [name for name in self._checked(list_id) if name != KEY])
        with self._transaction() as db:
            for row in db.execution_options(yield_per=1000).execute(sa.select(*table.c)):
                yield dict(zip(_fields(table), map(_told, row[1:]), strict=True))

    def _put(self, table: sa.Table, rows: Mapping[str, Member]) -> dict[str, str]:
        """Write all of these rows; or none: then identifier -> the column that would keep another value than sent."""
        with self._transaction() as db:
            _write(db, table, {ident: _values(table, member) for ident, member in rows.items()})
            found = db.execute(sa.select(*table.c).where(table.c[KEY].in_([*rows])))
            kept = {str(row[0]): [str(row[0]), *map(_told, row[1:])] for row in found}
            wrong = {
                ident: column.name
                for ident, member in rows.items()
                for column, *pair in zip(table.c, [ident, *_values(table, member)], kept.get(ident, [0]), strict=False)
                if pair[0] != pair[1]
            }
            if wrong:
                db.rollback()
        return wrong

    def _columns(self, list_id: str) -> dict[str, str]:
        """Column -> type; empty where there is no such table."""
        if not self.known.get(list_id):
            with _in_words():
                seen = sa.inspect(self.engine)
                found = seen.get_columns(list_id) if seen.has_table(list_id) else []
            self.known[list_id] = {str(each["name"]): str(each["type"]).lower() for each in found}
        return self.known[list_id]

    def _checked(self, list_id: str) -> dict[str, str]:
        columns = self._columns(list_id)
        if not columns:
            ways = "bring it back; or `audiences forget` this sync, and the next run writes the whole list anew"
            raise DeliveryError(f"the table {list_id!r} is gone, and with it whoever was on the list", do=ways)
        if KEY not in columns:
            do = "name another list; or add the column, a text that is unique, if the sync may write to this table"
            raise DefinitionError(f"the table {list_id!r} has no column `key`, and so is no list", do=do)
        return columns

    def _widened(self, list_id: str, members: Iterable[Member]) -> sa.Table:
        """The table, with a column for each field that has a value."""
        columns, values = self._checked(list_id), dict[str, list[object]]()
        for member in members:
            for name, value in member.fields.items():
                values.setdefault(name, []).extend([value] if value is not None else [])
        for name in [each for each in values if values[each] and each not in columns]:
            kind = next((kind for types, kind in KINDS if all(type(each) in types for each in values[name])), sa.Text())
            table = self.engine.dialect.identifier_preparer.quote_identifier(list_id)
            column = CreateColumn(sa.Column(quoted_name(name, True), kind)).compile(self.engine)
            with self._transaction() as db:  # not every database takes the word `column` before it
                db.exec_driver_sql(f"alter table {table} add {column}")
            columns[name] = str(kind).lower()
        return self._table(list_id, [name for name in values if name in columns])

    def _table(self, list_id: str, names: Sequence[str]) -> sa.Table:
        """The table as statements name it. Values go to its columns as they are: the database knows their types."""
        longest = self.engine.dialect.max_identifier_length
        if long := [name for name in (list_id, *names) if len(name.encode()) > longest]:
            raise DefinitionError(f"{long[0]!r} has more than the {longest} bytes of a name", do="shorten it")
        fields = [sa.Column(quoted_name(name, True), NullType()) for name in names]
        return sa.Table(quoted_name(list_id, True), sa.MetaData(), sa.Column(KEY, KEY_TYPE, primary_key=True), *fields)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with _in_words(), self.engine.begin() as db:
            yield db


def _engine(address: str) -> sa.Engine:
    try:
        url = sa.make_url(address)
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        return sa.create_engine(url, poolclass=NullPool)
    except (ImportError, SQLAlchemyError) as error:
        why = (
            "has a driver that is not installed" if isinstance(error, ImportError) else "is none that SQLAlchemy knows"
        )
        do = "write it as SQLAlchemy does, postgresql://host/database with role and password; and install its driver"
        raise DefinitionError(f"the URL of the SQL database {why}", do=do) from None


@contextmanager
def _in_words() -> Iterator[None]:
    """What the database refuses, in our words: its own may hold people, and its address a password."""
    try:
        yield
    except (DBAPIError, OverflowError) as error:
        kind = type(getattr(error, "orig", error)).__name__
        if isinstance(error, DataError | IntegrityError | OverflowError) or kind == "DatatypeMismatch":  # PostgreSQL's
            raise BatchRefused(f"the database refuses it ({kind})") from None
        if isinstance(error, ProgrammingError):
            rights = "let the role read and write the table, make it and add columns"
            raise DeliveryError(f"the database refuses a statement ({kind})", do=rights) from None
        do = "see that it runs, and what the URL says of it; then run again"
        raise Unanswered(f"the database fails ({kind})", do=do) from None


def _write(db: sa.Connection, table: sa.Table, rows: Mapping[str, Sequence[object]]) -> None:
    """Bring the rows that are there up to date, and add the others: an upsert that every database has."""
    there = {str(key) for key in db.scalars(sa.select(table.c[KEY]).where(table.c[KEY].in_([*rows])))}
    fields: dict[str, Any] = {name: sa.bindparam(f"audiences_{n}") for n, name in enumerate(_fields(table))}
    told = [{AT: at, **{f"audiences_{n}": each for n, each in enumerate(row)}} for at, row in rows.items()]
    old, new = ([row for row in told if (row[AT] in there) is known] for known in (True, False))
    if old and fields:
        db.execute(sa.update(table).where(table.c[KEY] == sa.bindparam(AT)).values(fields), old)
    if new:
        db.execute(sa.insert(table).values({KEY: sa.bindparam(AT), **fields}), new)


def _fields(table: sa.Table) -> list[str]:
    return [column.name for column in table.columns if column.name != KEY]


def _values(table: sa.Table, member: Member) -> list[object]:
    """What a member's columns are to hold, in their order."""
    found = [member.fields.get(name) for name in _fields(table)]
    return [json.dumps(each, ensure_ascii=False) if isinstance(each, list | dict) else each for each in found]


def _told(value: object) -> object:
    """A value that was read as it would have been sent: dates and times as ISO 8601, decimals as numbers."""
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value) if isinstance(value, UUID) else value
