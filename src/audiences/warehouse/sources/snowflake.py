"""Snowflake, through its connector: the URL is that of snowflake-sqlalchemy.

With a key pair, SNOWFLAKE_PRIVATE_KEY_FILE names the private key's file, and SNOWFLAKE_PRIVATE_KEY_PASSPHRASE opens it.

https://docs.snowflake.com/en/developer-guide/python-connector/sqlalchemy,
https://docs.snowflake.com/en/developer-guide/python-connector/python-connector-api#describe (read 2026-11)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from audiences import mask
from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.source import Driven, matched, measured
from audiences.warehouse.words import Cancelled

# By their place, as the connector's documentation numbers them under "Type codes".
CODES = [
    *("fixed", "real", "text", "date", "timestamp", "variant", "timestamp_ltz", "timestamp_tz", "timestamp_ntz"),
    *("object", "array", "binary", "time", "boolean"),
]
KINDS = {"real": "DOUBLE", "boolean": "BOOLEAN"}  # FIXED is a decimal; all others travel as text, VARIANT too
CANCELLED, DENIED = "57014", "42501"
NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SnowflakeSource(Driven):
    """Snowflake, of which a role with USAGE and SELECT is enough. Nothing but the role keeps it from writing."""

    dialect = "snowflake"

    def engine(self, session: Mapping[str, object] = NOTHING, **more: Any) -> Engine:
        """snowflake-sqlalchemy, which `audiences[snowflake]` brings; a query's results come a chunk at a time.

        session: its parameters besides; more: options of the engine
        """
        if find_spec("snowflake") is None or find_spec("snowflake.sqlalchemy") is None:
            raise DefinitionError("Snowflake needs a driver", do="pip install 'audiences[snowflake]'")
        options = self.options()
        given = {**options, "session_parameters": {**options["session_parameters"], **session}}
        return create_engine(self.url, poolclass=NullPool, connect_args=given, **more)

    def options(self) -> Mapping[str, Any]:
        """What the URL cannot hold: the session's zone, and the file of a private key where there is one."""
        key = os.environ.get("SNOWFLAKE_PRIVATE_KEY_FILE")
        signs = {"authenticator": "SNOWFLAKE_JWT", "private_key_file": key} if key else {}
        if secret := os.environ.get("SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"):
            signs["private_key_file_pwd"] = secret
        longest = {"STATEMENT_TIMEOUT_IN_SECONDS": -(-self.most // timedelta(seconds=1))} if self.most else {}
        return {"session_parameters": {"TIMEZONE": "UTC", **longest}, **signs}

    def types(self, connection: Connection, select: str) -> dict[str, str]:
        """From what the server says of a query that it compiles and does not run."""
        cursor: Any = connection.connection.cursor()
        return {
            each.name: f"{dict(enumerate(CODES)).get(each.type_code, 'other')}({each.precision},{each.scale})"
            for each in cursor.describe(f"select * from (\n{select}\n) as q")
        }

    def kind(self, type_: str) -> str:
        """By its name in the protocol."""
        return measured(type_) if type_.startswith("fixed") else matched(type_, KINDS, "VARCHAR")

    def refusal(self, error: Any) -> Exception:
        """By SQLSTATE. What cannot be compiled is told in the server's words; what fails while it runs is not."""
        state = str(getattr(error, "sqlstate", "") or "")
        said = mask.text(" ".join(str(getattr(error, "raw_msg", "") or error).split()))
        if state == DENIED:
            return WarehouseError(f"the warehouse refuses: {said}", do="grant what it names to the worker's role")
        if state == CANCELLED:
            return Cancelled(
                "the warehouse has cancelled a statement",
                do="give its user or warehouse more time (STATEMENT_TIMEOUT_IN_SECONDS), or make the query faster",
            )
        if state.startswith("42"):
            return WarehouseError(
                f"the warehouse refuses a statement: {said}",
                do="mend the audience's SQL; or, if there is such a table, grant usage on its database and schema and"
                " select on it to the worker's role",
            )
        return WarehouseError(
            f"the warehouse fails with error {getattr(error, 'errno', 0)}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them",
        )

    def shut(self, error: Any) -> Exception:
        """Account, user, key, network; the driver's words name them, never a password."""
        return WarehouseError(
            f"the warehouse cannot be reached: {mask.text(str(error).splitlines()[0])}",
            do="see that AUDIENCES_WAREHOUSE_URL names account, user, password, database, schema, warehouse and role"
            " (snowflake://user:password@account/database/schema?warehouse=…&role=…); with a key pair, that"
            " SNOWFLAKE_PRIVATE_KEY_FILE names its file, and SNOWFLAKE_PRIVATE_KEY_PASSPHRASE is what opens it",
        )
