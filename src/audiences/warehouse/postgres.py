"""PostgreSQL 16 or newer, through psycopg: one connection, each statement a transaction unless we begin one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import planned, sqlstate
from audiences.warehouse.words import Words, literal, quoted

OLDEST = 160000  # has pg_input_is_valid, and subqueries without a name

# What cannot be compared by `is distinct from`, or not exactly, and the type that can:
# json and xml have no equality, those of geometry compare areas, and citext does not see case.
KEPT = {"json": "jsonb", "citext": "text"} | dict.fromkeys(
    ("xml", "point", "line", "lseg", "box", "path", "polygon", "circle"), "text"
)

# Types by how their JSON is written.
SPELLED = re.compile(r"text|character varying(\(\d+\))?|date")
PLAIN = re.compile(r"boolean|smallint|integer|bigint")
NUMERIC = re.compile(r"numeric(\(\d+,-?\d+\))?")

GREETING = (
    "set jit = off",  # compiling takes longer than the comparison
    "set standard_conforming_strings = on",  # or a backslash in an audience's text would read otherwise than checked
    # A worker that stands still inside a transaction must not keep its successor out.
    "set idle_in_transaction_session_timeout = '60s'",
)


class Postgres(Words):
    """The words of PostgreSQL. In READ COMMITTED the second of two writers waits, and then finds no row."""

    __slots__ = ()

    dialect = "postgres"
    text = "character varying"
    moment = "timestamp without time zone"
    number = "hashtextextended({}, 0)"
    snapshot = "begin isolation level repeatable read"
    whole = re.compile(r"smallint|integer|bigint|boolean|numeric\(\d+,0\)")
    spelled = re.compile(r"text|character varying(\(\d+\))?|date|timestamp(\(\d\))? without time zone|uuid")
    tables = (
        "select tablename from pg_catalog.pg_tables where schemaname = :schema"
        " and starts_with(tablename, :prefix) order by tablename"
    )
    has_schema = "select count(*) from pg_catalog.pg_namespace where nspname = :schema"

    def engine(self) -> Engine:
        """psycopg, which `audiences[postgres]` brings. Nothing is prepared: poolers lose prepared statements."""
        if find_spec("psycopg") is None:
            raise DefinitionError("PostgreSQL needs a driver", do="pip install 'audiences[postgres]'")
        patience = {} if "connect_timeout" in self.url.query else {"connect_timeout": 10}
        engine = create_engine(
            self.url.set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            use_native_hstore=False,
            connect_args={"prepare_threshold": None, "client_encoding": "utf8", **patience},
        )
        event.listen(engine, "connect", plainly)
        return engine

    def greet(self, connection: Connection) -> None:
        """Raises WarehouseError for a server that is too old."""
        version = _driver(connection).info.server_version
        if version < OLDEST:
            raise WarehouseError(
                f"the warehouse is PostgreSQL {version // 10000}; 16 or newer is needed", do="upgrade the server"
            )
        for statement in GREETING:
            connection.exec_driver_sql(statement)

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """Parsed by the server and not even planned. In parentheses nothing but a SELECT that only reads is grammar."""
        from psycopg import errors
        from psycopg.pq import ExecStatus

        driver = _driver(connection)
        for answer in (
            driver.pgconn.prepare(b"", f"select * from (\n{select}\n) as q".encode()),
            described := driver.pgconn.describe_prepared(b""),
        ):
            if answer.status != ExecStatus.COMMAND_OK:
                raise self.refusal(errors.error_from_result(answer, "utf-8"))
        names = [(described.fname(i) or b"").decode() for i in range(described.nfields)]
        asked = ", ".join(f"format_type({described.ftype(i)}, {described.fmod(i)})" for i in range(described.nfields))
        types = connection.exec_driver_sql(f"select {asked}").one()
        return {name: _kept(type_) for name, type_ in zip(names, types, strict=True)}

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """From the catalogue, which needs no grant."""
        name = literal(f"{quoted(self.schema)}.{quoted(table)}")
        rows = connection.exec_driver_sql(
            "select attname, format_type(atttypid, atttypmod) from pg_catalog.pg_attribute"
            f" where attrelid = to_regclass({name}) and attnum > 0 and not attisdropped order by attnum"
        )
        return {row[0]: row[1] for row in rows}

    def fitted(self, expression: str, type_: str) -> str:
        """By way of text, which each type reads and writes."""
        said = f"cast({expression} as text)"
        return f"case when pg_input_is_valid({said}, {literal(type_)}) then cast({said} as {type_}) end"

    def taken(self, column: str, type_: str) -> str:
        """A cast, which costs nothing where the type is the column's own."""
        return f"cast(q.{quoted(column)} as {type_})"

    def written(self, key: str, fields: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
        """Part by part: json_build_object takes longer, and writes a float of a whole number as an integer."""
        told = {name: _json(*field) for name, field in fields.items()}
        parts = [literal(f"{orjson.dumps(name).decode()}:") + f" || {part[0]}" for name, part in told.items() if part]
        if len(parts) < len(fields):
            return None
        text = f"""'{{"key":' || to_json({key}) || ',"fields":{{' || {" || ',' || ".join(parts)} || '}}}}'"""
        finite = " and ".join(part[1] for part in told.values() if part and part[1])
        return text, finite or "true"

    def indexed(self, table: str, column: str) -> Sequence[str]:
        """Each batch would read the whole table. It is not analysed: one without rows is planned for as empty,
        and a statement that fills it then reads, for each row, all that it has written so far.
        """
        missing = f"not exists (select from pg_catalog.pg_index where indrelid = to_regclass({literal(table)}))"
        return (f"do $$ begin if {missing} then create index on {table} ({column}); end if; end $$",)

    def seldom(self, condition: str) -> str:
        """Of what it has no statistics of it expects that one row in 200 equals a constant."""
        return f"case when {condition} then 1 end = 1"

    def light(self, ask: Callable[[str], Sequence[Sequence[Any]]], select: str) -> bool:
        """As its planner reckons."""
        [(told,)] = ask(f"explain (format json) select * from (\n{select}\n) as q")
        return planned.light(told)

    def weighed(self, table: str) -> Sequence[str]:
        """One that was never analysed is planned for as a small one."""
        return (f"analyze {table}",)

    def impatient(self) -> tuple[str, str]:
        """It would wait for as long as the other transaction is open."""
        return "set lock_timeout = '100ms'", "set lock_timeout = default"

    def bounding(self, most: timedelta) -> tuple[str, str]:
        """Its own time-out; after the block that of the role counts again."""
        return f"set statement_timeout = {most // timedelta(milliseconds=1)}", "reset statement_timeout"

    def shut(self, error: BaseException) -> Exception:
        """Sign-in, network, database."""
        return sqlstate.shut(error)

    def refusal(self, error: BaseException) -> Exception:
        """By SQLSTATE."""
        return sqlstate.refusal(error, self.schema, self.url.username or "the worker's role")


def _driver(connection: Connection) -> Any:
    """psycopg's own connection."""
    return connection.connection.driver_connection


def _json(column: str, type_: str) -> tuple[str, str] | None:
    """JSON of a value as text, as `portable` would have it, and whether it is that, where it may not be."""
    said, finite = f"cast({column} as varchar)", f"{column} not in ('NaN', 'Infinity', '-Infinity')"
    if SPELLED.fullmatch(type_):
        return f"coalesce(cast(to_json({column}) as varchar), 'null')", ""
    if PLAIN.fullmatch(type_):
        return f"coalesce({said}, 'null')", ""
    if type_ == "double precision":
        point = f"case when {column} = trunc({column}) and abs({column}) < 1e15 then '.0' else '' end"
        return f"coalesce({said} || {point}, 'null')", finite
    if NUMERIC.fullmatch(type_):
        few = f"length(ltrim(translate({said}, '-.', ''), '0')) <= 15"
        number = f"case when {column} = trunc({column}) then cast(trunc({column}) as varchar) else {said} end"
        told = f"case when {few} then {number} else cast(to_json({said}) as varchar) end"
        # Python writes finer ones of many digits with an exponent.
        return f"coalesce({told}, 'null')", f"{finite} and ({few} or scale({column}) <= 6)"
    return None


def _kept(type_: str) -> str:
    element, array = type_.removesuffix("[]"), "[]" * type_.endswith("[]")
    return KEPT.get(element, element) + array


def plainly(driver: Any, _record: object = None) -> None:
    """Let values arrive as DuckDB's do: JSON, addresses and ranges as text, and a moment beyond the calendar too.

    psycopg makes objects of the former, and fails on the latter with all the rows around it.
    """
    from psycopg.types.string import TextLoader

    for name in ("json", "jsonb", "inet", "cidr", "record", *RANGES):
        driver.adapters.register_loader(name, TextLoader)
    for name, loader in _calendar().items():
        driver.adapters.register_loader(name, loader)


@cache
def _calendar() -> Mapping[str, type]:
    """What Python's calendar holds as such, else as text: infinity, 44 BC, 24:00.

    Made once: psycopg never lets go of a class that it was given.
    """
    from psycopg import DataError
    from psycopg.types import datetime as moments

    def within(loader: Any) -> type:
        def load(self: Any, data: Any) -> Any:
            try:
                return loader.load(self, data)
            except DataError:
                return bytes(data).decode()

        return type("Within", (loader,), {"load": load})

    return {
        "date": within(moments.DateLoader),
        "time": within(moments.TimeLoader),
        "timetz": within(moments.TimetzLoader),
        "timestamp": within(moments.TimestampLoader),
        "timestamptz": within(moments.TimestamptzLoader),
        "interval": within(moments.IntervalLoader),
    }


RANGES = [f"{kind}{many}range" for kind in ("int4", "int8", "num", "date", "ts", "tstz") for many in ("", "multi")]
