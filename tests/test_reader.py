"""An open outbox as delivery reads it: a window at a time, and as JSON of whole batches where the engine writes it."""

from __future__ import annotations

import random
import struct
import threading
import time
from contextlib import closing, contextmanager
from decimal import Decimal

import orjson
import pytest

from audiences import Member, control, outbox, portable, reader
from audiences.batch import cut
from audiences.errors import WarehouseError
from audiences.member import Written, keys, seqs, written
from audiences.reader import Reader, ahead
from audiences.warehouse import quoted
from engines import on

NAME, TABLE = "team.webhook", "team__webhook"
FLOATS = [0.1, 91.0, -0.0, 1e16, 1e20, 123456789.0, 123456789012345680.0, 5e-324, 1.7976931348623157e308, 1e-5, -2.5e-7]
SURROGATES = range(0xD800, 0xE000)
STEP = 4096  # code points in one text
NAMES = ["email", "a \"b\" 'c' \\ %s :d {e}", "Zoë 漢\U0001f388"]


class Outbox:
    """An outbox of run 7 whose rows have these sent fields."""

    def __init__(self, warehouse, **types):
        self.warehouse, self.types = warehouse, types
        control.create(warehouse, NAME, TABLE)
        self.fence = control.take(warehouse, NAME, TABLE, 0, 7, "worker")
        sent = "".join(f", {quoted('sent_' + name)} {type_}" for name, type_ in types.items())
        warehouse.run(
            f'create table {self.table} (seq bigint, verb varchar, "key" bigint, ident varchar, list varchar,'
            f" had boolean, again boolean{sent})"
        )

    @property
    def table(self):
        return outbox.table(self.fence, 7)

    def holds(self, rows, values, verb="'upsert'", list_id="'L'"):
        """As many rows as `rows`, SQL that gives them as `i`; values: SQL over i, one for each field."""
        self.warehouse.run(
            f"insert into {self.table} select i, {verb}, 1000 - i, 'p' || cast(i as varchar), {list_id}, false, false,"
            f" {', '.join(values)} from ({rows}) r"
        )

    def counts(self, number, *values, **more):
        self.holds(f"select i from generate_series(0, {number - 1}) g(i)", values, **more)

    def reader(self, *send):
        return Reader(self.fence, 7, send or tuple(self.types))

    def windows(self, size=1000, failed=(), send=(), phase=0):
        reader = self.reader(*send)
        with closing(reader.windows(reader.phases()[phase], size, failed)) as found:
            return list(found)

    def told(self, phase=0):
        """The members of a phase as they are read row by row."""
        found = self.reader().phases()[phase]
        return self.reader().rows(found, found.lo, found.hi).members


@pytest.fixture
def opened(engine):
    with engine.warehouse(engine.alone()) as warehouse:
        yield warehouse


def exact(members):
    """Members so that 1 and 1.0, 0.0 and -0.0 differ."""
    return [(member.key, repr(member.fields), member.seq) for member in members]


def alike(made):
    """Assert that batches come as JSON, and hold what comes row by row and can travel."""
    windows = made.windows()

    assert all(isinstance(each.members, Written) for each in windows)
    assert exact(member for each in windows for member in each.members) == exact(
        Member(member.key, portable.fields(member.fields), member.seq) for member in made.told()
    )
    for each in windows:
        members = list(each.members)
        assert orjson.loads(orjson.dumps(written(each.members))) == orjson.loads(orjson.dumps(written(members)))
        assert keys(each.members) == keys(members)
        assert list(seqs(each.members)) == list(seqs(members))
        assert len(each.idents) == len(set(each.idents)) == (0 if made.warehouse.words.apart else len(members))
        assert set(each.lists) == {"L"}


