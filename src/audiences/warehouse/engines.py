"""Which engines hold our tables: the scheme of a URL -> the words of its own file."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import URL

from audiences.errors import DefinitionError
from audiences.warehouse.duckdb import DuckDB
from audiences.warehouse.mariadb import MariaDB
from audiences.warehouse.postgres import Postgres
from audiences.warehouse.snowflake import Snowflake
from audiences.warehouse.sqlite import SQLite
from audiences.warehouse.words import APART, Words

ENGINES: Mapping[str, type[Words]] = {
    "duckdb": DuckDB,
    "mariadb": MariaDB,
    "mysql": MariaDB,
    "postgresql": Postgres,
    "postgres": Postgres,
    "snowflake": Snowflake,
    "sqlite": SQLite,
}


def spoken(url: URL) -> type[Words]:
    """The words of a warehouse's engine. Raises DefinitionError for a kind that holds none of our tables."""
    kind = url.get_backend_name()
    if kind not in ENGINES:
        raise DefinitionError(
            f"a warehouse of the kind {kind!r} cannot hold our tables",
            do=f"{APART}, where docs/warehouses.md names the kind among those that are read; or set"
            " AUDIENCES_WAREHOUSE_URL to a DuckDB database, duckdb:///path/to/file.duckdb, to a PostgreSQL one,"
            " postgresql://host/database with its role and password, or to one of another kind that is named there",
        )
    return ENGINES[kind]


def dialect(url: URL) -> str:
    """What sqlglot calls the SQL of a warehouse. Raises DefinitionError for a kind that holds none of our tables."""
    return spoken(url).dialect
