"""The state database: which one belongs to a schema, and what is said where it cannot be used."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from audiences import control, state
from audiences.errors import WarehouseError
from audiences.state import State
from audiences.warehouse import Warehouse
from world import World


@contextmanager
def opened(path):
    found = State(make_url(f"sqlite:///{path}"))
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def warehouse():
    with Warehouse(make_url("duckdb:///:memory:"), "audience_sync") as warehouse:
        yield warehouse


def test_a_state_database_is_made_once(tmp_path):
    """
    It keeps its name; asking whether there is one makes none.
    """
    path = tmp_path / "deep" / "s.sqlite"
    assert not state.exists(make_url(f"sqlite:///{path}"))
    assert not path.parent.exists()

    with opened(path) as first, opened(path) as second:
        assert first.id == second.id
    assert state.exists(make_url(f"sqlite:///{path}"))


def test_a_newer_layout_is_refused(tmp_path):
    """
    What a newer release wrote is not touched; the error says both layouts.
    """
    path = tmp_path / "s.sqlite"
    with opened(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("update about set value = '7' where name = 'version'")

    with pytest.raises(WarehouseError, match=r"layout 7, this one knows 1"):
        State(make_url(f"sqlite:///{path}"))


def test_a_file_that_is_no_database(tmp_path):
    """
    Any other file at its place is refused in words, and left as it is.
    """
    path = tmp_path / "s.sqlite"
    path.write_text("this is no database, but a long enough letter to somebody" * 20)

    with pytest.raises(WarehouseError, match="cannot be used"):
        State(make_url(f"sqlite:///{path}"))
    assert path.read_text().startswith("this is no database")


def test_a_folder_that_cannot_be_made(tmp_path):
    """
    Where its folder cannot be made, the variables that help are named.
    """
    (tmp_path / "file").write_text("")

    with pytest.raises(WarehouseError, match="XDG_STATE_HOME or AUDIENCES_STATE_URL"):
        State(make_url(f"sqlite:///{tmp_path}/file/state/s.sqlite"))


def test_what_an_interrupted_transaction_wrote_is_gone(tmp_path):
    """
    A transaction is all or nothing.
    """
    with opened(tmp_path / "s.sqlite") as found:
        interrupted = ExitStack()
        connection = interrupted.enter_context(found.begin())
        connection.execute(state.refusal.insert().values(sync="s", key_hash="k", reason="r", attempts=1))
        interrupted.__exit__(KeyError, KeyError(), None)
        with found.begin() as connection:
            assert connection.execute(state.refusal.select()).all() == []


def test_a_schema_remembers_its_state_database(warehouse, tmp_path):
    """
    Another state database is refused with both names and the way out; nothing was changed.
    """
    with opened(tmp_path / "ours.sqlite") as ours, opened(tmp_path / "other.sqlite") as other:
        control.adopt(warehouse, ours)
        with pytest.raises(WarehouseError) as refused:
            control.adopt(warehouse, other)

        assert "ours.sqlite" in refused.value.what
        assert "other.sqlite" in refused.value.what
        assert f"AUDIENCES_STATE_URL={ours.shown}" in refused.value.do
        control.adopt(warehouse, ours)


def test_a_new_state_database_in_the_same_place_is_adopted(warehouse, tmp_path):
    """
    Where the old one was deleted, the new one is taken, and the log says what was lost.
    """
    path = tmp_path / "s.sqlite"
    with opened(path) as first:
        control.adopt(warehouse, first)
    for each in tmp_path.glob("s.sqlite*"):
        each.unlink()
    with opened(path) as second, capture_logs() as lines:
        control.adopt(warehouse, second)
        control.adopt(warehouse, second)

    assert first.id != second.id
    assert [line["event"] for line in lines] == ["state.lost"]
    assert warehouse.run('select state_id from "audience_sync".project') == [(second.id,)]


def test_a_state_database_that_was_moved_is_followed(warehouse, tmp_path):
    """
    The same database at another place is the same: its new place is remembered.
    """
    with opened(tmp_path / "old.sqlite") as old:
        control.adopt(warehouse, old)
    (tmp_path / "old.sqlite").rename(tmp_path / "new.sqlite")
    with opened(tmp_path / "new.sqlite") as moved:
        control.adopt(warehouse, moved)

        assert warehouse.run('select state_url from "audience_sync".project') == [(moved.shown,)]


def test_a_schema_of_a_newer_release_is_refused(warehouse, tmp_path):
    """
    A warehouse schema with a newer layout is not touched.
    """
    with opened(tmp_path / "s.sqlite") as found:
        control.adopt(warehouse, found)
        warehouse.run('update "audience_sync".project set layout = 9')

        with pytest.raises(WarehouseError, match=r"layout 9, this one knows 1"):
            control.adopt(warehouse, found)


def test_no_person_is_in_the_state_database(tmp_path):
    """
    After a run with refusals, no address and no key of a member stands in the file: only hashes and masked reasons.
    """
    world = World(tmp_path)
    world.sql("alter table people alter column id type varchar")
    world.people(("customer-ada", "a@x"), ("customer-bea", "b@x"))
    world.receiver.rejects("b@x")
    world.sync()

    held = b"".join(path.read_bytes() for path in world.state_file.parent.iterdir())
    assert b"no such person" in held
    assert not [word for word in (b"@x", b"customer-") if word in held]
