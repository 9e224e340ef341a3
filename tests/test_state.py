"""The state database: which one belongs to a schema, and what is said where it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import ExitStack, contextmanager

import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from audiences import cli, control, state
from audiences.errors import DefinitionError, WarehouseError
from audiences.state import State, tokens
from audiences.warehouse import Warehouse
from states import layout_1, rows
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


def test_workers_that_begin_at_once_wait_for_each_other(tmp_path):
    """
    A new file is opened while another worker is making it: SQLite itself would refuse that at once.
    """
    making = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None, check_same_thread=False)
    making.execute("begin immediate")
    later = threading.Timer(0.3, making.execute, ["commit"])
    later.start()
    try:
        with opened(tmp_path / "s.sqlite") as second:
            assert second.id
    finally:
        later.join()
        making.close()


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

    with pytest.raises(WarehouseError, match=f"layout 7, this one knows {state.VERSION}"):
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


def modes(folder):
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.glob("s.sqlite*")}


def test_a_state_file_is_its_owners_alone(tmp_path):
    """
    It may hold a refresh token: neither it nor what SQLite keeps beside it can be read by anybody else.
    """
    before = os.umask(0)
    try:
        with opened(tmp_path / "s.sqlite") as found:
            tokens.save(found, "crm", {"refresh_token": "not-a-real-token"})
            held = modes(tmp_path)
    finally:
        os.umask(before)

    assert held == dict.fromkeys(("s.sqlite", "s.sqlite-wal", "s.sqlite-shm"), "0o600")


def test_the_file_of_an_earlier_release_is_closed_to_others(tmp_path):
    """
    A state file that others could read is its owner's alone once it is opened.
    """
    url = layout_1(make_url(f"sqlite:///{tmp_path / 's.sqlite'}"))
    (tmp_path / "s.sqlite").chmod(0o644)
    State(url).close()

    assert modes(tmp_path) == {"s.sqlite": "0o600"}


def test_what_an_account_keeps(state_url):
    """
    Values are kept by account and name, the newest counts, and those of other accounts stay; across a restart.
    """
    first = State(state_url)
    tokens.save(first, "crm", {"refresh_token": "not-a-real-first", "descends_from": "a"})
    tokens.save(first, "crm_eu", {"refresh_token": "not-a-real-other"})
    tokens.save(first, "crm", {"refresh_token": "not-a-real-second"})
    first.close()
    again = State(state_url)
    found = [tokens.load(again, section) for section in ("crm", "crm_eu", "none")]
    [(age,)] = rows(state_url, f"select {again.now()} - max(at) from token")
    again.close()

    assert found == [
        {"refresh_token": "not-a-real-second", "descends_from": "a"},
        {"refresh_token": "not-a-real-other"},
        {},
    ]
    assert 0 <= age < 60


def test_a_lost_connection_is_told_in_words(postgres):
    """
    Where the server ends the connection, the error names the database without its password; the next use works.
    """
    url = make_url(postgres).set(password="not-a-real-password")
    found = State(url)
    with found.begin() as connection:
        [(pid,)] = connection.exec_driver_sql("select pg_backend_pid()").all()
    rows(url, f"select pg_terminate_backend({pid}, 5000)")
    with (
        pytest.raises(WarehouseError, match=r"cannot be used \((AdminShutdown|OperationalError)\)") as lost,
        found.begin() as again,
    ):
        again.exec_driver_sql("select 1")

    assert f"tester:***@/{url.database}" in lost.value.what
    with found.begin() as connection:
        assert connection.exec_driver_sql("select 1").scalar() == 1
    found.close()


@pytest.mark.parametrize("open_it", [State, state.exists])
def test_a_server_that_is_not_there(open_it, tmp_path):
    """
    A server that cannot be reached is told in words, and no password with it, wherever the URL has it.
    """
    url = make_url(f"postgresql+psycopg://tester:not-a-real-password@/x?host={tmp_path}&password=not-a-real-other")

    with pytest.raises(WarehouseError, match="cannot be used") as away:
        open_it(url)
    assert f"tester:***@/x?host={str(tmp_path).replace('/', '%2F')}\n" in str(away.value).replace(
        " cannot be used (OperationalError)", ""
    )


def test_a_database_without_a_driver():
    """
    A kind of database that nothing here speaks is refused with the way out.
    """
    with pytest.raises(DefinitionError, match=r"kind 'oracle\+nothing'\n  do: install it .*psycopg"):
        State(make_url("oracle+nothing://tester@localhost/x"))


def test_commands_with_a_state_in_postgresql(tmp_path, postgres):
    """
    sync, plan, status and refused work with a state database on a server, which only sync makes.
    """
    world = World(tmp_path)
    world.people((1, "a@x"))
    with (tmp_path / ".env").open("a") as env:
        env.write(f"AUDIENCES_WAREHOUSE_URL=duckdb:///w.duckdb\nAUDIENCES_STATE_URL={postgres}\n")
        env.write("AUDIENCES_PATIENCE=0.01\n")
    codes = [typed(tmp_path, words) for words in ("plan", "status", "refused")]
    assert not state.exists(make_url(postgres))
    codes.append(typed(tmp_path, "sync --all"))  # deferred: there is nobody at the webhook's address
    codes += [typed(tmp_path, words) for words in ("plan", "status", "refused")]

    assert codes == [0, 0, 0, 5, 0, 0, 0]
    assert rows(make_url(postgres), "select sync, result from run") == [("team.webhook", "deferred")]


def typed(folder, words):
    """The exit code of a command."""
    return CliRunner().invoke(cli.root, ["-C", str(folder), *words.split()], standalone_mode=False).return_value
