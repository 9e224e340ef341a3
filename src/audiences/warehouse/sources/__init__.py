"""Which engines can be read: the scheme of a URL -> the file of its own that speaks to it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import URL

from audiences.errors import DefinitionError
from audiences.warehouse.source import Source
from audiences.warehouse.sources.bigquery import BigQuerySource
from audiences.warehouse.sources.clickhouse import ClickHouseSource
from audiences.warehouse.sources.databricks import DatabricksSource
from audiences.warehouse.sources.duckdb import DuckDBSource
from audiences.warehouse.sources.mysql import MySQLSource
from audiences.warehouse.sources.postgres import PostgresSource
from audiences.warehouse.sources.redshift import RedshiftSource
from audiences.warehouse.sources.snowflake import SnowflakeSource
from audiences.warehouse.sources.sqlite import SQLiteSource
from audiences.warehouse.sources.sqlserver import SQLServerSource
from audiences.warehouse.sources.trino import TrinoSource

SOURCES: Mapping[str, type[Source]] = {
    "bigquery": BigQuerySource,
    "clickhouse": ClickHouseSource,
    "databricks": DatabricksSource,
    "duckdb": DuckDBSource,
    "mariadb": MySQLSource,
    "mssql": SQLServerSource,
    "mysql": MySQLSource,
    "redshift": RedshiftSource,
    "snowflake": SnowflakeSource,
    "sqlite": SQLiteSource,
    "trino": TrinoSource,
    "postgresql": PostgresSource,
    "postgres": PostgresSource,
}


def of(url: URL) -> Source:
    """The source behind a warehouse's URL. Raises DefinitionError for a kind that is not supported."""
    kind = url.get_backend_name()
    if kind not in SOURCES:
        raise DefinitionError(
            f"a warehouse of the kind {kind!r} is not supported",
            do=f"let AUDIENCES_WAREHOUSE_URL be one of: {', '.join(sorted(SOURCES))}",
        )
    return SOURCES[kind](url)
