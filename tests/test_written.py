"""What SQLite and MariaDB have of their own where they hold our tables; what all engines promise is tried elsewhere."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy.engine import make_url

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import Warehouse
from audiences.warehouse.mariadb import MariaDB
from audiences.warehouse.sqlite import SQLite
from engines import on, started
from sourced import asks, failed, two_syncs
from world import HEADER, World

ENDLESS = {
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n",
    "mariadb": "select count(*) from seq_1_to_1000000000 a, seq_1_to_1000000000 b",
}
both = on("sqlite", "mariadb")


@pytest.fixture
def world(tmp_path, engine):
    return World(tmp_path, engine=engine)


@pytest.fixture
def sqlite(request, tmp_path):
    return World(tmp_path, engine=started(request, "sqlite"))


@pytest.fixture
def mariadb(request, tmp_path):
    return World(tmp_path, engine=started(request, "mariadb"))


@both
def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


@both
def test_text_is_compared_as_it_is(world):
    """
    Whatever the columns' collation says: keys that differ in case or in a blank at the end are two members, and a field
    that changes in no more is an update.
    """
    collation = {"sqlite": "nocase", "mariadb": "utf8mb4_general_ci"}[world.engine.name]
    column = f"varchar(20) collate {collation}"
    world.sql(f"create table named (id {column}, email varchar(20), nps {column})")
    rows = [("k", "a@x", "x"), ("K", "b@x", "x"), ("k ", "c@x", "x")]
    world.engine.fill(world.url, "named", rows)
    asks(world, "select id, email, nps from named")
    first = world.sync()
    world.engine.fill(world.url, "named", [("k", "a@x", "X"), ("K", "b@x", "x "), rows[2]])
    second = world.sync(force=True)

    assert (first.error, first.plan.added, first.plan.repeated) == (None, 3, 0)
    assert (second.error, second.plan.updated, second.plan.added) == (None, 2, 0)
    assert world.sync().outcome == "unchanged"


@both
def test_a_key_of_several_columns(world):
    """
    It is one text, a JSON array, whatever stands in its parts.
    """
    world.sql("create table seats (account varchar(20), id bigint, email varchar(20), nps integer)")
    world.engine.fill(world.url, "seats", [('a"b\\', 1, "a@x", 1), ("é", 2, "b@x", 1), (None, 3, "c@x", 1)])
    world.define(text=HEADER.replace('key = "id"', 'key = ["account", "id"]'))
    asked = (world.folder / "audiences" / "team.sql").read_text()
    world.define(text=asked.replace("select id, email, nps from people", "select account, id, email, nps from seats"))
    result = world.sync()

    assert (result.error, result.plan.keyless) == (None, 1)
    assert {key for key, *_ in world.ledger()} == {r'["a\"b\\",1]', '["é",2]'}
    assert world.sync().outcome == "unchanged"


@both
def test_blanks_that_are_none(world):
    """
    Only blanks at the very ends of an address do not count.
    """
    world.people((1, " a@x \n", 1), (2, " b@x ", 1))
    world.sync()

    assert {ident for _, ident, _ in world.ledger()} == {"a@x \n", "b@x"}


@both
def test_letters_beyond_ascii_have_a_case(world):
    """
    An address in capitals is the same address: no move.
    """
    world.people((1, "ÉVA@x", 1))
    world.sync()
    world.people((1, "éva@x", 1))
    plan = world.plan()

    assert (plan.updated, plan.added, plan.removed) == (1, 0, 0)
    assert {ident for _, ident, _ in world.ledger()} == {"éva@x"}


@both
def test_a_text_of_ours_is_any_text(world):
    """
    Quotes, backslashes, percent signs and colons of a list's name stay what they are.
    """
    name = "L'\\\\ %s :x %(y)s"
    world.define(text=HEADER.replace('list = "L"', f'list = "{name}"'))
    world.people((1, "a@x", 1))
    world.sync()

    assert world.sync().outcome == "unchanged"
    assert world.receiver.holds(name.replace("\\\\", "\\")) == {"a@x"}


@both
def test_no_table_of_ours_stands_before_one_of_theirs(world):
    """
    An audience may read tables that are called as ours are inside of a statement.
    """
    for name in ("r", "j", "looked"):
        world.sql(f"create table {name} (id bigint, email varchar, nps integer)")
        world.engine.fill(world.url, name, [(1, f"{name}@x", 1)])
    query = "select r.id, r.email, j.nps from r join j on j.id = r.id join looked on looked.id = r.id"
    for name, wanted in (("first", "L"), ("second", "M")):
        text = HEADER.replace("select id, email, nps from people", query).replace('list = "L"', f'list = "{wanted}"')
        world.define(text=text, name=name)
    (world.folder / "audiences" / "team.sql").unlink()
    first, second = world.results()

    assert (first.error, second.error) == (None, None)
    assert world.receiver.lists["L"] == world.receiver.lists["M"] == {"r@x": {"email": "r@x", "nps": 1}}


def test_a_value_that_becomes_another_type_is_an_update(sqlite):
    """
    1 and '1' are two values in SQLite, whatever a column says that it holds.
    """
    sqlite.people((1, "a@x", 1))
    sqlite.sync()
    sqlite.sql("drop table people", "create table people (id integer, email text, nps text)")
    sqlite.people((1, "a@x", "1"))

    assert sqlite.plan().updated == 1


@both
def test_what_takes_too_long_is_broken_off(world):
    """
    [limits] holds; the connection goes on, and what comes after may take its time.
    """
    with world.engine.warehouse(world.url) as warehouse:
        said = "the warehouse took longer than the .* that \\[limits\\] allows"
        with pytest.raises(WarehouseError, match=said), warehouse.bounded(timedelta(milliseconds=30)):
            warehouse.asked(ENDLESS[world.engine.name])

        assert warehouse.asked("select 1")[0][0] == 1


@both
def test_names_and_grammar_are_shown(world):
    """
    What an engine says of names is shown, and what to do.
    """
    world.people((1, "a@x"))

    assert "refuses a statement: " in (said := failed(world, "select id, email, nps from peeple"))
    assert "peeple" in said


def test_a_file_of_theirs_is_never_written(sqlite):
    """
    Our tables are in a file beside it, with its rights; a plan makes none.
    """
    sqlite.people((1, "a@x", 1))
    sqlite.warehouse_file.chmod(0o640)
    before, ours = sqlite.warehouse_file.read_bytes(), sqlite.warehouse_file.with_name("w.audience_sync.sqlite")
    sqlite.plan()
    assert not ours.exists()

    sqlite.sync()
    assert sqlite.warehouse_file.read_bytes() == before
    assert ours.stat().st_mode & 0o777 == 0o640


def test_a_source_without_times_is_never_fresh(sqlite):
    """
    SQLite has no times: [fresh] is refused, and nothing is sent.
    """
    sqlite.define('[fresh]\ntable = "people"\ncolumn = "email"\nwithin = "1 hour"')
    sqlite.people((1, "a@x", 1))
    result = sqlite.sync()

    assert "no time of the calendar" in str(result.error)
    assert not sqlite.receiver.calls


def test_a_writer_of_the_schema_is_met(sqlite, monkeypatch):
    """
    Who writes our file for longer than a worker waits ends its run, which is made up for by the next.
    """
    sqlite.people((1, "a@x", 1))
    sqlite.sync()
    monkeypatch.setattr("audiences.warehouse.sqlite.PATIENCE", 0.0)
    with sqlite.engine.ours(sqlite.url) as other:
        other.execute("begin immediate")
        other.execute("create table audience_sync.x (i)")
        held = sqlite.sync().error
        other.execute("rollback")

    assert "changes what this run needs" in str(held)
    assert sqlite.sync().outcome == "unchanged"


def test_a_sqlite_file_that_is_not_there(tmp_path):
    """
    None is made in its place.
    """
    with pytest.raises(WarehouseError, match="cannot be opened"):
        Warehouse(make_url(f"sqlite:///{tmp_path / 'none.sqlite'}"), "audience_sync")
    assert not [*tmp_path.iterdir()]


def test_a_sqlite_that_is_too_old(monkeypatch):
    """
    What is needed is said.
    """
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 37, 2))
    with pytest.raises(DefinitionError, match=re.escape("3.39 or newer is needed")):
        SQLite(make_url("sqlite:///w.sqlite"), "audience_sync").engine()


def test_an_audience_keeps_its_own_collation(mariadb):
    """
    Texts of the query itself compare as in the users' own console.
    """
    asks(mariadb, "select 1 as id, 'a@x' as email, 7 as nps from (select 1 as one) q where 'a' = 'A '")
    mariadb.sync()

    assert mariadb.listed() == {"a@x": 7}


def test_a_right_that_is_missing(mariadb):
    """
    What is missing is named, and all that a worker needs.
    """
    mariadb.people((1, "a@x", 1))
    mariadb.sql(f"revoke create temporary tables on {mariadb.url.database}.* from worker@localhost")
    said = str(mariadb.sync().error)

    assert "denied" in said
    assert "create temporary tables on the database of its URL" in said
    assert "AUDIENCES_LEDGER_URL" in said


@pytest.mark.parametrize("version", ["8.4.3", "10.6.22-MariaDB-log"])
def test_a_server_that_cannot_hold_our_tables(version):
    """
    MySQL, and a MariaDB that is too old, are refused with the way out.
    """
    words = MariaDB(make_url("mysql://example.com/shop"), "audience_sync")
    server = SimpleNamespace(exec_driver_sql=lambda statement: [(version,)])

    with pytest.raises(WarehouseError, match=f"the warehouse is {re.escape(version)}") as refused:
        words.greet(server)
    assert "AUDIENCES_LEDGER_URL" in refused.value.do
