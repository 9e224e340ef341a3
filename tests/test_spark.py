"""Spark SQL, which is Databricks' engine without Delta: the comparison, and our tables by Databricks' words.

`make apart` runs these where there is pyspark, and Java.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

import pytest
import sqlglot
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from audiences import control, fresh, tables
from audiences.audience import Fresh
from audiences.control import Fence
from audiences.warehouse import Warehouse
from engines import DuckDB
from oracle import Case
from sourced import two_syncs
from sparked import Spark, engine_of, session
from test_changes import (
    QUERY,
    SYNC,
    TERMS,
    agrees,
    by_any_rule,
    by_this_rule,
    often,
    people,
    planned,
    refusals,
    side_by_side,
    unique_people,
)
from test_composite_key import ROWS, TRUTH, same_bytes
from test_forms import writes_one_form
from test_normal import RULES
from world import World

TABLES = ("people", "ledger_team__webhook", "refused_team__webhook")
KINDS = {"BIGINT": "bigint", "INTEGER": "int", "VARCHAR": "string", "BOOLEAN": "boolean", "TIMESTAMP": "timestamp_ntz"}


@pytest.fixture(scope="module")
def spark():
    made = session()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def fence():
    """DuckDB, whose answers are held to the rules in plain Python by test_changes."""
    with Warehouse(DuckDB().alone(), "audience_sync") as warehouse:
        warehouse.run("create table people (id bigint, email varchar, nps integer)")
        control.create(warehouse, SYNC.name, SYNC.table)
        tables.create(warehouse, TERMS, warehouse.described(QUERY))
        yield Fence(warehouse, SYNC.name, SYNC.table, 7)


def shown(spark, fence):
    """Let Spark see the same rows."""
    for name in TABLES:
        rows = f"select * from {name if name == 'people' else fence.warehouse.table(name)}"
        kinds = [(column, KINDS[type_]) for column, type_ in fence.warehouse.described(rows).items()]
        cast = ", ".join(f"cast(col{n} as {kind}) as `{column}`" for n, (column, kind) in enumerate(kinds, 1))
        values = [f"({', '.join(written(each) for each in row)})" for row in fence.warehouse.run(rows)]
        nobody = "" if values else " where false"
        values = values or [f"({', '.join(['null'] * len(kinds))})"]
        spark.sql(f"create or replace temp view {name} as select {cast} from values {', '.join(values)}{nobody}")


def written(value):
    """A value as Spark reads it."""
    return "null" if value is None else f"'{value}'"


def translated(select):
    """A statement of ours in Spark's words: it plans a CTE where it likes, and a view of its session has no schema."""
    tree = sqlglot.parse_one(select, dialect="duckdb")
    for table in tree.find_all(exp.Table):
        table.set("db", None)
    for each in tree.find_all(exp.CTE):
        each.set("materialized", None)
    for each in [limit.parent for limit in tree.find_all(exp.Limit) if limit.find(exp.Select)]:
        numbered(each)
    return tree.sql(dialect="spark")


def numbered(select):
    """Spark has no limit that is counted first: its rows are numbered, up to that."""
    most, number = select.args["limit"].expression, exp.Window(this=exp.RowNumber(), order=select.args["order"])
    select.set("limit", None)
    select.set("order", None)
    select.qualify(number <= most, copy=False)


@cache
def worlds(people, claims):
    """Sixty worlds as test_changes tells them: Spark takes seconds for a statement, so that one judges them all."""
    found = []

    @settings(max_examples=60, database=None, phases=[Phase.generate], **often)
    @given(world=st.builds(Case, people, claims, refusals))
    def told(world):
        found.append(world)

    told()
    return found


