"""Which engines can be read: the scheme of a URL -> the file that speaks to it, loaded for it alone, and its class."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from sqlalchemy.engine import URL

from audiences.errors import DefinitionError
from audiences.warehouse.source import Source

SOURCES: Mapping[str, tuple[str, str]] = {
    "bigquery": ("bigquery", "BigQuerySource"),
    "clickhouse": ("clickhouse", "ClickHouseSource"),
    "databricks": ("databricks", "DatabricksSource"),
    "duckdb": ("duckdb", "DuckDBSource"),
    "mariadb": ("mysql", "MySQLSource"),
    "mssql": ("sqlserver", "SQLServerSource"),
    "mysql": ("mysql", "MySQLSource"),
    "redshift": ("redshift", "RedshiftSource"),
    "snowflake": ("snowflake", "SnowflakeSource"),
    "sqlite": ("sqlite", "SQLiteSource"),
    "trino": ("trino", "TrinoSource"),
    "postgresql": ("postgres", "PostgresSource"),
    "postgres": ("postgres", "PostgresSource"),
}


def of(url: URL) -> Source:
    """The source behind a warehouse's URL. Raises DefinitionError for a kind that is not supported."""
    kind = url.get_backend_name()
    if kind not in SOURCES:
        raise DefinitionError(
            f"a warehouse of the kind {kind!r} is not supported",
            do=f"let AUDIENCES_WAREHOUSE_URL be one of: {', '.join(sorted(SOURCES))}",
        )
    room, name = SOURCES[kind]
    found: type[Source] = getattr(import_module(f"{__name__}.{room}"), name)
    return found(url)
