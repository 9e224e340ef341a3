"""What Trino is told where it holds our tables, held against what its documentation allows: nothing runs there."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlglot import exp, parse_one

from audiences import outbox
from audiences.reader import Phase, Reader
from audiences.warehouse.dialects.trino import stepped
from oracle import Case, Claim, Person, Refusal
from sourced import two_syncs
from test_changes import empty, planned
from test_control import STEPS, begun, opened
from trinoed import Trino, falsely, opening
from world import World

PEOPLE = [Person(1, "a@x", 1), Person(1, "b@x", 1), Person(2, "c@x", None), Person(None, "d@x", 1)]
CLAIMS = [Claim(1, "a@x", "M", "a@x", 1, True, True), Claim(3, "c@x", "L", "c@x", 1, False, False)]
REFUSALS = [Refusal(2, "c@x", "L", "c@x", 1, True)]
# Each has a page in https://trino.io/docs/current/functions.html (read 2026-11).
FUNCTIONS = {"CAST", "CHR", "COALESCE", "COUNT", "LOWER", "MAX", "MIN", "NULLIF", "REPLACE", "ROW_NUMBER", "STRPOS"}
FUNCTIONS |= {"SUM", "TRIM", "VARCHAR", "TIMESTAMP", "DECIMAL"}
STAGES = 150  # https://trino.io/docs/current/admin/properties-query-management.html#query-max-stage-count
TEXTS = {"list", "ll", "verb"}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """All that a few runs say of our tables, as Trino is told it, parsed."""
    with falsely():
        engine = Trino()
        two_syncs(World(tmp_path_factory.mktemp("said"), engine=engine))
        _plans(engine)
        for step in STEPS.values():
            with engine.warehouse(engine.alone()) as warehouse:
                warehouse.run("create table people (id bigint, email varchar)")
                begun(warehouse)
                step(opened(warehouse))
        with engine.warehouse(engine.alone()) as warehouse:
            warehouse.run("create table people (id bigint, email varchar)")
            begun(warehouse)
            fence = opened(warehouse)
            Reader(fence, fence.epoch, ["email"]).rows(Phase("upsert", False, 0, 1, "L"), 0, 1, [(0, 0)])
        heard = {statement for driver in opening for statement in driver.heard}
    others = ("\n", '"people"', "information_schema", "system.metadata")  # the audience's own, and of the catalogue
    ours = {each for each in heard if not any(other in each for other in others)}
    return {each: parse_one(each, dialect="trino") for each in ours}


def _plans(engine):
    """Comparisons of each mode, with doubts, refusals and claims that grow old, of this rule and of another."""
    with engine.warehouse(engine.alone()) as warehouse:
        fence = empty(warehouse)
        for mode, repeatable, mortal in (("mirror", True, True), ("mirror", False, False), ("add", True, False)):
            case = Case(PEOPLE, CLAIMS, REFUSALS, mode=mode, repeatable=repeatable, mortal=mortal)
            _, _, changes = planned(fence, case, "another" if mortal else None)
            outbox.outlive(fence, changes)
            planned(fence, replace(case, claims=[], refusals=[]), None)


def test_no_query_looks_at_the_row_outside(said):
    """
    Of these Trino takes some: each test of existence is a join, and a query in a query names only what is its own.
    """
    joins = [join for tree in said.values() for join in tree.find_all(exp.Join) if join.alias_or_name.startswith("_")]

    assert len(said) > 200
    assert len(joins) > 100
    assert not any(tree.find(exp.Exists, exp.With) for tree in said.values())
    assert not any(test.args.get("query") for tree in said.values() for test in tree.find_all(exp.In))
    for tree in said.values():
        for query in tree.find_all(exp.Subquery):
            if not isinstance(query.parent, exp.From | exp.Join):
                assert {column.table for column in query.find_all(exp.Column)} <= {"", *_names(query)}


def _names(query):
    return {each.alias_or_name for each in query.find_all(exp.Table, exp.Subquery)}


def test_what_is_not_of_trino_is_said_otherwise(said):
    """
    No temporary table, no IS but before NULL, no comparison that knows NULL, no function but those that it has, no
    table that is given another name, no moment with fewer digits than ours, no change by the rows of another table.
    """
    trees = said.values()

    assert not any(tree.find(exp.TemporaryProperty, exp.AlterRename) for tree in trees)
    assert not any(tree.find(exp.NullSafeEQ, exp.NullSafeNEQ) for tree in trees)
    assert all(isinstance(each.expression, exp.Null) for tree in trees for each in tree.find_all(exp.Is))
    assert {name for step in said for name in re.findall(r"\b([A-Z_]+)\(", step)} <= FUNCTIONS
    assert "TIMESTAMP(6)" in {kind.sql("trino") for tree in trees for kind in tree.find_all(exp.DataType)}
    assert not any(re.search(r"TIMESTAMP(?!\(6\))", step) for step in said)
    assert not any(tree.args.get("using") or tree.args.get("from_") for tree in trees if _changes(tree))


def _changes(tree):
    return isinstance(tree, exp.Update | exp.Delete)


def test_a_full_join_has_equals_alone(said):
    """
    Each of ours joins on the key.
    """
    full = [join for tree in said.values() for join in tree.find_all(exp.Join) if join.side == "FULL"]

    assert full
    assert {join.args["on"].sql() for join in full} == {'"s"."key" = "l"."key"'}


def test_texts_are_compared_with_texts(said):
    """
    A literal is of the type that it shows, and Trino makes no number of a text: only these columns meet one.
    """
    sides = [
        (each.this, each.expression)
        for tree in said.values()
        for each in tree.find_all(exp.EQ, exp.NEQ, exp.LT, exp.GT, exp.GTE, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
    ]
    met = {
        column.name
        for one, other in sides
        for column, value in ((one, other), (other, one))
        if isinstance(column, exp.Column) and isinstance(value, exp.Literal) and value.is_string
    }

    assert met
    assert met <= TEXTS


def test_names_are_quoted_and_small(said):
    """
    For many a word is reserved, and no two names may differ in their case alone.
    """
    names = {(each.this, each.quoted) for tree in said.values() for each in tree.find_all(exp.Identifier)}

    assert len(names) > 50
    assert [name for name, quoted in names if re.search(r"[^a-z0-9_]", name)] == []
    assert {name for name, quoted in names if not quoted} == set()


def test_what_is_temporary_is_of_the_session(said):
    """
    Its name begins as all of one session do, and nothing else is made in the schema of the audiences.
    """
    made = {tree.find(exp.Table) for tree in said.values() if isinstance(tree, exp.Create)}
    scratch = [each for each in made if each.name.startswith("scratch_")]

    assert len(scratch) > 20
    assert all(re.fullmatch(r"scratch_\d{8}_[0-9a-f]{8}_(step|staged)_\w+", each.name) for each in scratch)
    assert all(each.db for each in made)


def test_no_statement_has_too_many_stages(said):
    """
    Fewer than Trino runs by default, if each table, each join and twice each aggregation were one.
    """

    def stages(tree):
        selects = [each for each in tree.find_all(exp.Select) if _gathers(each)]
        return len([*tree.find_all(exp.Table, exp.Join)]) + 2 * len(selects)

    assert 20 < max(map(stages, said.values())) < STAGES


def _gathers(select):
    told = [select.args.get("group"), select.args.get("distinct"), *(e.find(exp.AggFunc) for e in select.expressions)]
    return any(told)


def test_what_is_known_and_not_true():
    """
    What is not known is neither true nor false: sqlglot alone would leave `is true` out.
    """
    said = "select k from a where (k > 1) is not true and n is true or n is false"
    [one] = stepped(said, "s", "p_")

    assert one == (
        'SELECT "k" FROM "a" WHERE NOT COALESCE(("k" > 1), FALSE) AND COALESCE("n", FALSE)'
        ' OR COALESCE(NOT ("n"), FALSE)'
    )


def test_two_that_are_unknown_are_the_same():
    """
    Said without the words by which Trino has lost rows.
    """
    [one] = stepped(
        "select a.n is not distinct from b.n, a.n is distinct from b.n from a join b on a.k = b.k", "s", "p_"
    )

    same = 'COALESCE("a"."n" = "b"."n", "a"."n" IS NULL AND "b"."n" IS NULL)'
    assert one.startswith(f"SELECT {same}, NOT {same} FROM")


def test_a_table_that_gets_another_name_is_copied():
    """
    Again from the beginning, where that broke off: the old one goes last.
    """
    assert stepped('alter table "s"."v1_2_0_ledger_a" rename to "v1_2_0_ledger_b"', "s", "p_") == [
        'DROP TABLE IF EXISTS "s"."v1_2_0_ledger_b"',
        'CREATE TABLE "s"."v1_2_0_ledger_b" AS SELECT * FROM "s"."v1_2_0_ledger_a"',
        'DROP TABLE "s"."v1_2_0_ledger_a"',
    ]


def test_what_is_tied_by_more_stays_as_it_is():
    """
    No join would find such a row at most once; Trino says whether it takes it.
    """
    [one] = stepped("select k from a where exists (select 1 from b where b.k < a.k)", "s", "p_")

    assert one.endswith('WHERE EXISTS(SELECT 1 FROM "b" WHERE "b"."k" < "a"."k")')
