"""What columns of every type arrive as, by one rule on each engine; docs/values.md is the rule in words."""

from __future__ import annotations

import json

import pytest

from engines import on
from states import rows
from world import HEADER, World

PLANES = "Zoë \\ \"a\" 'b' %s :c {d}\n\t漢字 \u202e🎈 👩‍👩‍👧 𐎀 \U000e0101 \U0010fffd"
UUID = "4bcf0ad2-71d4-4fd8-a1c6-d2be74352ed7"

BOTH = [
    ("cast(null as varchar)", None),
    ("cast('' as varchar)", ""),
    ("'null'", "null"),
    ("'0012'", "0012"),
    ("'" + PLANES.replace("'", "''") + "'", PLANES),
    ("repeat('ä漢', 100000)", "ä漢" * 100000),
    ("true", True),
    ("cast(null as boolean)", None),
    ("9223372036854775807", 2**63 - 1),
    ("cast(-7 as smallint)", -7),
    ("cast(0.1 as double precision)", 0.1),
    ("cast('-0.0' as double precision)", -0.0),
    ("cast(1.50 as numeric(4, 2))", 1.5),
    ("cast(12.00 as numeric(4, 2))", 12),
    ("cast(123456789012345678 as numeric(20, 0))", "123456789012345678"),
    ("cast('0.1234567890123456' as numeric(18, 16))", "0.1234567890123456"),
    ("date '2026-03-01'", "2026-03-01"),
    ("date '9999-12-31'", "9999-12-31"),
    ("timestamp '2026-03-01 12:00:00.5'", "2026-03-01T12:00:00.500000"),
    ("cast('2026-03-01 12:00+05:30' as timestamp with time zone)", "2026-03-01T06:30:00+00:00"),
    ("cast('2026-03-29 03:30+02' as timestamp with time zone)", "2026-03-29T01:30:00+00:00"),
    ("time '07:05'", "07:05:00"),
    ("time '24:00'", "24:00:00"),
    ("cast('07:05:00+05:30' as time with time zone)", "07:05:00+05:30"),
    ("interval '90 minutes'", "1:30:00"),
    (f"cast('{UUID}' as uuid)", UUID),
]
OWN = {
    "duckdb": [
        ("'\\x00\\xFF'::blob", "AP8="),
        ("170141183460469231731687303715884105727::hugeint", "170141183460469231731687303715884105727"),
        ("""'{"a":  1}'::json""", '{"a":  1}'),
        ("['a', null, 'b']", ["a", None, "b"]),
        ("[[1, 2], []]", [[1, 2], []]),
        ("{'on': date '2026-03-01', 'parts': [1.50::decimal(4, 2)]}", {"on": "2026-03-01", "parts": [1.5]}),
        ("map {1: 'x'}", {"1": "x"}),
        ("union_value(k := 5)", 5),
        ("'b'::enum('a', 'b')", "b"),
        ("'101'::bit", "101"),
        ("chr(0)", "\0"),
        ("timestamp_ns '2026-03-01 12:00:00.123456789'", "2026-03-01T12:00:00.123456"),
        ("'0044-03-15 (BC)'::date", "0044-03-15 (BC)"),
    ],
    "postgresql": [
        ("'\\x00ff'::bytea", "AP8="),
        ("123456789012345678901234567890::numeric", "123456789012345678901234567890"),
        ("""'{"b":  1, "a": [true]}'::json""", '{"a": [true], "b": 1}'),
        ("""'{"a": 1}'::jsonb""", '{"a": 1}'),
        ("null::jsonb", None),
        ("""array['{"a": 1}']::json[]""", ['{"a": 1}']),
        ("array['a', null, 'b']", ["a", None, "b"]),
        ("array[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("array[1.50::numeric(4, 2), null]", [1.5, None]),
        ("row(1, 'a')::pair", "(1,a)"),
        ("'10.0.0.1/8'::inet", "10.0.0.1/8"),
        ("int4range(1, 5)", "[1,5)"),
        ("point(1, 2)", "(1,2)"),
        ("(-1.5)::money::numeric", -1.5),
        ("B'101'", "101"),
        ("'infinity'::date", "infinity"),
        ("'-infinity'::timestamptz", "-infinity"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC"),
    ],
}


def sending(*values, more="from people"):
    """An audience that sends each of these expressions as a field of its own: c0, c1 …"""
    names = [f"c{n}" for n in range(len(values))]
    select = ", ".join(["id", "email", *(f"{value} as {name}" for value, name in zip(values, names, strict=True))])
    text = HEADER.replace('["email", "nps"]', json.dumps(["email", *names]))
    return text.replace("select id, email, nps from people", f"select {select} {more}")


@pytest.fixture
def world(tmp_path, engine):
    world = World(tmp_path, engine=engine)
    world.people((1, "a@x"))
    if engine.name == "postgresql":
        zone = f"alter database {world.url.database} set timezone = 'Asia/Kolkata'"  # it must not matter
        world.sql("create type pair as (n int, s text)", zone)
    return world


def test_values_of_every_type_are_sent(world, engine):
    """
    A column of any type arrives as the plain value that it is, or as text; a second run finds nothing new.
    """
    values = [*BOTH, *OWN[engine.name]]
    world.define(text=sending(*(value for value, _ in values)))

    assert world.sync().outcome == "delivered"
    arrived = world.receiver.lists["L"]["a@x"]
    found = [(value, arrived[f"c{n}"]) for n, (value, _) in enumerate(values)]
    assert found == values
    assert [type(value) for _, value in found] == [type(value) for _, value in values]
    assert world.sync().outcome == "unchanged"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_cannot_travel_spoils_only_its_member(world, value):
    """
    A member with a number that JSON does not have is refused, with the field named; the others are delivered.
    """
    world.people((1, "a@x"), (2, "b@x"), (3, "c@x"))
    odd = f"case when id = 2 then cast('{value}' as double precision) else 0.5 end"
    world.define(text=sending(odd))

    result = world.sync()

    assert (result.outcome, result.delivered, result.refused) == ("delivered", 2, 1)
    assert world.receiver.holds() == {"a@x", "c@x"}
    reasons = rows(f"sqlite:///{world.state_file}", "select reason from refusal")
    assert reasons == [("c0 holds NaN or infinity, which JSON does not carry",)]


def test_empty_is_not_null(world):
    """
    A text that becomes empty, or NULL, is a change, each of its own.
    """
    for value in ("'x'", "''", "cast(null as varchar)", "''"):
        world.define(text=sending(value))
        assert world.sync(force=True).outcome == "delivered"
        assert world.receiver.lists["L"]["a@x"]["c0"] == {"'x'": "x", "''": ""}.get(value)


@on("duckdb")
def test_what_only_looks_the_same_is_sent(world):
    """
    Two texts that a reader takes for one, as they are made of other characters, are two values.
    """
    for value in ("Zo\u00eb", "Zoe\u0308"):
        world.define(text=sending(f"'{value}'"))
        assert world.sync().outcome == "delivered"
        assert world.receiver.lists["L"]["a@x"]["c0"] == value
