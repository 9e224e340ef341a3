"""BigQuery, by Google's own client: our schema is a dataset beside the one that the URL names.

It is asked for no transaction: `swapped` holds our tables. An INSERT is a transaction of its own, committed as its job
ends, and a job reads what was committed before it began: so who has added a row, and asks then, sees each row whose
INSERT ended before. Nothing is asked of a cached result, and nothing of ours is streamed.

https://docs.cloud.google.com/bigquery/docs/data-manipulation-language#limitations, …/bigquery/quotas,
https://cloud.google.com/blog/products/data-analytics/dml-without-limits-now-in-bigquery (read 2026-11). That a query
reads what was committed before it starts is from copies of Google's guides to migration, not from a page of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from sqlalchemy import Connection, Engine

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import driven
from audiences.warehouse.dialects.bigquery import cast, stepped, temporary
from audiences.warehouse.sources.bigquery import DENIED, BigQuerySource
from audiences.warehouse.words import APART, Conflict, Words

MISSING = {"notFound"}
MET = {"duplicate", *MISSING}  # a table that is there, or not there any more: someone was quicker
# What the client calls a type, by its older name or its newer -> the one in which our tables keep it.
KINDS = {
    **dict.fromkeys(("INTEGER", "INT64"), "BIGINT"),
    **dict.fromkeys(("FLOAT", "FLOAT64"), "DOUBLE"),
    **dict.fromkeys(("BOOLEAN", "BOOL"), "BOOLEAN"),
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMPTZ",
    "NUMERIC": "DECIMAL(38,9)",
    "BIGNUMERIC": "BIGDECIMAL",
}
TEXTS = {"GEOGRAPHY": "st_astext", "INTERVAL": "cast", "RANGE": "cast"}  # what makes text of it; else to_json_string


class BigQuery(Words):
    """The words of BigQuery."""

    __slots__ = ()

    dialect = "bigquery"
    text = "VARCHAR"
    moment = "TIMESTAMP"
    lands = True
    swaps = True
    settles = 100_000_000
    reads = 40_000
    whole = re.compile(r"BIGINT|BOOLEAN")
    spelled = re.compile(r"VARCHAR|DATE")
    has_schema = "select 1"  # `greet` has seen it

    @property
    def tables(self) -> str:
        """Asked of the dataset itself: of more, the worker may know nothing."""
        return (
            f"select table_name from {_quoted(self.schema)}.INFORMATION_SCHEMA.TABLES"
            " where starts_with(table_name, :prefix) order by table_name"
        )

    @property
    def _source(self) -> BigQuerySource:
        return BigQuerySource(self.url)

    def engine(self) -> Engine:
        """google-cloud-bigquery, which `audiences[bigquery]` brings."""
        if find_spec("google.cloud.bigquery") is None:
            raise DefinitionError("BigQuery needs a driver", do="pip install 'audiences[bigquery]'")
        from audiences.warehouse import bigqueried

        return driven.engine(bigqueried, lambda: bigqueried.Connection(self._source))

    def greet(self, connection: Connection) -> None:
        """Its jobs run where both datasets are. Raises WarehouseError where ours is not as our tables need it."""
        driver: Any = connection.connection.driver_connection
        try:
            ours = driver.dataset(self.schema)
            theirs = driver.dataset(self.url.database) if self.url.database else ours
        except connection.dialect.loaded_dbapi.Error as error:
            raise self._unknown(error) from None
        if amiss := _amiss(ours, theirs):
            raise WarehouseError(
                f"the dataset {self.schema} {amiss}",
                do=f"mend that, or make it anew: {self._made(theirs['location'])}; or {APART}",
            )
        driver.location = ours["location"]

    def _unknown(self, error: BaseException) -> Exception:
        if _reason(error) in MISSING:
            return WarehouseError(
                f"there is no dataset {self.schema}, or not the one that AUDIENCES_WAREHOUSE_URL names",
                do=f"{self._made('EU')}, where the audiences' dataset is; or {APART}",
            )
        return self.refusal(error)

    def _made(self, location: str) -> str:
        return f"create schema {_quoted(self.schema)} options (location = '{location}')"

    def founded(self) -> Sequence[str]:
        """Nothing: to make a dataset takes a right over the project, and says where all of it is."""
        return ()

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL, step by step."""
        return stepped(statement)

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Each value in the type in which our tables keep it, text as it is, whatever the collation of its column.

        Raises DefinitionError for a type that has none.
        """
        if other := next((name for name, kind in types.items() if kind not in KINDS.values()), None):
            makes = TEXTS.get(types[other], "to_json_string")
            text = f"cast({other} as string)" if makes == "cast" else f"{makes}({other})"
            raise DefinitionError(
                f"the column {other!r} is of the type {types[other]}, which cannot be compared here",
                do=f"make text of it in the query: {text} as {other}",
            )
        picked = ", ".join(f"{self._kept(name, kind)} AS {_quoted(name)}" for name, kind in types.items())
        return (f"CREATE OR REPLACE TEMP TABLE {temporary(table)} AS SELECT {picked} FROM (\n{select}\n) AS q",)

    def _kept(self, name: str, kind: str) -> str:
        value = cast(name, kind)
        return f"COLLATE({value}, '')" if kind == self.text else value

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """By a dry run, which reads no row: what it says of a query can be shown."""
        try:
            return _kinds(connection, select)
        except connection.dialect.loaded_dbapi.Error as error:
            raise self._source.refusal(error, reads=False) from None

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """By a dry run as well."""
        try:
            return _kinds(connection, f"select * from {_quoted(self.schema)}.{_quoted(table)}")
        except connection.dialect.loaded_dbapi.Error as error:
            if _reason(error) in MISSING:
                return {}
            raise

    def fitted(self, expression: str, type_: str) -> str:
        """By way of text, of which it tries each cast. Bytes are text where they are UTF-8."""
        return f"try_cast(try_cast({expression} as varchar) as {type_})"

    @contextmanager
    def timed(self, connection: Connection, most: timedelta) -> Iterator[None]:
        """Each job is told."""
        driver: Any = connection.connection.driver_connection
        driver.most = most
        try:
            yield
        finally:
            driver.most = None

    @contextmanager
    def sized(self, connection: Connection, most: int | None) -> Iterator[None]:
        """Over it the job that writes an audience down does not run."""
        driver: Any = connection.connection.driver_connection
        driver.size = most
        try:
            yield
        finally:
            driver.size = None

    def shut(self, error: BaseException) -> Exception:
        """Sign-in, network."""
        return self._source.shut(error)

    def refusal(self, error: BaseException) -> Exception:
        """By its reason."""
        if type(error).__name__ == "Unreached":
            return self.shut(error)
        reason = _reason(error)
        if reason in MET and re.search(rf"Table \S*[:.]{re.escape(self.schema)}\.", str(error)):
            return Conflict()
        refused = self._source.refusal(error)
        if reason in DENIED and isinstance(refused, WarehouseError):
            rights = f'grant `roles/bigquery.dataEditor` on schema {_quoted(self.schema)} to "serviceAccount:…"'
            return WarehouseError(refused.what, do=f"{refused.do}; our tables need {rights}; or {APART}")
        return refused


def _amiss(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Why a dataset cannot hold our tables; empty where it can."""
    if ours["location"] != theirs["location"]:
        return f"is in {ours['location']}, and that of the audiences in {theirs['location']}: no query reads both"
    if ours.get("defaultTableExpirationMs"):
        return "drops its tables after a time (default_table_expiration_days): whoever was listed would be forgotten"
    if ours.get("defaultCollation"):
        return f"has the collation {ours['defaultCollation']}, under which two keys may be one"
    return ""


def _kinds(connection: Connection, select: str) -> dict[str, str]:
    driver: Any = connection.connection.driver_connection
    return {field.name: _kind(field) for field in driver.schema(select)}


def _kind(field: Any) -> str:
    """What a column's type is called in our statements; one that is not known keeps its name."""
    return "ARRAY" if field.mode == "REPEATED" else KINDS.get(field.field_type, field.field_type)


def _reason(error: Any) -> str:
    told = (getattr(error, "errors", None) or [{}])[0]
    return str(told.get("reason", ""))


def _quoted(name: str) -> str:
    """A name as BigQuery quotes it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
