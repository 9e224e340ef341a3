"""MariaDB 10.11 or newer, through PyMySQL: our schema is a database of its own beside those that are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine

from audiences.errors import WarehouseError
from audiences.warehouse.dialects.mariadb import COLLATED, stepped
from audiences.warehouse.sources.mysql import DENIED, MySQLSource, bounding
from audiences.warehouse.words import APART, Conflict, Words, literal

OLDEST = (10, 11)
MET = {1205, 1213, 1050, 1007, 1062}  # lock wait time-out, deadlock; made at once: a table, a database, a row
PATIENCE = 60  # seconds for which another worker may hold what a statement needs
GREETING = (
    "set session transaction isolation level read committed",  # or a SELECT into a table locks what it reads
    f"set innodb_lock_wait_timeout = {PATIENCE}, lock_wait_timeout = {PATIENCE}",
    # A worker that stands still inside a transaction must not keep its successor out.
    "set idle_transaction_timeout = 60",
    # What a table is changed by may read that table. Joins by hashes of long text take a hundred times as long.
    "set optimizer_switch = 'derived_merge=off,join_cache_hashed=off'",
)
KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), "BIGINT"),
    **dict.fromkeys(("datetime", "timestamp"), "TIMESTAMP"),
    **dict.fromkeys(("float", "double", "date", "time"), ""),  # called the same
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit", "geometry"), "BLOB"),
}


class MariaDB(Words):
    """The words of MariaDB. In READ COMMITTED the second of two writers waits, and then finds no row."""

    __slots__ = ()

    dialect = "mysql"
    collated: ClassVar[str] = COLLATED
    text = "VARCHAR"
    moment = "TIMESTAMP"
    begin = snapshot = "start transaction"  # what it reads more than once is in temporary tables
    lands = True
    whole = re.compile(r"U?BIGINT|DECIMAL\(\d+,0\)")
    spelled = re.compile(r"VARCHAR|DATE|TIMESTAMP")
    tables = (
        "select table_name from information_schema.tables where table_schema = :schema"
        " and left(table_name, char_length(:prefix)) = :prefix order by table_name"
    )
    has_schema = "select count(*) from information_schema.schemata where schema_name = :schema"

    @property
    def _source(self) -> MySQLSource:
        return MySQLSource(self.url)

    def engine(self) -> Engine:
        """PyMySQL, which `audiences[mysql]` brings."""
        return self._source.engine(isolation_level="AUTOCOMMIT")

    def greet(self, connection: Connection) -> None:
        """Raises WarehouseError for a server that is too old, or MySQL."""
        [(version,)] = connection.exec_driver_sql("select version()")
        number = tuple(map(int, re.findall(r"\d+", version)[:2]))
        if "MariaDB" not in version or number < OLDEST:
            raise WarehouseError(
                f"the warehouse is {version}; mariadb:// is for MariaDB 10.11 or newer",
                do=f"let AUDIENCES_WAREHOUSE_URL begin with mysql:// for MySQL; upgrade the server; or {APART}",
            )
        for statement in GREETING:
            connection.exec_driver_sql(statement)

    def founded(self) -> Sequence[str]:
        """A database."""
        return (f"create database if not exists `{self.schema}` character set utf8mb4 {self.collated}",)

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL, step by step."""
        return stepped(statement)

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Text is compared as it is, whatever the collation of its column."""
        ours = f"convert({{}} using utf8mb4) {self.collated} as {{}}"
        names = {f"q.{_quoted(name)}": (_quoted(name), kind) for name, kind in types.items()}
        picked = [ours.format(q, name) if kind == self.text else f"{q} as {name}" for q, (name, kind) in names.items()]
        name = _quoted(table[1:-1])
        return self.anew(name, f"select {', '.join(picked)} from (\n{select}\n) as q")

    def anew(self, table: str, select: str) -> Sequence[str]:
        """A temporary table of these rows, in place of one."""
        return (f"create or replace temporary table {table} as {select}",)

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """From a table of no row, for only a table says all of a type. To ask for no row runs nothing."""
        asked, nothing = connection.execution_options(no_parameters=True), f"select * from (\n{select}\n) as q limit 0"
        for statement in self.anew("`<types>`", nothing):
            asked.exec_driver_sql(statement)
        return {name: _kind(type_) for name, type_, *_ in asked.exec_driver_sql("show columns from `<types>`")}

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """From the catalogue."""
        rows = connection.exec_driver_sql(
            "select column_name, column_type from information_schema.columns where table_schema ="
            f" {literal(self.schema)} and table_name = {literal(table)} order by ordinal_position"
        )
        return {name: _kind(type_) for name, type_ in rows}

    def fitted(self, expression: str, type_: str) -> str:
        """Anything has a text. It has no cast that gives NULL for what cannot be cast; so all of that is sent again."""
        return f"cast({expression if type_ == self.text else 'null'} as {type_})"

    def later(self, moment: str, hours: str) -> str:
        """Also in a statement of ours."""
        return f"addtime({moment}, sec_to_time(3600 * {hours}))"

    def _part(self, column: str, type_: str) -> str:
        return Words._part(self, column, type_).replace("to_json(", "json_quote(")

    def indexed(self, table: str, column: str) -> Sequence[str]:
        """Each batch would read the whole table. Who leaves is looked up by the identifier, beside the key."""
        name, columns = table.replace('"', "`"), [column.replace('"', "`")]
        columns += ["ident"] if column == '"key"' else []
        return [f"create index if not exists audiences_{n} on {name} ({each})" for n, each in enumerate(columns)]

    def impatient(self) -> tuple[str, str]:
        """It would wait for as long as the other transaction is open."""
        return "set innodb_lock_wait_timeout = 0", f"set innodb_lock_wait_timeout = {PATIENCE}"

    def bounding(self, most: timedelta) -> tuple[str, str]:
        """Its own time-out; after the block that of the user counts again."""
        return bounding(most, mariadb=True), "set max_statement_time = default"

    def shut(self, error: BaseException) -> Exception:
        """Sign-in, network, database."""
        return self._source.shut(error)

    def refusal(self, error: BaseException) -> Exception:
        """By its number."""
        number: Any = error.args[0] if error.args else 0
        if number in MET:
            return Conflict()
        refused = self._source.refusal(error)
        if number in DENIED and isinstance(refused, WarehouseError):
            more = f"and create temporary tables on the database of its URL, and all on `{self.schema}`.*"
            return WarehouseError(refused.what, do=f"{refused.do}, {more}; or {APART}")
        return refused


def _kind(type_: str) -> str:
    """What a type of the catalogue's is called in our statements."""
    name = re.split(r"[( ]", type_)[0]
    if name == "decimal":
        return type_.partition(")")[0].upper() + ")"
    if name == "bigint" and type_.endswith("unsigned"):
        return "UBIGINT"
    return KINDS.get(name, MariaDB.text) or name.upper()


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
