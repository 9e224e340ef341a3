"""Which layout a state database has, and how it comes to the newest one.

Alembic is loaded only where a database is older: it costs a start half of all that the other libraries cost together.
"""

from __future__ import annotations

import uuid

from sqlalchemy import Connection, inspect, select, text, update

from audiences.errors import WarehouseError
from audiences.state.tables import VERSION, about, tables

MIGRATING = 6_872_011_397  # the number that workers of one PostgreSQL database agree on; it means nothing else


def known(connection: Connection, shown: str) -> dict[str, str]:
    """What a database says of itself: version and id; nothing where it is new. Raises WarehouseError for a newer one.

    shown: how errors name the database
    """
    if not inspect(connection).has_table("about"):
        return {}
    found = {row.name: row.value for row in connection.execute(select(about))}
    if found and int(found["version"]) > VERSION:
        raise WarehouseError(
            f"the state database {shown} was written by a newer release"
            f" (layout {found['version']}, this one knows {VERSION})",
            do="install that release again, or set AUDIENCES_STATE_URL to another database",
        )
    return found


def newest(connection: Connection, shown: str) -> dict[str, str]:
    """Make or migrate what is missing, all in this transaction: whoever is killed leaves the layout as it was."""
    found = known(connection, shown)
    if found.get("version") == str(VERSION):
        return found
    _alone(connection)
    found = known(connection, shown)  # another worker may have been quicker
    if not found:
        return _made(connection)
    if found["version"] != str(VERSION):
        _migrate(connection, found["version"])
    return found


def _alone(connection: Connection) -> None:
    """Keep other workers out until this transaction ends. SQLite's transactions do so from their first word."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:number)"), {"number": MIGRATING})


def _made(connection: Connection) -> dict[str, str]:
    tables.create_all(connection)
    new = {"version": str(VERSION), "id": uuid.uuid4().hex}
    connection.execute(about.insert(), [{"name": name, "value": value} for name, value in new.items()])
    return new


def _migrate(connection: Connection, version: str) -> None:
    from audiences.state.migrate import upgrade

    upgrade(connection, version)
    connection.execute(update(about).where(about.c.name == "version").values(value=str(VERSION)))
