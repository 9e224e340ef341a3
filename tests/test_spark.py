"""The comparison alone on Spark SQL, in Spark's own words: `make apart` runs these where there is pyspark, and Java."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache

import pytest
import sqlglot
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from audiences import control, tables
from audiences.control import Fence
from audiences.warehouse import Warehouse
from engines import DuckDB
from oracle import Case
from test_changes import (
    QUERY,
    SYNC,
    TERMS,
    by_any_rule,
    by_this_rule,
    often,
    people,
    planned,
    refusals,
    side_by_side,
    unique_people,
)

TABLES = ("people", "ledger_team__webhook", "refused_team__webhook")
KINDS = {"BIGINT": "bigint", "INTEGER": "int", "VARCHAR": "string", "BOOLEAN": "boolean", "TIMESTAMP": "timestamp_ntz"}


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql", reason="pyspark has an environment of its own: make apart")
    if not shutil.which("java"):
        pytest.skip("there is no Java, on which Spark runs")
    conf = {"spark.sql.shuffle.partitions": 1, "spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC"}
    conf |= {"spark.sql.adaptive.enabled": "false", "spark.sql.codegen.wholeStage": "false"}  # for tables of a few rows
    found = sql.SparkSession.builder.master("local[1]")
    for name, value in conf.items():
        found = found.config(name, value)
    session = found.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


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
