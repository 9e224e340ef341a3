"""The engines that are only read: one suite of promises, and what each has of its own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url

from audiences import denied
from audiences.errors import Deferred, DefinitionError, WarehouseError
from audiences.warehouse import sources
from audiences.warehouse.sources.mysql import MySQLSource, bounding
from audiences.warehouse.words import Cancelled
from engines import ReadOnly, Seen
from mariadb import MariaDB
from scale import times
from sourced import asks, failed, two_syncs
from test_convergence import Told, told
from world import World

# A value as the engine writes it -> what travels.
VALUES = {
    "sqlite": {
        "null": None,
        "'😀'": "😀",
        "''": "",
        "7": 7,
        "9223372036854775807": 9223372036854775807,
        "0.1": 0.1,
        "date('2026-02-28')": "2026-02-28",
        "x'00ff'": "AP8=",
        "1e999": ValueError,
        "cast(x'ff41' as text)": ValueError,
    },
    "mysql": {
        "null": None,
        "'😀'": "😀",
        "''": "",
        "'it\\'s'": "it's",
        "true": 1,
        "cast(18446744073709551615 as unsigned)": 18446744073709551615,
        "cast(0.1 as double)": 0.1,
        "cast(1.50 as decimal(10, 2))": 1.5,
        "cast(12345678901234567.5 as decimal(30, 2))": "12345678901234567.50",
        "cast(repeat('123', 15) as decimal(65))": "123" * 15,
        "date '2026-02-28'": "2026-02-28",
        "timestamp '2026-02-28 23:59:59.5'": "2026-02-28T23:59:59.500000",
        "time '12:30:00'": "12:30:00",
        "json_object('a', 1)": '{"a": 1}',
        "unhex('00ff')": "AP8=",
        "zero": "0000-00-00",
    },
}


def made(request, name):
    return Seen() if name == "sqlite" else MariaDB(request.getfixturevalue("mariadb_server"))


@pytest.fixture(params=["sqlite", "mariadb"])
def world(request, tmp_path):
    return World(tmp_path, engine=ReadOnly(made(request, request.param)))


@pytest.fixture
def mariadb(tmp_path, mariadb_server):
    return World(tmp_path, engine=ReadOnly(MariaDB(mariadb_server)))


@pytest.fixture
def sqlite(tmp_path):
    return World(tmp_path, engine=ReadOnly(Seen()))


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


@pytest.mark.parametrize("name", ["sqlite", "mariadb"])
@pytest.mark.no_cover
def test_any_history_ends_in_step(request, name):
    """
    The histories of test_convergence, from this engine.
    """
    told(Told, ReadOnly(made(request, name)), times(5, 1_000, 20))


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says; one that cannot travel is refused with its member alone.
    """
    found = VALUES[world.engine.dialect]
    if world.engine.dialect == "mysql":
        world.sql("create table odd (d date)", "set sql_mode = ''", "insert into odd values ('0000-00-00')")
    fits = {value: told for value, told in found.items() if told is not ValueError}
    unfit = [value for value, told in found.items() if told is ValueError]
    columns = ", ".join(f"{value} as v{n}".replace("zero", "(select d from odd)") for n, value in enumerate(fits))
    others = ", ".join(f"{value} as w{n}" for n, value in enumerate(unfit))
    asks(world, f"select 1 as id, 'p@x' as email, {columns}")
    send = ", ".join(f'"v{n}"' for n in range(len(fits)))
    file = world.folder / "audiences" / "team.sql"
    file.write_text(file.read_text().replace('"nps"]', f"{send}]"))
    result = world.sync()

    assert (result.error, result.refused) == (None, 0)
    [member] = world.receiver.sent("upsert")
    assert [member["fields"][f"v{n}"] for n in range(len(fits))] == [*fits.values()]
    for n, _ in enumerate(unfit):
        asks(world, f"select 1 as id, 'p@x' as email, w{n} as nps from (select {others}) q")
        world.later(days=30)
        assert (world.sync(force=True).refused, world.receiver.holds()) == (1, {"p@x"})


def test_one_statement_of_many_kinds_of_name(world):
    """
    Columns are quoted in the engine's own way, whatever they are called.
    """
    world.people((1, "a@x", 3))
    asks(world, "select id, email, nps as `select` from people")
    file = world.folder / "audiences" / "team.sql"
    file.write_text(file.read_text().replace('["email", "nps"]', '{ email = "email", nps = "select" }'))

    assert world.sync().delivered == 1
    assert world.listed() == {"a@x": 3}


def test_names_and_grammar_are_shown(world):
    """
    What an engine says of names is shown, and what to do.
    """
    world.people((1, "a@x"))

    assert "refuses a statement: " in (said := failed(world, "select id, email, nps from peeple"))
    assert "peeple" in said
    assert "nope" in failed(world, "select id, email, nope(id) as nps from people")