def test_text_of_every_plane_is_written_as_python_would(opened):
    """
    Every code point that text can hold arrives, whichever needs an escape; so do quotes and backslashes beside NULL.
    """
    made = Outbox(opened, **dict.fromkeys(NAMES, "varchar"))
    points = f"i * {STEP} + j not between {SURROGATES.start} and {SURROGATES.stop - 1} and i * {STEP} + j > 0"
    letter = f"chr(cast(i * {STEP} + j as integer))"
    spelled = f"(select string_agg({letter}, '' order by j) from generate_series(0, {STEP - 1}) h(j)"
    rows = f"select i from generate_series(0, {0x110000 // STEP - 1}) g(i)"

    made.holds(rows, [f"{spelled} where {points})", "case when i % 2 = 0 then 'a \"b\" \\ ' end", "''"])

    alike(made)
    letters = {letter for member in made.told() for letter in member.fields["email"] or ""}
    assert len(letters) == 0x110000 - len(SURROGATES) - 1


def test_numbers_are_written_as_python_would(opened):
    """
    Whole numbers to their last digit, and each float as the very float it is, with a point or an exponent.
    """
    chance = random.Random(1)
    floats = [struct.unpack("d", chance.randbytes(8))[0] for _ in range(500)]
    floats = [*FLOATS, *(each for each in floats if abs(each) < float("inf")), *(float(n) for n in range(-20, 20))]
    made = Outbox(opened, f="double precision", n="bigint", s="smallint", i="integer", b="boolean")
    listed = ", ".join(f"({i}, '{each!r}')" for i, each in enumerate(floats))
    whole = "case i % 3 when 0 then 9223372036854775807 when 1 then -9223372036854775807 - 1 end"

    made.holds(
        f"select * from (values {listed}) v(i, f)",
        [
            "cast(f as double precision)",
            whole,
            "-32768",
            "2147483647",
            "case i % 3 when 0 then true when 1 then false end",
        ],
    )

    alike(made)


def test_decimals_and_dates_are_written_as_python_would(opened):
    """
    A decimal as a number where 15 digits hold it, a whole one as an integer, else as text; a date as the engine's text.
    """
    chance, bound = random.Random(1), {0: 10**15, 2: 10**13, 6: 10**9}
    made = Outbox(
        opened, none="numeric(38, 0)", cents="numeric(38, 2)", fine="numeric(38, 6)", few="numeric(9, 2)", on="date"
    )
    values = [
        [Decimal(chance.choice((0, 1, bound[scale] - 1, bound[scale], chance.randrange(10 ** chance.randrange(1, 30)))))
         * chance.choice((1, -1)) + Decimal(chance.choice((0, 5, chance.randrange(10**scale)))).scaleb(-scale)
         for scale in bound]
        for _ in range(400)
    ]  # fmt: skip
    days = ["2026-03-01", "0001-01-01", "9999-12-31", "10000-01-01"]
    listed = ", ".join(
        f"({i}, {none:f}, {cents:f}, {fine:f}, '{chance.choice(days)}')" for i, (none, cents, fine) in enumerate(values)
    )

    made.holds(
        f"select * from (values {listed}) v(i, a, b, c, d)",
        [*("cast(a as numeric(38, 0))", "cast(b as numeric(38, 2))", "cast(c as numeric(38, 6))"),
         "case when i % 3 > 0 then cast(i as numeric(9, 2)) / 4 end", "cast(d as date)"],
    )  # fmt: skip

    alike(made)
    assert {type(value) for member in made.windows()[0].members for value in member.fields.values()} == (
        {int, float, str, type(None)}
    )


@on("duckdb")
def test_whole_numbers_of_more_than_64_bits(opened):
    """
    They are text beyond what JSON's readers hold.
    """
    made = Outbox(opened, n="hugeint")
    edges = [0, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 2**127 - 1, -(2**127)]
    made.holds(f"select * from (values {', '.join(f'({i}, {each})' for i, each in enumerate(edges))}) v(i, n)", ["n"])

    alike(made)


