"""When PostgreSQL runs an audience's query a second time for its counts, in place of writing its rows down."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.engine import make_url

from audiences.warehouse import Warehouse

MADE = """
create table people as select n as id, 'p' || n || '@example.com' as email from generate_series(1, 20000) n;
create index on people (id);
analyze people
"""
PEOPLE = "select id, email from people"


@pytest.fixture
def warehouse(postgres):
    with Warehouse(make_url(postgres), "audience_sync") as opened:
        for statement in MADE.split(";"):
            opened.run(statement)
        yield opened


@pytest.mark.parametrize(
    "select",
    [
        PEOPLE,
        f"{PEOPLE} where email like '%@example.com'",
        f"{PEOPLE} where id > 10 -- all but a few",
        f"{PEOPLE} union all {PEOPLE}",
    ],
)
def test_what_is_read_as_it_stands_is_read_again(warehouse, select):
    """
    To read a table twice costs less than to write its rows down and to read those.
    """
    assert warehouse.words.light(warehouse.run, select)


@pytest.mark.parametrize(
    "select",
    [
        "select max(id) as id, email from people group by email",
        f"{PEOPLE} where id % 1000 = 0",
        "select p.id, q.email from people p join people q on q.id = p.id",
    ],
    ids=["grouped", "few of many", "joined"],
)
def test_what_takes_the_engine_long_is_run_once(warehouse, select):
    """
    Its rows are fewer, or made with more work, than what it costs to write them down.
    """
    assert not warehouse.words.light(warehouse.run, select)


@pytest.mark.parametrize(
    "select",
    [
        f"{PEOPLE} limit 10000",
        f"{PEOPLE} tablesample system (90)",
        "select id, first_value(email) over () as email from people",
    ],
)
def test_what_may_tell_something_else_the_second_time_is_run_once(warehouse, select):
    """
    Rows and counts are of one evaluation; these would be cheap to run twice.
    """
    assert not warehouse.words.light(warehouse.run, select)


def test_few_are_expected_to_differ(warehouse):
    """
    By this the planner knows that what differs is little beside the list, so that several processes may look for it.
    """
    differs = "email is distinct from 'p1@example.com'"
    [all_of_them, few] = (estimated(warehouse, each) for each in (differs, warehouse.words.seldom(differs)))

    assert few * 100 < all_of_them
    assert warehouse.run(f"select count(*) from people where {warehouse.words.seldom(differs)}") == [(19999,)]


def estimated(warehouse, condition):
    [(told,)] = warehouse.run(f"explain (format json) {PEOPLE} where {condition}")
    return json.loads(told)[0]["Plan"]["Plan Rows"]