def test_a_value_is_never_shown(mariadb):
    """
    An error that may quote a row is told by its number.
    """
    mariadb.people((1, "ada@example.com"))
    said = failed(mariadb, "select id, email, extractvalue(email, '//[') as nps from people")

    assert "fails with error" in said
    assert "ada" not in said


def test_keys_that_differ_in_case_are_two(mariadb):
    """
    MariaDB's own comparison takes them for one; the ledger does not.
    """
    asks(mariadb, "select 'k' as id, 'a@x' as email, 1 as nps union all select 'K', 'b@x', 2")
    mariadb.sync()

    assert mariadb.listed() == {"a@x": 1, "b@x": 2}


def test_the_transaction_only_reads(mariadb):
    """
    A function of the users' own that writes is stopped by the server, also for a user who may write.
    """
    mariadb.sql("create function counted() returns integer begin delete from people; return 1; end")
    mariadb.sql(f"grant all on {mariadb.url.database}.* to onlooker@localhost")
    mariadb.people((1, "a@x"))

    assert "the warehouse is read-only" in failed(mariadb, "select id, email, counted() as nps from people")
    assert mariadb.sql("select count(*) from people") == ((1,),)


def test_a_right_that_is_missing(mariadb):
    """
    The table is named, and the user who needs the right.
    """
    of = f"{mariadb.url.database}.*"
    mariadb.sql(f"revoke select on {of} from onlooker@localhost", f"grant create view on {of} to onlooker@localhost")
    said = failed(mariadb, "select id, email, nps from people")

    assert "command denied" in said
    assert "grant select on what it names to 'onlooker'" in said


@pytest.mark.parametrize("mode", ["ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT", ""])
def test_a_text_is_read_as_it_was_checked(mariadb, mode):
    """
    Whatever the server's own mode makes of quotes and backslashes.
    """
    mariadb.people((1, "a@x"))
    mariadb.sql(f"set global sql_mode = '{mode}'")
    asks(mariadb, "select id, email, nps from people where email <> 'A\\' or \"%\" = \\'b'")
    outcome = mariadb.sync().outcome
    mariadb.sql("set global sql_mode = default")

    assert outcome == "delivered"


def test_a_file_that_is_written(sqlite, monkeypatch):
    """
    A writer that holds the file defers the run; afterwards it goes on.
    """
    monkeypatch.setattr("audiences.warehouse.sources.sqlite.PATIENCE", 0.0)
    sqlite.people((1, "a@x"))
    with sqlite.engine.open(sqlite.url) as writer:
        writer.execute("begin exclusive")
        result = sqlite.sync()

    assert isinstance(result.error, Deferred)
    assert sqlite.sync().outcome == "delivered"


def test_a_file_cannot_be_written(sqlite):
    """
    The file is opened to read: what would write is an error of the engine's.
    """
    with pytest.raises(WarehouseError, match="SQLITE_READONLY"):
        sources.of(sqlite.url).asked("insert into people values (1, 'a@x', 0)")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/w.sqlite", "cannot be opened: unable to open database file"),
        ("mysql://127.0.0.1:9/none", "cannot be reached: Can't connect to MySQL server"),
    ],
)
def test_what_cannot_be_reached(url, said):
    """
    Why no connection was made is said, without a traceback.
    """
    with pytest.raises(WarehouseError, match=said):
        sources.of(make_url(url)).described("select 1 as a")


@pytest.mark.parametrize(
    ("number", "error"), [(3024, Cancelled), (1969, Cancelled), (2013, WarehouseError), (1290, WarehouseError)]
)
def test_what_a_number_means(number, error):
    """
    A statement that took too long was cancelled; a connection that broke, and a server that only reads, are told.
    """
    found = MySQLSource(make_url("mysql://db.example.com/x")).refusal(Exception(number, "said"))

    assert type(found) is error
    assert "said" not in str(found)


def test_each_server_counts_time_in_its_own_way():
    """
    MariaDB in seconds, and MySQL in milliseconds.
    """
    assert bounding(timedelta(seconds=1.5), mariadb=True) == "set max_statement_time = 1.500000"
    assert bounding(timedelta(seconds=1.5), mariadb=False) == "set max_execution_time = 1500"


@pytest.mark.parametrize(
    ("dialect", "call"),
    [
        ("sqlite", "load_extension"),
        ("sqlite", "readfile"),
        ("mysql", "load_file"),
        ("mysql", "sleep"),
        ("mysql", "get_lock"),
    ],
)
def test_calls_that_do_more_than_read(dialect, call):
    """
    Each engine has its own list of calls that an audience may not make.
    """
    assert denied.call(dialect, call)


def test_a_driver_that_is_missing(monkeypatch):
    """
    The extra that brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.sources.mysql.find_spec", lambda name: None)

    with pytest.raises(DefinitionError) as missing:
        sources.of(make_url("mariadb://db.example.com/x")).described("select 1")
    assert missing.value.do == "pip install 'audiences[mysql]'"