@on("postgresql")
def test_a_decimal_of_no_certain_size(opened):
    """
    One that Python would write with an exponent is read row by row; days beyond the calendar are the engine's text.
    """
    made = Outbox(opened, n="numeric", on="date")
    made.holds(
        "select * from (values (0, 1.50, 'infinity'), (1, 2e30, '-infinity'), (2, 0.0000001, '0044-03-15 BC'),"
        " (3, 123456789012345.6, null), (4, 0.000000, '2026-03-01')) v(i, n, d)",
        ["n", "cast(d as date)"],
    )
    alike(made)

    opened.run(f"update {made.table} set sent_n = 0.00000012345678901234567 where seq = 1")
    assert [type(each.members) for each in made.windows()] == [list]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have(opened, value, monkeypatch):
    """
    Its window is read row by row, so that its member is refused by name; the others are written.
    """
    monkeypatch.setattr(reader, "WRITE", 2000)
    made = Outbox(opened, f="double precision")
    made.counts(4_500, f"cast(case i when 2900 then '{value}' end as double precision)")

    found = made.windows()

    assert [(isinstance(each.members, Written), len(each.members)) for each in found] == (
        [(True, 1000)] * 2 + [(False, 2000), (True, 500)]
    )
    assert [seq for each in found for seq in seqs(each.members)] == list(range(4_500))


def test_a_type_that_the_engine_would_write_otherwise(opened):
    """
    One such field, and all is read row by row, some 4,000 at a time.
    """
    made = Outbox(opened, email="varchar", spent="time")
    made.counts(9000, "'a'", "cast('07:05' as time)")

    assert [(type(each.members), len(each.members)) for each in made.windows(1500)] == [(list, 3000)] * 3
    assert made.windows()[0].members[0].fields == {"email": "a", "spent": made.told()[0].fields["spent"]}


def test_a_long_phase_is_written_in_whole_batches(opened, monkeypatch):
    """
    Each batch is whole but the last, also where no whole number of batches makes a window, or one alone is more.
    """
    monkeypatch.setattr(reader, "WRITE", 8000)
    made = Outbox(opened, email="varchar")
    made.counts(20_000, "'a'")

    for size in (1500, 7, 9000):
        found = [seqs(each.members) for each in made.windows(size)]
        assert {len(each) for each in found[:-1]} == {size}
        assert [seq for each in found for seq in each] == list(range(20_000))


def test_rows_of_several_lists_or_of_who_leaves_are_read_one_by_one(opened):
    """
    Nor does the engine write upserts while moves have failed: who is held must be known.
    """
    made = Outbox(opened, email="varchar", old="varchar")
    opened.run(f'create table {opened.table(f"ledger_{TABLE}")} ("key" bigint, ident varchar, list varchar)')
    made.counts(20, "'a'", "'b'", verb="case when i < 10 then 'upsert' else 'remove' end")

    upserts, removals, held = (
        made.windows(send=["email"]),
        made.windows(send=["email"], phase=1),
        made.windows(failed=[(0, 0)]),
    )

    assert [type(found.members) for [found] in (upserts, removals, held)] == [Written, list, list]
    assert [found.members[0].fields for [found] in (upserts, removals)] == [{"email": "a"}, {"email": "a", "old": "b"}]
    opened.run(f"update {made.table} set list = 'M' where seq = 3")
    assert [type(found.members) for found in made.windows(send=["email"])] == [list]


@pytest.mark.parametrize("verb", ["move", "remove"])
def test_who_leaves_is_written_where_each_leaves_once(opened, verb):
    """
    By an engine that soon tells whether a key is among them twice; then, or where one carries what is no longer sent,
    they are read one by one. What is told of them is the same.
    """
    made = Outbox(opened, email="varchar")
    made.counts(2500, "'a' || cast(i as varchar)", verb=f"'{verb}'")
    found = made.windows()

    assert {type(each.members) for each in found} == {Written if opened.words.apart else list}
    assert exact(member for each in found for member in each.members) == exact(made.told())
    opened.run(f'update {made.table} set "key" = 993 where seq = 2400')
    found = made.windows()
    assert {type(each.members) for each in found} == {list}
    assert [member.key for each in found for member in each.members].count("993") == 2


