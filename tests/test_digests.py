"""Identifiers from a warehouse that is only read: they are hashed on their way to the ledger on the worker's disk."""

from __future__ import annotations

import pytest
import structlog

from audiences.warehouse import Made, landing
from billboard import Ads, hashed
from engines import Closed, DuckDB, Onlooker, PostgreSQL, ReadOnly


@pytest.fixture
def ads(tmp_path):
    """A platform that is told hashes, from a warehouse that is only read."""
    columns = "id bigint, mail varchar, phone varchar, first varchar, country varchar"
    names = 'first_name = "first", country = "country"'
    more = f'send = {{ email = "mail", phone = "phone", {names} }}\nregion = "DE"'
    return Ads(tmp_path, columns, more, ReadOnly(Closed()))


def test_identifiers_are_hashed_on_their_way_to_the_ledger(ads, monkeypatch):
    """
    They come, stay whatever their writing, change and leave as where the warehouse can be written: of what is hashed
    nothing plain is on the worker's disk, in its log, or sent; nor in the table that lands there, which may spill.
    """
    landed, insert = [], landing.insert
    monkeypatch.setattr(landing, "insert", lambda table, kinds: landed.append({*kinds}) or insert(table, kinds))
    with structlog.testing.capture_logs() as log:
        ads.customers(
            (1, "Plain.One@Example.com", "030 1234567", "Plainina", "DE"), (2, "p.lain2@gmail.com", *[None] * 3)
        )
        first, one = ads.sync(), ads.asked("add")
        ads.customers(
            (1, "plain.one@example.com", "+49 30 1234567", "plainina", "de"), (2, "plain2@gmail.com", *[None] * 3)
        )
        same = ads.sync()
        ads.customers((1, "plain.new@example.com", None, None, None))
        gone = ads.sync()
    ads.apart()
    ours = [path for path in ads.folder.rglob("*") if path.is_file() and path.name not in ("w.duckdb", "billboard.py")]
    told = b"".join([*(path.read_bytes() for path in ours), *ads.receiver.wire, repr(log).encode()]).lower()

    assert one == {
        hashed("email", "plain.one@example.com"),
        hashed("phone", "49301234567"),
        hashed("name", "plainina", "de"),
        hashed("email", "plain2@gmail.com"),
    }
    assert (first.delivered, same.delivered, gone.plan.removed) == (4, 0, 3)
    assert ads.receiver.held == {hashed("email", "plain.new@example.com")}
    assert {"ledger.duckdb", ads.state_file.name} <= {path.name for path in ours}
    assert b"sync.ended" in told
    assert landed
    assert not [columns for columns in landed if columns & {"mail", "phone", "first", "country"}]
    assert not [
        each for each in (b"plain", b'example.com"', b"1234567") if each in told.replace(b"tests@example.com", b"")
    ]


def test_what_cannot_be_hashed_is_refused_with_its_reason(ads):
    """
    It is kept out by itself, and no more of it is kept than why.
    """
    ads.customers((1, "nowhere", "030 12", None, None), (2, "ada@example.com", *[None] * 3))

    assert (ads.sync().refused, ads.asked("add")) == (2, {hashed("email", "ada@example.com")})
    assert ads.reasons() == {
        "email is no e-mail address",
        "phone is no telephone number that can be read surely; write it as +49…",
    }


def test_a_plan_of_identifiers_that_are_hashed(ads):
    """
    It looks by the same hashes as a run.
    """
    ads.customers((1, "ada@example.com", None, None, None))
    ads.sync()
    ads.customers((1, "Ada@Example.com", None, None, None), (2, "bob@example.com", None, None, None))
    plan = ads.plan()

    assert (plan.added, plan.updated, plan.removed) == (1, 0, 0)


