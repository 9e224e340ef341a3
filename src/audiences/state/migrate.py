"""Take a state database through the revisions that it lacks. The one room that knows Alembic.

Alembic's own table of versions is not used: `about.version` says which revision a database has, and two books of one
fact could disagree.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from audiences.state.tables import VERSION

FOLDER = str(Path(__file__).parent / "migrations")


def upgrade(connection: Connection, version: str, to: str = str(VERSION)) -> None:
    """Run the revisions after `version` ("base": all), in order, in the transaction that is open."""
    scripts = ScriptDirectory(FOLDER, version_locations=[FOLDER])
    with Operations.context(MigrationContext.configure(connection)):
        for revision in reversed(list(scripts.iterate_revisions(to, version))):
            revision.module.upgrade()
