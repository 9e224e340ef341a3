"""What columns of every type arrive as, from PostgreSQL, and what counts as a change of them."""

from __future__ import annotations

import pytest

from engines import PostgreSQL
from world import HEADER, World

SENT = HEADER.replace('send = ["email", "nps"]', 'send = ["email", "x"]').replace(
    "select id, email, nps", "select id, email, {x} as x"
)


@pytest.fixture
def world(tmp_path, databases):
    return World(tmp_path, engine=PostgreSQL(databases))


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ("1.50::numeric(4, 2)", 1.5),
        ("123456789012345678::numeric", "123456789012345678"),
        ("date '2026-03-01'", "2026-03-01"),
        ("timestamptz '2026-03-01 12:00+02'", "2026-03-01T10:00:00+00:00"),
        ("timestamp '2026-03-01 12:00:00.5'", "2026-03-01T12:00:00.500000"),
        ("time '24:00'", "24:00:00"),
        ("interval '90 minutes'", "1:30:00"),
        ("'4bcf0ad2-71d4-4fd8-a1c6-d2be74352ed7'::uuid", "4bcf0ad2-71d4-4fd8-a1c6-d2be74352ed7"),
        ("true", True),
        ("9223372036854775807", 9223372036854775807),
        ("0.1::float8", 0.1),
        ("array['a', null, 'b']", ["a", None, "b"]),
        ("array[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("""'{"b":  1, "a": [true]}'::json""", '{"a": [true], "b": 1}'),
        ("""'{"a": 1}'::jsonb""", '{"a": 1}'),
        ("""array['{"a": 1}']::json[]""", ['{"a": 1}']),
        ("'\\x00ff'::bytea", "AP8="),
        ("'10.0.0.1/8'::inet", "10.0.0.1/8"),
        ("int4range(1, 5)", "[1,5)"),
        ("point(1, 2)", "(1,2)"),
        ("(-1.5)::money::numeric", -1.5),
        ("B'101'", "101"),
        ("'infinity'::date", "infinity"),
        ("'-infinity'::timestamptz", "-infinity"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC"),
        ("'a%b :c ''d'''", "a%b :c 'd'"),
        ("null::jsonb", None),
    ],
)
def test_values_of_every_type_are_sent(world, value, arrives):
    """
    A column of any type is compared and sent, as the plain value that it is on DuckDB, or as text; a second run finds
    nothing new.
    """
    world.define(text=SENT.replace("{x}", value))
    world.people((1, "a@x"))

    assert world.sync().outcome == "delivered"
    assert world.receiver.lists["L"]["a@x"]["x"] == arrives
    assert world.sync().outcome == "unchanged"


def test_json_of_one_meaning_is_no_change(world):
    """
    JSON is compared by what it says, not by how it is written.
    """
    world.define(text=SENT.replace("{x}", """'{"a": 1, "b": 2}'::json"""))
    world.people((1, "a@x"))
    world.sync()
    world.define(text=SENT.replace("{x}", """'{"b":2,"a":1}'::json"""))

    assert world.sync().outcome == "unchanged"


def test_a_change_of_case_is_seen_where_the_type_does_not(world):
    """
    citext calls A and a equal; who reads the list does not.
    """
    world.sql("create extension citext")
    for value in ("A", "a"):
        world.define(text=SENT.replace("{x}", f"'{value}'::citext"))
        world.people((1, "a@x"))
        world.sync()

    assert world.receiver.lists["L"]["a@x"]["x"] == "a"
