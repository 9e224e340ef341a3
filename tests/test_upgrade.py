"""From every layout that the state database has had to today's: its rows survive, and so does what the ledger knows."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, insert, select
from sqlalchemy.engine import make_url

from audiences import state
from audiences.state import State, migrate
from world import World

OLDER = [str(number) for number in range(1, state.VERSION)]
PEOPLE = [(n, f"p{n}@x", n) for n in range(1, 8)]
every_layout = pytest.mark.parametrize("layout", OLDER)


def filled(url, layout):
    """Make a database of an older layout, with a row in each of its tables; what it holds."""
    engine, old = create_engine(url), MetaData()
    with engine.begin() as connection:
        migrate.upgrade(connection, "base", layout)
        old.reflect(connection)
        for table in old.sorted_tables:
            connection.execute(insert(table), {column.name: some(column) for column in table.columns})
        connection.execute(old.tables["about"].delete())
        about = [{"name": "version", "value": layout}, {"name": "id", "value": "the-id-of-old"}]
        connection.execute(insert(old.tables["about"]), about)
    engine.dispose()
    return held(url, old)


def some(column):
    """A value of a column's type that is its own."""
    kind = column.type.python_type
    return {str: f"some {column.name}", int: len(column.name), float: 1.5}[kind]


def held(url, tables):
    """Table -> its rows, in the columns that these tables have."""
    engine = create_engine(url)
    with engine.begin() as connection:
        found = {
            table.name: {tuple(row) for row in connection.execute(select(*table.columns))}
            for table in tables.sorted_tables
        }
    engine.dispose()
    return found


@every_layout
def test_every_row_survives(state_url, layout):
    """
    A database of any layout that a release has left is brought to today's, with each row and each value of every table.
    """
    were, old = filled(state_url, layout), MetaData()
    engine = create_engine(state_url)
    old.reflect(engine)
    State(state_url).close()
    now = held(state_url, old)
    with engine.connect() as connection:
        differs = compare_metadata(MigrationContext.configure(connection), state.tables)
    engine.dispose()

    assert all(len(rows) > 0 for rows in were.values())
    assert now.pop("about") == {("version", str(state.VERSION)), ("id", "the-id-of-old")}
    assert now == {name: rows for name, rows in were.items() if name != "about"}
    assert differs == []


def taken_back(file, layout):
    """Let a state database be of an older layout, with all that such a one could hold of it."""
    engine, today, old = create_engine(f"sqlite:///{file}"), MetaData(), MetaData()
    with engine.begin() as connection:
        today.reflect(connection)
        kept = {table.name: connection.execute(select(table)).mappings().all() for table in today.sorted_tables}
        today.drop_all(connection)
        migrate.upgrade(connection, "base", layout)
        old.reflect(connection)
        for table in old.sorted_tables:
            rows = [{column.name: row[column.name] for column in table.columns} for row in kept[table.name]]
            if rows:
                connection.execute(insert(table), rows)
        about = old.tables["about"]
        connection.execute(about.update().where(about.c.name == "version").values(value=layout))
    engine.dispose()


@every_layout
def test_what_was_acknowledged_is_known_after_it(tmp_path, layout):
    """
    A run that was killed half-way, a new release, and the next run: what was acknowledged is not sent again, the rest
    is, and the runs of before are told.
    """
    world = World(tmp_path)
    world.small(batch=2)
    world.people(*PEOPLE[:3])
    world.sync()
    world.people(*PEOPLE)
    world.killed_in_call(4, force=True)
    taken_back(world.state_file, layout)
    world.receiver.calls.clear()
    world.sync(force=True)
    world.people(*PEOPLE[1:])
    world.sync(force=True)

    assert [member["key"] for member in world.receiver.sent("upsert")] == ["6", "7"]
    assert [member["key"] for member in world.receiver.sent("remove")] == ["1"]
    assert world.ledger() == {(key, email, True) for key, email, _ in PEOPLE[1:]}
    assert len(held(make_url(f"sqlite:///{world.state_file}"), state.tables)["run"]) == 4
