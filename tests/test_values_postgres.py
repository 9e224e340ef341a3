"""What counts as a change of values whose types compare in a way of their own, on PostgreSQL."""

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
