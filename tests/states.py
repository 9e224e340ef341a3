"""State databases of both kinds: a SQLite file, and a database of a real PostgreSQL server."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

KINDS = ("sqlite", "postgresql")
VERSION_1 = Path(__file__).with_name("state_v1.sql")


@pytest.fixture(params=KINDS)
def state_url(request, tmp_path) -> URL:
    """Where a state database may be made, on SQLite and then on PostgreSQL."""
    if request.param == "sqlite":
        return make_url(f"sqlite:///{tmp_path / 's.sqlite'}")
    return make_url(request.getfixturevalue("postgres"))


def layout_1(url: URL) -> URL:
    """Make the database as release 0.1.0 left it, with a row in every table; its id is `the-id-of-old`."""
    script = VERSION_1.read_text()
    if url.get_backend_name() == "sqlite":
        with sqlite3.connect(str(url.database)) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(script)
        connection.close()
        return url
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(text(statement))
    engine.dispose()
    return url


def rows(url: URL, statement: str) -> list[tuple]:
    """What a statement finds, or what it changes, in a connection of its own."""
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        found = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return found