SEVERAL = [  # what a member has in two arrays, run after run
    [
        *((1, ["A@example.com", "b@example.com", "a@example.com ", None], ["030 1234567", "+49 30 1234567"]),),
        *((2, ["c@example.com"], []), (3, None, None), (4, ["nobody", "Nobody ", "nothing", ""], ["030 12"])),
    ],
    [(1, ["b@example.com", "a@example.com"], None), (2, ["c@example.com", "d@example.com"], []), (4, ["nobody"], None)],
    [(1, ["b@example.com"], None), (2, [""], None), (2, ["e@example.com"], None), (4, None, ["030 7654321"])],
]


@pytest.mark.parametrize("kind", [Onlooker, Closed], ids=lambda kind: kind.name)
def test_several_of_a_member_are_as_many_as_where_the_warehouse_is_written(request, tmp_path, kind):
    """
    An array has the same plans and hashes in both modes: each identifier once, what cannot be hashed refused by itself.
    Nothing plain of it is in the ledger's file.
    """
    databases = request.getfixturevalue("databases") if kind is Onlooker else None
    columns = "id bigint, mails varchar[], phones varchar[]"
    more = 'send = { email = "mails", phone = "phones" }\nregion = "DE"'
    engines = [ReadOnly(kind(databases)), PostgreSQL(databases) if databases else DuckDB()]
    read, written = (Ads(tmp_path / each.name, columns, more, each) for each in engines)
    for rows in SEVERAL:
        told = []
        for ads in (read, written):
            ads.customers(*rows)
            result = ads.sync(force=True)
            told.append((result.error, result.refused, result.plan.added, result.plan.removed, result.plan.set_aside))
            told[-1] += (ads.receiver.held, ads.reasons(), {key for key, *_ in ads.ledger()})
        assert told[0] == told[1]
        assert told[0][0] is None
    read.engine.close(read.url)
    kept = (read.folder / "ledger.duckdb").read_bytes().lower()

    assert len(read.receiver.wire) > 3
    assert b"sha256:" in kept
    assert not [each for each in (b"example.com", b"nobody", b"nothing", b"1234567", b"7654321") if each in kept]


def test_a_list_that_is_made_on_the_way_lands_as_it_is(tmp_path):
    """
    Each text of it, whatever its letters; none is none, and empty is empty.
    """
    engine = ReadOnly(Closed())
    texts = ["a,b", 'say "hi"', "it's", "back\\slash", "{x} [y]", " blank ", "", "NULL", "é😀"]
    lists = {"full": texts, "empty": [], "none": None}
    with engine.warehouse(engine.new(tmp_path)) as warehouse:
        select = " union all ".join(f"select '{name}' as which" for name in lists)
        warehouse.land('"t"', select, {}, {"made": Made("which", "VARCHAR[]", lists.get)})
        found = warehouse.run('select made from "t"')

    assert sorted(found, key=str) == sorted(((each,) for each in lists.values()), key=str)


def test_an_array_that_comes_as_text_is_refused(tmp_path, databases):
    """
    The driver reads no arrays of an enumeration: such a one is not taken for one value, and the way out is told.
    """
    ads = Ads(tmp_path, "id bigint, mails varchar[]", 'send = { email = "mails" }', ReadOnly(Onlooker(databases)))
    ads.sql("create type mail as enum ('a@example.com')", "alter table customers alter mails type mail[] using '{}'")
    ads.sql("insert into customers values (1, '{a@example.com}')")

    assert ads.sync().refused == 1
    assert ads.reasons() == {"email is an array of a type that the driver does not know; cast it to one of text"}


def test_an_array_that_is_hashed_already(tmp_path):
    """
    Its values travel as they are, and one that is no hash is refused by itself.
    """
    more = 'send = { email = "mails" }\nhashed = ["email"]'
    ads = Ads(tmp_path, "id bigint, mails varchar[], score integer[]", more, ReadOnly(Closed()))
    [one, other] = [hashed("email", f"{name}@example.com") for name in ("ada", "bob")]
    ads.customers((1, [one[1].upper(), other[1], f"{other[1]} ", "a@x"], [1]))

    assert (ads.sync().refused, ads.receiver.held) == (1, {one, other})
    assert ads.sync().delivered == 0
