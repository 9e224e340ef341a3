"""Open a DuckDB file, and no other database for it.

The library's dialect makes three in memory first, to learn which words are reserved, which settings there are, and
whether a table takes a comment: as long as three files take. Our statements are written out and need none of that.
"""

from __future__ import annotations

from typing import Any

import duckdb
import duckdb_sqlalchemy
import sqlalchemy
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer
from sqlalchemy.engine import URL
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import NullPool

# What the library says of itself. A file that a process has open is opened a second time only with the same settings.
AGENT = f"duckdb-sqlalchemy/{duckdb_sqlalchemy.__version__}(sqlalchemy/{sqlalchemy.__version__})"


class Quoting(duckdb_sqlalchemy.DuckDBIdentifierPreparer):
    """Knows no reserved word: we quote each name ourselves."""

    def __init__(self, dialect: Any, **options: Any):
        PGIdentifierPreparer.__init__(self, dialect, **options)


class Written(duckdb_sqlalchemy.Dialect):
    """The library's dialect for statements that are written out."""

    supports_statement_cache = True
    preparer = Quoting

    def initialize(self, connection: Connection) -> None:
        """Without asking for comments, which are for those who have it make tables."""
        DefaultDialect.initialize(self, connection)

    def connect(self, *args: Any, **options: Any) -> Any:
        """Which parts of a URL's query are settings of the engine, only the library can tell."""
        if options["url_config"]:
            return super().connect(*args, **options)
        del options["url_config"]
        options["config"] = {"custom_user_agent": AGENT}
        return duckdb_sqlalchemy.ConnectionWrapper(duckdb.connect(*args, **options))


registry.register("duckdb.written", __name__, Written.__name__)


def opened(url: URL, **options: Any) -> Engine:
    """A connection at a time (NullPool): a pooled one would keep the file locked against every other process.

    options: of the driver
    """
    written = url.set(drivername="duckdb+written")
    return create_engine(written, poolclass=NullPool, connect_args=options, isolation_level="AUTOCOMMIT")