@pytest.mark.parametrize(
    ("people", "claims", "rule", "mode", "repeatable", "mortal"),
    [
        (unique_people, by_this_rule, None, "mirror", True, False),
        (people, by_this_rule, None, "mirror", False, True),
        (people, by_this_rule, None, "add", True, False),
        (people, by_any_rule, "another", "upsert", True, True),
        (people, by_any_rule, "another", "mirror", True, False),
        (people, st.just([]), None, "mirror", True, False),
    ],
)
def test_the_plan_is_the_same(spark, fence, people, claims, rule, mode, repeatable, mortal):
    """
    The outbox that Spark plans is that of DuckDB, row for row, and so is its census: with shared, swapped and
    handed-over addresses, repeated and null keys, doubts, refusals, claims that are old, of another list or rule.
    """
    *_, changes = planned(fence, side_by_side(worlds(people, claims), mode, repeatable, mortal), rule)
    changes = replace(changes, repeated=people is not unique_people)
    select = changes.first() if changes.known.empty else changes.select()
    shown(spark, fence)
    found = sorted(tuple(row) for row in spark.sql(translated(select)).collect())

    assert [row[0] for row in found] == list(range(found[0][0], found[0][0] + len(found)))
    # Rows of equal phase, key and identifier, on two lists, may change places.
    assert sorted(repr(row[1:]) for row in found) == sorted(repr(row[1:]) for row in fence.warehouse.run(select))
    assert len(found) > 30


@pytest.fixture(scope="module")
def by_databricks(spark):
    """Databricks' words, whose connections are this session's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiences.warehouse.databricksed.opened", engine_of)
        yield Spark()


@pytest.fixture(scope="module")
def holder(by_databricks):
    """A warehouse of those words that has run the sync once."""
    with by_databricks.warehouse(by_databricks.alone()) as warehouse:
        warehouse.run("create table people (id bigint, email varchar, nps integer)")
        control.create(warehouse, SYNC.name, SYNC.table)
        tables.create(warehouse, TERMS, warehouse.described(QUERY))
        warehouse.run(f"update {warehouse.table('control_' + SYNC.table)} set epoch = 7, outbox = 7")
        yield Fence(warehouse, SYNC.name, SYNC.table, 7)


def test_two_syncs_whose_tables_it_holds(tmp_path, by_databricks):
    """
    A first sync, its changes, and a third that has nothing to do: our tables are Spark's.
    """
    two_syncs(World(tmp_path, engine=by_databricks))


def test_a_run_that_is_killed_where_it_holds_our_tables(tmp_path, by_databricks):
    """
    Killed as it settles, a run is followed by one after which list, ledger and audience are equal.
    """
    world = World(tmp_path, engine=by_databricks)
    world.people((1, "a@x"), (2, "b@x"))
    assert world.killed(45)
    world.people((2, "b@x", 7), (3, "c@x"))
    world.sync(force=True)
    world.sync(force=True)

    assert world.listed() == {"b@x": 7, "c@x": 0}
    assert world.ledger() == {(2, "b@x", True), (3, "c@x", True)}


@pytest.mark.parametrize(
    "way", [(unique_people, by_this_rule), (people, by_any_rule)], ids=["one rule", "another rule"]
)
def test_the_plan_is_what_the_rules_say(holder, way):
    """
    Rows and counts of comparisons, told by Databricks' words, equal those of the rules in plain Python.
    """
    [case] = [side_by_side(worlds(*way)[:20], "mirror", True, True)]
    agrees(holder, case, rule="another" if way[1] is by_any_rule else None)


@pytest.mark.parametrize("name", RULES)
def test_sql_and_python_write_one_form(holder, name):
    """
    Of any text it makes the form that the worker makes.
    """
    writes_one_form(holder.warehouse, name)


def test_the_same_bytes_of_a_key(by_databricks):
    """
    A key of several columns is what every engine makes of it.
    """
    same_bytes(by_databricks, [*ROWS, TRUTH])


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz", "date"])
def test_how_fresh_a_source_is(by_databricks, kind):
    """
    A moment is asked for as it is, though an audience's is kept as text.
    """
    url = by_databricks.alone()
    with by_databricks.open(url) as connection:
        connection.execute(f"create table loads as select cast('2026-03-01 00:00:00' as {kind}) as came")
    with by_databricks.warehouse(url) as warehouse:
        wanted = Fresh("loads", "came", timedelta(days=2))
        fresh.check(warehouse, wanted)

        assert fresh.look(warehouse, wanted, datetime.fromisoformat("2026-03-02T12:00:00")).stale is None
        assert fresh.look(warehouse, wanted, datetime.fromisoformat("2026-03-03T12:00:00")).stale
