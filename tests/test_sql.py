"""The connector `sql`: rows and columns of a table, on three databases; what it refuses, and what it leaves alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import httpx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from audiences import BatchRefused, Member, connectors, http
from audiences.batch import Verdict
from audiences.errors import DefinitionError, DeliveryError, Unanswered
from dialogue import ADA, ZOE, delivered, documented, told
from test_every_connector import ROOTS, VALUES, uncalled

SHIPPED = ROOTS[0] / "connectors"
SQL = connectors.find("sql", [SHIPPED])
ODD = """NPS 'détracteurs' "2026"; % :x (all) %s"""


class Database:
    """A database, and connectors to it."""

    def __init__(self, url, folder):
        self.url, self.folder = str(url), folder
        self.engine = create_engine(self.url, poolclass=NullPool)

    def speak(self, *send, url=None, **options):
        (self.folder / ".env").write_text(f"SQL_URL='{url or self.url}'\n")
        account = connectors.settings("sql", SQL, self.folder)
        line = http.client({}, SQL.limits, transport=httpx.MockTransport(uncalled))
        return SQL(account, SQL.Options(**options), line, send=send or ["email"])

    def run(self, sql):
        with self.engine.begin() as db:
            result = db.execute(text(sql.replace(":", r"\:")))
            return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def database(request, tmp_path):
    if request.param == "postgresql":
        return Database(request.getfixturevalue("databases")().render_as_string(), tmp_path)
    return Database(f"{request.param}:///{tmp_path / 'lists.db'}", tmp_path)


@pytest.fixture
def sqlite(tmp_path):
    return Database(f"sqlite:///{tmp_path / 'lists.db'}", tmp_path)


two_of_them = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def test_the_manual_shows_a_section_that_works(tmp_path):
    """
    The sample in the docstring is a sync.
    """
    assert documented("sql", tmp_path)


def test_any_name_is_a_name(database):
    """
    Quotes, blanks, colons and percent signs are part of a table's or column's name, and nothing else.
    """
    remote = database.speak("email", ODD, "select")

    for first in (True, False):
        assert database.speak().prepare(ODD) == ODD
        people = told(ADA, ZOE, **{ODD: "a" if first else "b", "select": 1})
        assert remote.upsert(ODD, people).accepted == {ADA, ZOE}
    remote.remove(ODD, people[:1])

    assert database.run(f'select key, email, {quoted(ODD)}, "select" from {quoted(ODD)}') == [(ZOE, ZOE, "b", 1)]
    assert [*database.speak().members(ODD)] == [{"email": ZOE, ODD: "b", "select": 1}]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_every_value_is_read_back_as_it_was_sent(sqlite, value):
    """
    A column of its own is made for the first value, of its type; NULL makes none. Lists and dicts are JSON text.
    """
    every_value(sqlite, value)


def test_every_database_keeps_every_value(database):
    """
    The same, of all values at once.
    """
    remote = database.speak("email", *(f"f{n}" for n in range(len(VALUES))))
    remote.prepare("L")

    assert remote.upsert("L", told(ADA, **{f"f{n}": value for n, value in enumerate(VALUES)})).accepted == {ADA}
    [found] = remote.members("L")
    kept = {int(name[1:]): value for name, value in found.items() if name != "email"}
    assert kept == {n: texts(value) for n, value in enumerate(VALUES) if value is not None}


def every_value(database, value):
    remote = database.speak("email", "note")
    remote.prepare("L")

    for each in (value, None, value):
        assert remote.upsert("L", told(ADA, note=each)).accepted == {ADA}
    assert [row.get("note") for row in remote.members("L")] == [texts(value)]


def texts(value):
    return {"['a', 1, None]": '["a", 1, null]', "{'b': {'c': [1.5]}}": '{"b": {"c": [1.5]}}'}.get(str(value), value)


def test_a_value_that_would_change_refuses_its_member(database):
    """
    2.5 in a bigint would become 3, or stay a text where it was a number: whoever sent it is refused by name, the others
    are written, and nothing of the refused is.
    """
    remote = database.speak("email", "nps")
    remote.prepare("L")
    remote.upsert("L", told(ADA, nps=3))

    receipt = remote.upsert("L", [*told(ADA, nps=4), *told(ZOE, nps=2.5)])

    if database.url.startswith("sqlite"):  # which keeps any number in any column
        assert receipt.accepted == {ADA, ZOE}
    else:
        assert receipt.rejected == {ZOE: "nps: its column, bigint, keeps another value"}
        assert database.run('select key, nps from "L"') == [(ADA, 4)]


@two_of_them
def test_a_value_that_is_refused_spoils_one_member(database):
    """
    What the database does not take at all is found by halving; the reason names no person and no value.
    """
    remote = database.speak("email", "nps")
    remote.prepare("L")
    remote.upsert("L", told(ADA, nps=3))
    odd = [
        Member(f"k{n}", {"email": f"person{n}@example.com", "nps": nps}, n) for n, nps in enumerate((2**70, "many"), 1)
    ]

    sent = delivered(remote, "L", [*told(ADA, nps=4), *odd])

    assert sent.error is None
    assert sent.found[Verdict.OK][0][0] == 0
    assert "k1" in sent.reasons
    assert not [why for why in sent.reasons.values() if "many" in why or "person" in why]
    assert database.run(f"select nps from \"L\" where key = '{ADA}'") == [(4,)]


@two_of_them
def test_columns_of_others_are_left_alone(database):
    """
    A table that is there is taken as it is, with types of its own; an update leaves what others wrote beside it.
    """
    database.run(
        "create table \"L\" (key varchar(40) primary key, email varchar(40), born date, note varchar(9) default 'new')"
    )
    remote = database.speak("email", "born")
    remote.prepare("L")
    remote.upsert("L", told(ADA, born="1815-12-10"))
    database.run("update \"L\" set note = 'VIP'")
    remote.upsert("L", told(ADA, ZOE, born="1816-01-01"))

    found = database.run('select email, cast(born as varchar(10)), note from "L" order by key')
    assert found == [(ADA, "1816-01-01", "VIP"), (ZOE, "1816-01-01", "new")]


@pytest.mark.parametrize("database", ["duckdb", "postgresql"], indirect=True)
def test_moments_are_read_back_as_they_were_sent(database):
    """
    Types that Python has classes for come back as ISO 8601, and decimals as numbers: a repeated upsert finds no fault.
    """
    database.run('create table "L" (key text primary key, email text, seen timestamptz, paid numeric(9, 2), day date)')
    fields = {"seen": "2026-11-22T08:30:00+00:00", "paid": 2.5, "day": "2026-11-22"}

    receipt = database.speak("email", *fields).upsert("L", told(ADA, **fields))

    assert receipt.accepted == {ADA}
    assert [*database.speak("email", *fields).members("L")] == [{"email": ADA, **fields}]


@two_of_them
def test_a_batch_is_written_whole_or_not_at_all(database):
    """
    A constraint that one row breaks takes the whole transaction back, and the worker halves the batch.
    """
    database.run('create table "L" (key varchar(9) primary key, email text, nps integer check (nps > 0))')
    remote = database.speak("email", "nps", identify=["nps"])
    people = [Member(f"k{n}", {"email": f"person{n}@example.com", "nps": n}, n) for n in range(3)]

    with pytest.raises(BatchRefused, match="whole batch"):
        remote.upsert("L", people)
    assert database.run('select count(*) from "L"') == [(0,)]
    reasons = delivered(remote, "L", people).reasons
    assert reasons.keys() == {"k0"}
    assert reasons["k0"].startswith("the database refuses it (")
    assert database.run('select count(*) from "L"') == [(2,)]


def test_a_row_is_of_whom_identify_names(sqlite):
    """
    By default of an address, whatever its case; else of the fields that are named, or of the member's key.
    """
    sqlite.speak().prepare("L")
    sqlite.speak().upsert("L", told(ADA.upper()))
    sqlite.speak().upsert("L", told(ADA))
    sqlite.speak("id", "email", identify=["id"]).upsert("L", [Member("k", {"id": "7", "email": ZOE}, 1)])
    sqlite.speak("nps").upsert("L", [Member("k", {"nps": 1}, 1)])

    assert sqlite.run('select key, email from "L" order by key') == [("7", ZOE), (ADA, ADA), ("k", None)]


def test_a_dropped_table_stops_the_sync(sqlite):
    """
    Who was on the list went with it: an upsert says so with the way out; a removal has nothing left to do.
    """
    with pytest.raises(DeliveryError, match=r"is gone(?s:.*)audiences forget"):
        sqlite.speak().upsert("L", told(ADA))
    assert sqlite.speak().remove("L", told(ADA)).accepted == {ADA}


@pytest.mark.parametrize("verb", ["prepare", "upsert", "remove"])
def test_a_table_that_is_no_list_is_left_alone(sqlite, verb):
    """
    A table without the column `key` may be anybody's: nothing is written to it, and nothing deleted.
    """
    sqlite.run('create table "L" (email text)')
    sqlite.run(f"insert into \"L\" values ('{ADA}')")
    remote = sqlite.speak()

    with pytest.raises(DefinitionError, match="no column `key`"):
        remote.prepare("L") if verb == "prepare" else getattr(remote, verb)("L", told(ADA))
    assert sqlite.run('select * from "L"') == [(ADA,)]


@pytest.mark.parametrize("send", [["email", "Key"], ["email", "nps", "NPS"]], ids=str)
def test_fields_that_are_one_column_are_refused(sqlite, send):
    """
    Most databases do not tell a name in capitals from another, and `key` is the list's own.
    """
    with pytest.raises(DefinitionError, match="one column"):
        sqlite.speak(*send)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_name_that_would_be_cut_is_refused(database):
    """
    PostgreSQL cuts long names without an error, so two lists would be one.
    """
    with pytest.raises(DefinitionError, match="63 bytes"):
        database.speak().prepare("é" * 32)


@pytest.mark.parametrize(
    ("url", "words"),
    [("nowhere", "none that SQLAlchemy knows"), ("odd://h/d", "none that"), ("mysql+mysqldb://h/d", "not installed")],
)
def test_a_url_that_is_none_is_said(sqlite, url, words):
    """
    With how it is written; a driver that is missing is told from a database that nobody knows.
    """
    with pytest.raises(DefinitionError, match=f"{words}(?s:.*)postgresql://host"):
        sqlite.speak(url=url)


def test_an_account_is_checked(sqlite, tmp_path):
    """
    By one look that changes nothing; what the driver says, which may show the address, is not shown.
    """
    sqlite.speak().check()

    with pytest.raises(Unanswered, match=r"the database fails \(OperationalError\)") as said:
        sqlite.speak(url=f"sqlite:///{tmp_path}/not-a-real-place/lists.db").check()
    assert "not-a-real-place" not in str(said.value)


def test_a_lock_that_stays_leaves_the_batch_in_doubt(sqlite, tmp_path):
    """
    A database that fails in the middle is no verdict on anybody.
    """
    remote = sqlite.speak(url=f"{sqlite.url}?timeout=0")
    remote.prepare("L")
    remote.upsert("L", told(ADA))

    with closing(sqlite3.connect(tmp_path / "lists.db")) as other:
        other.execute("begin exclusive")
        sent = delivered(remote, "L", told(ZOE))
    assert isinstance(sent.error, Unanswered)
    assert not sent.found
