"""What Redshift is told where it holds our tables, held against what its documentation allows: nothing runs here."""

from __future__ import annotations

import re

import pytest
from sqlglot import exp, parse_one

from audiences.warehouse.dialects.redshift import stepped
from statements import statements

# Each has a page in https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions.html, and none runs on the leader
# node alone (…/c_SQL_functions_leader_node_only.html, read 2026-11).
FUNCTIONS = {
    "BTRIM",
    "CAST",
    "CHR",
    "COALESCE",
    "COUNT",
    "DATEADD",
    "LENGTH",
    "LOWER",
    "MAX",
    "MIN",
    "NULLIF",
    "REPLACE",
}
FUNCTIONS |= {"ROW_NUMBER", "SPLIT_PART", "STRPOS", "SUBSTRING", "SUM", "TRANSLATE", "TRY_CAST"}
TYPES = {"VARCHAR", "DECIMAL"}


@pytest.fixture(scope="module")
def said():
    """Our statements' steps as Redshift is told them, parsed."""
    return {step: parse_one(step, dialect="redshift") for statement in statements() for step in stepped(statement)}


def test_no_query_looks_at_the_row_outside(said):
    """
    Of these Redshift takes some: each test of existence is a join, and a query in a query names only what is its own.
    """
    asked = [step for step, tree in said.items() if any(_asks(test) for test in tree.find_all(exp.Exists, exp.In))]
    joins = [join for tree in said.values() for join in tree.find_all(exp.Join) if join.alias_or_name.startswith("_")]

    assert len(said) > 200
    assert asked == []
    assert len(joins) > 100
    for tree in said.values():
        for query in tree.find_all(exp.Subquery):
            if not isinstance(query.parent, exp.From | exp.Join):
                assert {column.table for column in query.find_all(exp.Column)} <= {"", *_names(query)}


def _asks(test):
    return isinstance(test, exp.Exists) or bool(test.args.get("query"))


def _names(query):
    return {each.alias_or_name for each in query.find_all(exp.Table, exp.Subquery)}


def test_what_is_not_of_redshift_is_said_otherwise(said):
    """
    No WITH, which it may evaluate again and again; no list of values in a FROM; no IS but before NULL; no comparison
    that knows NULL; no function but those that it has; a name for each query in a FROM, and none for a table that is
    changed.
    """
    trees = said.values()
    froms = [each.this for tree in trees for each in tree.find_all(exp.From, exp.Join)]

    assert not any(tree.find(exp.With, exp.NullSafeEQ, exp.NullSafeNEQ) for tree in trees)
    assert not any(isinstance(each, exp.Values) for each in froms)
    assert all(each.alias_or_name for each in froms)
    assert all(isinstance(each.expression, exp.Null) for tree in trees for each in tree.find_all(exp.Is))
    assert not any(tree.this.alias for tree in trees if isinstance(tree, exp.Update | exp.Delete))
    assert {name for step in said for name in re.findall(r"\b([A-Z_]+)\(", step)} <= FUNCTIONS | TYPES


def test_a_full_join_has_equals_alone(said):
    """
    It supports no other, and each of ours joins on the key.
    """
    full = [join for tree in said.values() for join in tree.find_all(exp.Join) if join.side == "FULL"]

    assert full
    assert {join.args["on"].sql() for join in full} == {'"s"."key" = "l"."key"'}


def test_names_texts_and_truths(said):
    """
    Each name is quoted, for many a word is reserved; text has room for more than 256 bytes; no literal holds a
    backslash; and a boolean column is compared, not just mentioned.
    """
    trees = [*said.values()]
    kinds = [kind for tree in trees for kind in tree.find_all(exp.DataType) if kind.is_type("varchar", "text")]
    parents = (exp.And, exp.Or, exp.Not, exp.Where, exp.Having)

    assert all(each.quoted for tree in trees for each in tree.find_all(exp.Identifier))
    assert kinds
    assert {kind.sql(dialect="redshift") for kind in kinds} == {"VARCHAR(65535)"}
    assert not any("\\" in step for step in said)
    assert [
        each.parent.sql() for tree in trees for each in tree.find_all(exp.Column) if isinstance(each.parent, parents)
    ] == []


def test_a_list_of_values_is_a_temporary_table():
    """
    The first row gives the types, and the others are inserted.
    """
    assert stepped("select v.x from (values (1, 'a\\b'), (2, null)) v(x, y)") == [
        'DROP TABLE IF EXISTS "<v 0>"',
        'CREATE TEMPORARY TABLE "<v 0>" AS SELECT CAST(1 AS BIGINT) AS "x",'
        " CAST(('a' || CHR(92) || 'b') AS VARCHAR(65535)) AS \"y\"",
        'INSERT INTO "<v 0>" VALUES (2, NULL)',
        'SELECT "v"."x" FROM "<v 0>" AS "v"',
    ]


def test_what_is_tied_by_more_stays_as_it_is():
    """
    No join would find such a row at most once; Redshift says whether it takes it.
    """
    [one] = stepped("select k from a where exists (select 1 from b where b.k < a.k)")

    assert one.endswith('WHERE EXISTS(SELECT 1 FROM "b" WHERE "b"."k" < "a"."k")')
