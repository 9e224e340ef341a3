"""Snowflake, through its connector: our schema is one of the database that the URL names, and so are its audiences.

What makes, alters or drops a table ends the transaction in which it stands, and is one of its own. In READ COMMITTED a
statement sees what was committed before it began; whether one that has waited for a lock sees what was written
meanwhile is not documented. So a transaction of ours first takes a lock of its own, and asks only then whether its
fence holds; and the account must let a session see at once what another has committed.

https://docs.snowflake.com/en/sql-reference/transactions, …/parameters, …/collation,
…/sql/create-table (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, Engine

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.dialects.snowflake import translated
from audiences.warehouse.source import picked
from audiences.warehouse.sources.snowflake import DENIED, SnowflakeSource
from audiences.warehouse.words import APART, Conflict, Words, quoted

PATIENCE = 60  # seconds for which another worker may hold what a statement needs
MISSING = {2003, 2043}  # errors: no such table or schema, or none that the role may see
MET = {625, 2002}  # a lock that another transaction holds, a table just made; not documented: others report them so
MOMENT = "YYYY-MM-DD HH24:MI:SS.FF9"
SESSION = {
    "LOCK_TIMEOUT": PATIENCE,
    "QUERY_TAG": "audiences",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "TRANSACTION_ABORT_ON_ERROR": False,
    "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
    # As text a key has all its digits, or two moments would be one member.
    "TIMESTAMP_NTZ_OUTPUT_FORMAT": MOMENT,
    **dict.fromkeys(("TIMESTAMP_LTZ_OUTPUT_FORMAT", "TIMESTAMP_TZ_OUTPUT_FORMAT"), f"{MOMENT} TZH:TZM"),
    "TIME_OUTPUT_FORMAT": "HH24:MI:SS.FF9",
}
KINDS = {
    "text": "VARCHAR",
    "real": "DOUBLE",
    "binary": "BLOB",
    "timestamp_ntz": "TIMESTAMP",
    "timestamp_tz": "TIMESTAMPTZ",
    "timestamp_ltz": "TIMESTAMPLTZ",
    **{each: each.upper() for each in ("boolean", "date", "time")},
}


class Snowflake(Words):
    """The words of Snowflake."""

    __slots__ = ()

    dialect = "snowflake"
    text = "VARCHAR"
    moment = "TIMESTAMP"
    lands = True
    locks = True
    reads = 40_000
    whole = re.compile(r"BOOLEAN|DECIMAL\(\d+,0\)")
    spelled = re.compile(r"VARCHAR|DATE|TIMESTAMP")
    tables = (
        "select table_name from information_schema.tables where table_schema = :schema"
        " and startswith(table_name, :prefix) order by table_name"
    )
    has_schema = "select count(*) from information_schema.schemata where schema_name = :schema"

    @property
    def _source(self) -> SnowflakeSource:
        return SnowflakeSource(self.url)

    def engine(self) -> Engine:
        """snowflake-sqlalchemy, which `audiences[snowflake]` brings."""
        return self._source.engine(SESSION, isolation_level="AUTOCOMMIT")

    def greet(self, connection: Connection) -> None:
        """Raises WarehouseError where the session, its schema or the account is not as our statements need it."""
        _, _, schema = str(self.url.database).partition("/")
        if not schema:
            raise WarehouseError(
                "AUDIENCES_WAREHOUSE_URL names no schema",
                do="name the one of the audiences behind its database: snowflake://…/database/schema",
            )
        if (found := _parameter(connection, "READ_CONSISTENCY_MODE", "account")) != "GLOBAL":
            raise WarehouseError(
                f"the account's READ_CONSISTENCY_MODE is {found or 'not shown to this role'}: a worker may not see at"
                " once what another has just written, and so cannot tell that it was taken over",
                do=f"alter account set read_consistency_mode = 'GLOBAL' (as ACCOUNTADMIN); or {APART}",
            )
        if found := _parameter(connection, "DEFAULT_DDL_COLLATION", "schema"):
            raise WarehouseError(
                f"tables of the schema {schema} have the collation {found}, under which two keys may be one",
                do=f"let AUDIENCES_WAREHOUSE_URL name a schema whose DEFAULT_DDL_COLLATION is ''; or {APART}",
            )

    def founded(self) -> Sequence[str]:
        """Text is compared as it is, whatever the database's default. To make one is to go over to it."""
        made = f"create schema if not exists {quoted(self.schema)} default_ddl_collation = ''"
        return made, f"use schema {str(self.url.database).replace('/', '.')}"

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL."""
        return (translated(statement),)

    def labelled(self, label: str, statement: str) -> str:
        """Behind the statement: what stands before it does not reach the account's list of queries, as dbt has it.

        https://docs.getdbt.com/reference/project-configs/query-comment (read 2026-11)
        """
        return f"{statement} {label}".rstrip()

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Text is compared as it is, whatever the collation of its column. Raises DefinitionError for what has no type
        that can be compared.
        """
        known = {"DECIMAL", *KINDS.values()}
        if other := next((name for name, kind in types.items() if kind.partition("(")[0] not in known), None):
            raise DefinitionError(
                f"the column {other!r} is of the type {types[other]}, which cannot be compared here",
                do=f"cast it to text in the query: to_json(to_variant({other})) as {other}",
            )
        plain = {name: f"collate({{}}, '') as {quoted(name)}" for name, kind in types.items() if kind == self.text}
        columns = ", ".join(plain.get(name, "{}").format(quoted(name)) for name in types)
        rows = picked(select, map(quoted, types))
        return (f"create or replace temporary table {table} as select {columns} from ({rows})",)

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """From what the server says of a query that it compiles and does not run."""
        return {name: _kind(type_) for name, type_ in self._source.types(connection, select).items()}

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """Of a query for all of it: the same types as an audience's, and no warehouse has to run for it."""
        try:
            found = self._source.types(connection, f"select * from {quoted(self.schema)}.{quoted(table)}")
        except connection.dialect.loaded_dbapi.Error as error:
            if getattr(error, "errno", None) in MISSING:
                return {}
            raise
        return {column: _kind(type_) for column, type_ in found.items()}

    def fitted(self, expression: str, type_: str) -> str:
        """By way of text, of which alone it tries a cast; bytes are sent again."""
        if type_ == "BLOB":
            return "cast(null as BLOB)"
        return f"try_cast(cast({expression} as varchar) as {type_})"

    def _part(self, column: str, type_: str) -> str:
        """JSON is made of a VARIANT."""
        value = f"cast(q.{quoted(column)} as varchar)"
        return Words._part(self, column, type_).replace(f"to_json({value})", f"to_json(to_variant({value}))")

    def impatient(self) -> tuple[str, str]:
        """It would wait for as long as the other transaction is open."""
        return "alter session set lock_timeout = 0", f"alter session set lock_timeout = {PATIENCE}"

    def bounding(self, most: timedelta) -> tuple[str, str]:
        """Its own time-out, in whole seconds; after the block that of the user or warehouse counts again."""
        seconds = -(-most // timedelta(seconds=1))
        return (
            f"alter session set statement_timeout_in_seconds = {seconds}",
            "alter session unset statement_timeout_in_seconds",
        )

    def shut(self, error: BaseException) -> Exception:
        """Account, user, key, network."""
        return self._source.shut(error)

    def refusal(self, error: BaseException) -> Exception:
        """By its number and SQLSTATE."""
        if getattr(error, "errno", None) in MET:
            return Conflict()
        refused = self._source.refusal(error)
        if getattr(error, "sqlstate", None) == DENIED and isinstance(refused, WarehouseError):
            role = quoted(str(self.url.query.get("role", "the worker's role")))
            rights = f"grant usage, create table on schema {quoted(self.schema)} to role {role}"
            return WarehouseError(refused.what, do=f"{refused.do}; where that is our own schema: {rights}; or {APART}")
        return refused


def _parameter(connection: Connection, name: str, of: str) -> str:
    """A parameter's value; empty for none."""
    rows = connection.exec_driver_sql(f"show parameters like '{name}' in {of}").mappings()
    return next((str(row["value"]) for row in rows), "")


def _kind(type_: str) -> str:
    """What a type is called in our statements: one of the protocol, with its precision and scale."""
    name, _, digits = type_.partition("(")
    return f"DECIMAL({digits}" if name == "fixed" else KINDS.get(name, name.upper())
