"""Which engines hold our tables: the scheme of a URL -> the file and the class of its words."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from sqlalchemy.engine import URL

from audiences.errors import DefinitionError
from audiences.warehouse.words import APART, Words

ENGINES: Mapping[str, tuple[str, str]] = {
    "bigquery": ("bigquery", "BigQuery"),
    "clickhouse": ("clickhouse", "ClickHouse"),
    "databricks": ("databricks", "Databricks"),
    "duckdb": ("duckdb", "DuckDB"),
    "mariadb": ("mariadb", "MariaDB"),
    "mssql": ("sqlserver", "SQLServer"),
    "mysql": ("mysql", "MySQL"),
    "postgresql": ("postgres", "Postgres"),
    "postgres": ("postgres", "Postgres"),
    "redshift": ("redshift", "Redshift"),
    "snowflake": ("snowflake", "Snowflake"),
    "sqlite": ("sqlite", "SQLite"),
    "trino": ("trino", "Trino"),
}


def spoken(url: URL) -> type[Words]:
    """The words of a warehouse's engine, loaded for it alone: all of them would cost a start a tenth of its time.

    Raises DefinitionError for a kind that holds none of our tables.
    """
    kind = url.get_backend_name()
    if kind not in ENGINES:
        raise DefinitionError(
            f"a warehouse of the kind {kind!r} cannot hold our tables",
            do=f"{APART}, where docs/warehouses.md names the kind among those that are read; or set"
            " AUDIENCES_WAREHOUSE_URL to a DuckDB database, duckdb:///path/to/file.duckdb, to a PostgreSQL one,"
            " postgresql://host/database with its role and password, or to one of another kind that is named there",
        )
    room, name = ENGINES[kind]
    found: type[Words] = getattr(import_module(f"audiences.warehouse.{room}"), name)
    return found


def dialect(url: URL) -> str:
    """What sqlglot calls the SQL of a warehouse. Raises DefinitionError for a kind that holds none of our tables."""
    return spoken(url).dialect