def test_a_batch_ends_before_an_identifier_comes_again(opened):
    """
    What the engine wrote is cut where a key or an identifier stands twice, and nobody is lost.
    """
    made = Outbox(opened, email="varchar")
    made.counts(30, "'a' || cast(i as varchar)")
    opened.run(f"update {made.table} set ident = 'p2' where seq = 7")
    [phase] = made.reader().phases()

    found = [batch for rows in made.windows(10) for batch in cut(phase, rows, 10)]

    assert [list(seqs(batch.members)) for batch in found] == [
        [*range(7)],
        [7, 8, 9],
        [*range(10, 20)],
        [*range(20, 30)],
    ]
    assert [member.fields["email"] for batch in found for member in batch.members] == [f"a{n}" for n in range(30)]


@pytest.mark.parametrize("most", [1_000_000, 4_000, 700])
@pytest.mark.parametrize("value", ["1", "NaN"])
def test_batches_of_one_identifier_can_be_told_however_far_apart(opened, most, value, monkeypatch):
    """
    Where two members of a phase share an address their batches have one identifier in common, and no other two have;
    also where one of them was written by the engine and the other read row by row, for a number that JSON lacks.
    """
    monkeypatch.setattr(reader, "APART", most)
    monkeypatch.setattr(reader, "WRITE", 2000)
    made = Outbox(opened, f="double precision")
    made.counts(8_000, f"cast(case when i = 2100 then '{value}' else '1' end as double precision)")
    opened.run(f"update {made.table} set ident = 'p7500' where seq = 2500")
    [phase] = made.reader().phases()

    found = [batch for rows in made.windows() for batch in cut(phase, rows, 1000)]

    assert [seq for batch in found for seq in seqs(batch.members)] == list(range(8_000))
    shared = [(i, j) for i, one in enumerate(found) for j in range(i) if one.idents & found[j].idents]
    assert shared == [(7, 2)]


def test_what_is_read_ahead_fails_as_the_rest(opened, monkeypatch):
    """
    An outbox that a newer run has dropped meanwhile: the words are the warehouse's, no traceback of a thread.
    """
    monkeypatch.setattr(reader, "WRITE", 8000)
    made = Outbox(opened, email="varchar")
    made.counts(30_000, "'a'")
    [phase] = made.reader().phases()

    with closing(made.reader().windows(phase, 1000)) as windows:
        next(windows)
        opened.run(f"drop table {made.table}")
        with pytest.raises(WarehouseError):
            list(windows)


def test_nothing_is_being_read_when_the_connection_is_closed(opened, monkeypatch):
    """
    Whoever leaves early, as after an error, waits for what is being read ahead.
    """
    made, seen = Outbox(opened, email="varchar"), []
    made.counts(30_000, "'a'")
    [phase] = made.reader().phases()
    beside = opened.beside

    @contextmanager
    def slow():
        with beside() as ask:
            try:
                yield lambda sql: (seen.append("begun"), time.sleep(0.05), ask(sql), seen.append("read"))[2]
            finally:
                seen.append("closed")

    monkeypatch.setattr(opened, "beside", slow)
    with closing(made.reader().windows(phase, 1000)) as windows:
        next(windows)

    assert seen[-1] == "closed"
    assert seen.count("begun") == seen.count("read") == 2


def test_one_more_is_read_than_was_asked_for():
    """
    While the caller is busy with one, the next is read and none besides; the caller may leave at any time.
    """
    read, threads = [], set()

    def reads(place):
        threads.add(threading.current_thread().name)
        read.append(place)
        return -place

    found = ahead(range(5), reads)
    assert read == []
    assert next(found) == 0
    found.close()
    assert read == [0, 1]
    assert [*ahead(range(5), reads)] == [0, -1, -2, -3, -4]
    assert [*ahead((), reads)] == []
    assert threading.current_thread().name not in threads
