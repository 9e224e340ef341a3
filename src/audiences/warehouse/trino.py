"""Trino: our schema is one of the catalog that the URL names, of its Iceberg connector or that of Delta Lake.

Each statement is committed by itself, and no transaction is asked for: `swapped` holds our tables. A change of a table
is a new metadata file that is swapped in (Iceberg), or a new entry of its log (Delta Lake). A query looks at the
catalog, or lists the log, as it begins: so a row is seen by whoever asks after its INSERT has returned, unless the
catalog is told to remember what the metastore said, as it is not by itself.

https://trino.io/docs/current/connector/iceberg.html, …/connector/delta-lake.html, …/object-storage/metastores.html
(`hive.metastore-cache-ttl`: 0s), https://github.com/trinodb/trino/issues/23559 (what Iceberg's connector caches never
changes), …/blob/master/plugin/trino-delta-lake/src/main/java/io/trino/plugin/deltalake/transactionlog/
TransactionLogAccess.java (the log is listed by each query; read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import driven
from audiences.warehouse.dialects.letters import folded, original
from audiences.warehouse.dialects.trino import stepped, temporary
from audiences.warehouse.sources.trino import TrinoSource
from audiences.warehouse.words import APART, Conflict, Words, literal, quoted

CONNECTORS = {"iceberg", "delta_lake"}
MISSING = {"TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND", "NOT_FOUND"}
# Of a table that is gone, or there already, of ours; and of two that change the same one.
# https://github.com/trinodb/trino/blob/master/core/trino-spi/src/main/java/io/trino/spi/StandardErrorCode.java,
# …/plugin/iceberg/IcebergErrorCode.java, …/plugin/deltalake/DeltaLakeErrorCode.java (read 2026-11)
MOVED = {"TABLE_NOT_FOUND", "NOT_FOUND", "TABLE_ALREADY_EXISTS", "ALREADY_EXISTS", "ICEBERG_MISSING_METADATA"}
MET = {"TRANSACTION_CONFLICT", "ICEBERG_COMMIT_ERROR", "SCHEMA_ALREADY_EXISTS"}
# Why an entry of Delta Lake's log was not written, where it is another's fault.
# https://github.com/trinodb/trino/blob/master/plugin/trino-delta-lake/src/test/java/io/trino/plugin/deltalake/
# BaseDeltaLakeConnectorSmokeTest.java (read 2026-11)
RACED = re.compile(
    "Transaction log locked|json already exists|oncurrent writes found|live locks|created during locking"
)
KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), "BIGINT"),
    **dict.fromkeys(("varchar", "timestamp", "unknown"), "VARCHAR"),
    "boolean": "BOOLEAN",
    "real": "REAL",
    "double": "DOUBLE",
    "date": "DATE",
}
JSON = "json_format(cast({} as json))"
HELPS = {"array": JSON, "map": JSON, "row": JSON, "json": "json_format({})", "varbinary": "to_hex({})"}
# A moment in the form in which it travels: with a zone in UTC.
MOMENT = (
    "replace(replace(cast(cast(cast({} as timestamp(6) with time zone) at time zone 'UTC' as timestamp(6)) as varchar),"
    " ' ', 'T'), '.000000', '')"
)


def _session() -> str:
    return f"scratch_{datetime.now(UTC):%Y%m%d}_{uuid4().hex[:8]}_"


@dataclass(frozen=True, slots=True)
class Trino(Words):
    """The words of Trino.

    session: how the names begin of what is temporary; no other session has the same
    """

    session: str = field(default_factory=_session)

    dialect = "trino"
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
        " and starts_with(table_name, :prefix) order by table_name"
    )
    has_schema = "select count(*) from information_schema.schemata where schema_name = :schema"

    @property
    def _source(self) -> TrinoSource:
        return TrinoSource(self.url)

    @property
    def _catalog(self) -> str:
        return str(self.url.database or "").partition("/")[0]

    def engine(self) -> Engine:
        """trino, which `audiences[trino]` brings."""
        if find_spec("trino") is None:
            raise DefinitionError("Trino needs a driver", do="pip install 'audiences[trino]'")
        from audiences.warehouse import trinoed

        return driven.engine(trinoed, lambda: trinoed.Connection(self._source, self.schema))

    def greet(self, connection: Connection) -> None:
        """Raises WarehouseError where the URL's catalog is of a connector of which nothing is known."""
        asked = f"select connector_name from system.metadata.catalogs where catalog_name = {literal(self._catalog)}"
        found = [name for (name,) in connection.exec_driver_sql(asked).fetchall()]
        if not CONNECTORS.issuperset(found or [""]):
            known = f"is of the connector {found[0]}" if found else "is not known"
            raise WarehouseError(
                f"the catalog {self._catalog!r} {known}; our tables are kept by Iceberg and Delta Lake alone",
                do="let AUDIENCES_WAREHOUSE_URL name a catalog of these connectors, trino://…/catalog/schema, that its"
                f" user may see; or {APART}",
            )

    def said(self, statement: str) -> Sequence[str]:
        """In its own SQL, step by step."""
        return stepped(statement, self.schema, self.session)

    def landed(self, table: str, select: str, types: Mapping[str, str]) -> Sequence[str]:
        """Each value in the type in which our tables keep it, moments as they travel. Raises DefinitionError for what
        has no type of ours.
        """
        known = {"DECIMAL", *KINDS.values()}
        if other := next((name for name, kind in types.items() if kind.partition("(")[0] not in known), None):
            text = HELPS.get(types[other].partition("(")[0], "cast({} as varchar)")
            raise DefinitionError(
                f"the column {other!r} is of the type {types[other]}, which cannot be compared here",
                do=f"make text of it in the query: {text.format(other)} as {other}",
            )
        picked = ", ".join(f"{_kept(name, kind)} as {quoted(folded(name))}" for name, kind in types.items())
        here = temporary(table, self.schema, self.session)
        return f"drop table if exists {here}", f"create table {here} as select {picked} from (\n{select}\n) as q"

    def described(self, connection: Connection, select: str) -> dict[str, str]:
        """From the answer to a query for no row, of which the server makes no work."""
        return {name: _kind(type_) for name, type_ in self.named(connection, select).items()}

    def named(self, connection: Connection, select: str) -> dict[str, str]:
        """As the answer names it."""
        return dict(_named(connection, f"(\n{select}\n) as q"))

    def columns(self, connection: Connection, table: str) -> dict[str, str]:
        """In the same way."""
        try:
            found = _named(connection, f"{quoted(self.schema)}.{quoted(table)}")
        except DBAPIError as error:
            if getattr(error.orig, "error_name", "") in MISSING:
                return {}
            raise
        moments = {name for name, type_ in found if type_.startswith("timestamp")}
        return {original(name): self.moment if name in moments else _kind(type_) for name, type_ in found}

    def fitted(self, expression: str, type_: str) -> str:
        """By way of text, of which each cast can be tried."""
        return f"try_cast(cast({expression} as varchar) as {type_})"

    def key(self, columns: Sequence[str], types: Mapping[str, str]) -> tuple[str, str]:
        """A float is none: its text is another than everywhere else, 1.5E0."""
        if len(columns) == 1 and types[columns[0]] in ("REAL", "DOUBLE"):
            raise DefinitionError(
                f"the key {columns[0]!r} is of the type {types[columns[0]]}, of which Trino makes the text 1.5E0",
                do=f"cast it in the query: cast({columns[0]} as decimal(38, 10)) as {columns[0]}",
            )
        return Words.key(self, columns, types)

    def bounding(self, most: timedelta) -> tuple[str, str]:
        """Its own time-out, which counts from when a statement is queued; after the block that of the URL again."""
        given: Any = self._source.options().get("session_properties", {})
        usual = given.get("query_max_run_time")
        after = f"set session query_max_run_time = {literal(usual)}" if usual else "reset session query_max_run_time"
        return f"set session query_max_run_time = '{most // timedelta(milliseconds=1)}ms'", after

    def shut(self, error: BaseException) -> Exception:
        """Host, sign-in."""
        return self._source.shut(error)

    def refusal(self, error: BaseException) -> Exception:
        """By its name."""
        name, said = getattr(error, "error_name", None) or type(error).__name__, str(error)
        if name == "Unreached":
            return self.shut(error)
        if name == "Missing":
            return WarehouseError(
                f"there is no schema {self.schema} in the catalog {self._catalog}, in which a plan, too, writes down"
                " what it compares",
                do=f"create schema {self._catalog}.{self.schema}; or run `audiences sync` first, which makes it",
            )
        why = str(getattr(error, "failure_info", "")) if name == "DELTA_LAKE_BAD_WRITE" else ""
        if name in MET or RACED.search(why) or (name in MOVED and self.schema in said):
            return Conflict()
        refused = self._source.refusal(error)
        if name == "PERMISSION_DENIED" and isinstance(refused, WarehouseError):
            whole, user = f"{self._catalog}.{self.schema}", quoted(self.url.username or "worker")
            owns = f"our tables need it to own their schema: alter schema {whole} set authorization user {user}"
            return WarehouseError(refused.what, do=f"{refused.do}; {owns}; or {APART}")
        return refused


def _named(connection: Connection, rows: str) -> list[tuple[str, str]]:
    """Column and type, as Trino names it, of what stands in a FROM."""
    asked = connection.execution_options(no_parameters=True).exec_driver_sql(f"select * from {rows} limit 0")
    description: Any = asked.cursor.description
    return [(name, type_) for name, type_, *_ in description]


def _kind(type_: str) -> str:
    """What a type is called in our statements; one that has no name there keeps its own."""
    name = type_.partition("(")[0]
    return type_.upper().replace(" ", "") if name == "decimal" else KINDS.get(name, type_)


def _kept(name: str, kind: str) -> str:
    """A value of a row `q` as it is kept. Which type a text comes of, only the server knows here."""
    value = f"q.{quoted(name)}"
    if kind != "VARCHAR":
        return f"cast({value} as {kind.lower()})"
    zone = f"case when typeof({value}) like '%with time zone' then '+00:00' else '' end"
    moment = f"{MOMENT.format(value)} || {zone}"
    return f"case when typeof({value}) like 'timestamp%' then {moment} else cast({value} as varchar) end"
