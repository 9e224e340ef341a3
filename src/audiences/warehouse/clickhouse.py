"""ClickHouse, over HTTP: our schema is a database of its own beside those that are read.

It has no transactions: `swapped` holds our tables. Its columns hold no NULL unless they say so, and its text is bytes.

https://clickhouse.com/docs/guides/developer/transactional, …/sql-reference/statements/insert-into (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.dialects.clickhouse import NAIVE, cast, stepped
from audiences.warehouse.sources.clickhouse import AROUND, CODE, DENIED, ClickHouseSource
from audiences.warehouse.words import APART, Conflict, Words, literal, quoted

MET = {57, 60, 82}  # a table that is there, or not there any more, or a database that is there: someone was quicker
# A type of its own -> the one in which our tables keep it.
KINDS = (
    {f"{sign}int{size}": "BIGINT" for sign in ("", "u") for size in (8, 16, 32)}
    | {"int64": "BIGINT", "uint64": "UBIGINT", "int128": "HUGEINT", "bool": "BOOLEAN", "string": "VARCHAR"}
    | dict.fromkeys(("float32", "float64", "bfloat16"), "DOUBLE")
    | dict.fromkeys(("uuid", "enum8", "enum16", "ipv4", "ipv6"), "VARCHAR")
    | dict.fromkeys(("date", "date32"), "DATE")
    | dict.fromkeys(("datetime", "datetime64"), "TIMESTAMPTZ")
)


class ClickHouse(Words):
    """The words of ClickHouse."""

    __slots__ = ()

    dialect = "clickhouse"
    text = "VARCHAR"
    moment = "TIMESTAMP"
    lands = True
    swaps = True
    settles = 100_000_000
    reads = 40_000
    whole = re.compile(r"U?BIGINT|HUGEINT|BOOLEAN|DECIMAL\(\d+,0\)")
    spelled = re.compile(r"VARCHAR|DATE")
    tables = "select name from system.tables where database = :schema and startsWith(name, :prefix) order by name"
    has_schema = "select count() from system.databases where name = :schema"

    @property
    def _source(self) -> ClickHouseSource:
        return ClickHouseSource(self.url)

    def engine(self) -> Engine:
        """clickhouse-connect, which `audiences[clickhouse]` brings."""
        if find_spec("clickhouse_connect") is None:
            raise DefinitionError("ClickHouse needs a driver", do="pip install 'audiences[clickhouse]'")
        return create_engine("clickhousedb://", poolclass=NullPool, creator=self._connected)

    def _connected(self) -> Any:
        from audiences.warehouse.clickhoused import Connection

        return Connection(self._source.client(writes=True))

    def greet(self, connection: Connection) -> None:
        """Nothing: each statement brings its settings."""

    def founded(self) -> Sequence[str]:
        """A database."""
        return (f"create database if not exists {quoted(self.schema)}",)

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL, step by step."""
        return stepped(statement)

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Each value in the type in which our tables keep it. Raises DefinitionError for what has none."""
        known = {"DECIMAL", *KINDS.values()}
        if other := next((name for name, kind in types.items() if kind.partition("(")[0] not in known), None):
            raise DefinitionError(
                f"the column {other!r} is of the type {types[other]}, which cannot be compared here",
                do=f"cast it to text in the query: toString({other}) as {other}, or toJSONString({other}) as {other}",
            )
        picked = ", ".join(f"{cast(f'q.{quoted(name)}', kind)} as {quoted(name)}" for name, kind in types.items())
        made = f"create temporary table {table} as select {picked} from (\n{select}\n) as q"
        return f"drop temporary table if exists {table}", made

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """Asked of its analyser."""
        asked = connection.execution_options(no_parameters=True).exec_driver_sql(f"describe (\n{select}\n)")
        return {name: _kind(type_) for name, type_, *_ in asked.cursor.fetchall()}

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """From the catalogue."""
        rows = connection.exec_driver_sql(
            f"select name, type from system.columns where database = {literal(self.schema)}"
            f" and table = {literal(table)} order by position"
        )
        return {name: _kind(type_) for name, type_ in rows}

    def fitted(self, expression: str, type_: str) -> str:
        """By way of text, of which alone it tries each cast."""
        return f"try_cast(cast({expression} as varchar) as {type_})"

    def later(self, moment: str, hours: str) -> str:
        """Also in a statement of ours."""
        return f"addHours({moment}, {hours})"

    def _part(self, column: str, type_: str) -> str:
        return Words._part(self, column, type_).replace("to_json(", "toJSONString(")

    def bounding(self, most: timedelta) -> tuple[str, str]:
        """Its own time-out, by the clock; after the block that of the user counts again."""
        longest = f"max_execution_time = {most.total_seconds():f}, timeout_before_checking_execution_speed = 0"
        return f"set {longest}", "set max_execution_time = default, timeout_before_checking_execution_speed = default"

    def shut(self, error: BaseException) -> Exception:
        """Sign-in, network, database."""
        return self._source.shut(error)

    def refusal(self, error: BaseException) -> Exception:
        """By its number."""
        found = CODE.search(str(error))
        number = int(found[1]) if found else 0
        if number in MET and self.schema in str(error):
            return Conflict()
        refused = self._source.refusal(error)
        if number in DENIED and isinstance(refused, WarehouseError):
            rights = f"create temporary table on *.*, and all on {quoted(self.schema)}.*"
            return WarehouseError(refused.what, do=f"{refused.do}; our tables need {rights}; or {APART}")
        return refused


def _kind(type_: str) -> str:
    """What a type is called in our statements."""
    while found := AROUND.match(type_):
        type_ = found[1]
    if type_ == NAIVE:
        return ClickHouse.moment
    name, _, more = type_.partition("(")
    if name == "Decimal":
        return f"DECIMAL({more.replace(' ', '')}"
    return KINDS.get(name.lower(), type_)
