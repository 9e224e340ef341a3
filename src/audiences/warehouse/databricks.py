"""Databricks SQL, through its connector: our schema is one of the catalog that the URL names.

Nothing here rests on transactions: `swapped` holds our tables. What a session has written is committed to the log of
its table by the end of the statement, and a SELECT that begins afterwards reads the newest version that the log has.

https://docs.databricks.com/aws/en/lakehouse/acid, …/aws/en/optimizations/isolation-level,
…/aws/en/sql/language-manual/sql-ref-syntax-aux-describe-table (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.dialects.databricks import plain, stepped
from audiences.warehouse.sources.databricks import DatabricksSource
from audiences.warehouse.words import APART, Conflict, Words

# Of a table that is gone, or there already, of ours; and of two that change the same one.
MET = re.compile(r"TABLE_OR_VIEW_NOT_FOUND|TABLE_OR_VIEW_ALREADY_EXISTS|SCHEMA_ALREADY_EXISTS|DELTA_CONCURRENT_")
MISSING = re.compile(r"TABLE_OR_VIEW_NOT_FOUND|SCHEMA_NOT_FOUND")
KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), "BIGINT"),
    **dict.fromkeys(("float", "double"), "DOUBLE"),
    **dict.fromkeys(("string", "timestamp"), "VARCHAR"),
    "boolean": "BOOLEAN",
    "date": "DATE",
}
NAIVE = "timestamp_ntz"  # in a table of ours a moment of ours; of an audience it is written down as text
CASTS = {"BIGINT": "bigint", "DOUBLE": "double", "BOOLEAN": "boolean", "DATE": "date"}
MOMENT = "replace(date_format(cast({} as timestamp), \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\"), '.000000', '')"


class Databricks(Words):
    """The words of Databricks."""

    __slots__ = ()

    dialect = "databricks"
    text = "VARCHAR"
    moment = "TIMESTAMP"
    lands = True
    swaps = True
    settles = 100_000_000
    reads = 40_000
    whole = re.compile(r"BIGINT|BOOLEAN|DECIMAL\(\d+,0\)")
    spelled = re.compile(r"VARCHAR|DATE")
    tables = (
        "select table_name from information_schema.tables where table_schema = :schema"
        " and startswith(table_name, :prefix) order by table_name"
    )
    has_schema = "select count(*) from information_schema.schemata where schema_name = :schema"

    @property
    def _source(self) -> DatabricksSource:
        return DatabricksSource(self.url)

    def engine(self) -> Engine:
        """databricks-sql-connector, which `audiences[databricks]` brings."""
        if find_spec("databricks") is None or find_spec("databricks.sql") is None:
            raise DefinitionError("Databricks needs a driver", do="pip install 'audiences[databricks]'")
        from audiences.warehouse.databricksed import opened

        return opened(self._source)

    def greet(self, connection: Connection) -> None:
        """The catalog is the URL's, and so is the schema of the audiences; the source's options have set both."""

    def founded(self) -> Sequence[str]:
        """Text is compared as it is, whatever the catalog's default."""
        return (f"create schema if not exists {_quoted(self.schema)} default collation utf8_binary",)

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL, step by step."""
        return stepped(statement)

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Each value as it is kept, text without its collation, moments as they travel. Raises DefinitionError for what
        has no type of ours.
        """
        known = {"DECIMAL", *KINDS.values()}
        if other := next((name for name, kind in types.items() if kind.partition("(")[0] not in known), None):
            raise DefinitionError(
                f"the column {other!r} is of the type {types[other]}, which cannot be compared here",
                do=f"cast it to text in the query: to_json({other}) as {other}, or base64({other}) as {other}",
            )
        picked = ", ".join(f"{_kept(f'q.{_quoted(name)}', kind)} as {_quoted(name)}" for name, kind in types.items())
        name = _quoted(plain(table[1:-1]))
        return (f"create or replace temporary table {name} as select {picked} from (\n{select}\n) as q",)

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """From the server's description of the query, which it does not run."""
        return {name: _kind(type_) for name, type_ in self.named(connection, select).items()}

    def named(self, connection: Connection, select: str) -> dict[str, str]:
        """The same, without our names."""
        asked = connection.execution_options(no_parameters=True).exec_driver_sql(
            f"describe query select * from (\n{select}\n) as q"
        )
        return {name: type_ for name, type_, *_ in asked.cursor.fetchall()}

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """As the server describes it, down to the empty line behind which is something else."""
        try:
            asked = connection.exec_driver_sql(f"describe table {_quoted(self.schema)}.{_quoted(table)}")
        except DBAPIError as error:
            if MISSING.search(str(error)):
                return {}
            raise
        found: dict[str, str] = {}
        for name, type_, *_ in asked.cursor.fetchall():
            if not name or name.startswith("#"):
                break
            found[name] = self.moment if type_ == NAIVE else _kind(type_)
        return found

    def fitted(self, expression: str, type_: str) -> str:
        """By way of text, of which alone each cast can be tried."""
        return f"try_cast(cast({expression} as varchar) as {type_})"

    def bounding(self, most: timedelta) -> tuple[str, str]:
        """Its own time-out, in whole seconds, to which SQL warehouses hold; after the block that of the workspace."""
        return f"set STATEMENT_TIMEOUT = {-(-most // timedelta(seconds=1))}", "reset STATEMENT_TIMEOUT"

    def shut(self, error: BaseException) -> Exception:
        """Host, path, token."""
        return self._source.shut(error)

    def refusal(self, error: BaseException) -> Exception:
        """By its condition and SQLSTATE."""
        said = str(error)
        if MET.search(said) and (self.schema in said or "CONCURRENT" in said):
            return Conflict()
        refused = self._source.refusal(error)
        if "42501" in said and isinstance(refused, WarehouseError):
            rights = f"grant use schema, create table, select, modify on schema {_quoted(self.schema)} to its user"
            return WarehouseError(refused.what, do=f"{refused.do}; our own tables need: {rights}; or {APART}")
        return refused


def _kind(type_: str) -> str:
    """What a type is called in our statements. A collation of a text's own is left where it is."""
    name = type_.lower().partition(" collate ")[0]
    if name.startswith("decimal"):
        return name.upper().replace(" ", "")
    if name.startswith(("varchar", "char")) or name == NAIVE:
        return "VARCHAR"
    return KINDS.get(name, type_)


def _kept(value: str, kind: str) -> str:
    """A value as it is kept. Which type a text comes of, only the server knows here."""
    if kind != "VARCHAR":
        return f"cast({value} as {CASTS.get(kind, kind)})"
    moment = MOMENT.format(value)
    ways = f"when 'timestamp' then {moment} || '+00:00' when 'timestamp_ntz' then {moment}"
    return f"(case typeof({value}) {ways} else cast({value} as string) end) collate utf8_binary"


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
