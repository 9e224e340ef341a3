"""What SQL Server is told where it holds our tables, held against T-SQL's documentation: nothing runs on a server."""

from __future__ import annotations

import re

import pytest
from sqlalchemy.engine import make_url
from sqlglot import exp, parse_one

from audiences.warehouse import Warehouse
from audiences.warehouse.dialects.tsql import stepped
from audiences.warehouse.sources.sqlserver import SQLServerSource
from mssqled import SQLServer
from statements import statements
from test_redshift_kept import ASKED

CONDITIONS = exp.Predicate, exp.Connector, exp.Not
# Each has a page in https://learn.microsoft.com/en-us/sql/t-sql/functions/functions (read 2026-11).
FUNCTIONS = {"CAST", "CHARINDEX", "COALESCE", "COUNT_BIG", "DATEADD", "LOWER", "MAX", "MIN", "NCHAR", "NULLIF"}
FUNCTIONS |= {"OBJECT_ID", "ROW_NUMBER", "SUM", "TRIM", "SUBSTRING", "LEFT", "LEN", "REPLACE", "TRY_CAST"}
TYPES = {"NVARCHAR", "DECIMAL"}
ASKED_FIRST = re.compile(r"^IF OBJECT_ID\(.*?\) IS NULL ")
COLLATED = " COLLATE Latin1_General_100_BIN2"


@pytest.fixture(scope="module")
def said():
    """Our statements' steps as SQL Server is told them, parsed; of one that asks whether there is a table, the rest."""
    steps = {step for statement in statements() for step in stepped(statement)}
    return {step: parse_one(ASKED_FIRST.sub("", step).replace(COLLATED, ""), dialect="tsql") for step in steps}


def _decides(node):
    """Whether T-SQL wants a condition here, told by the documentation of CASE, JOIN, WHERE, HAVING, AND, OR and NOT."""
    place, parent = node, node.parent
    while isinstance(parent, exp.Paren):
        place, parent = parent, parent.parent
    if isinstance(parent, exp.If):
        return parent.this is place and parent.parent.this is None
    if isinstance(parent, exp.Join):
        return parent.args.get("on") is place
    return isinstance(parent, exp.Where | exp.Having | exp.And | exp.Or | exp.Not)


def test_a_condition_is_no_value_and_a_value_no_condition(said):
    """
    T-SQL has no booleans: https://learn.microsoft.com/en-us/sql/t-sql/data-types/bit-transact-sql.
    """
    nodes = [node for tree in said.values() for node in tree.walk() if not isinstance(node, exp.Paren)]
    decisive = [node for node in nodes if _decides(node)]
    changes = (exp.Update, exp.Interval)
    conditions = [node for node in nodes if isinstance(node, CONDITIONS) and not isinstance(node.parent, changes)]

    assert len(said) > 200
    assert len(conditions) > 1_000
    assert [node.sql() for node in conditions if not _decides(node)] == []
    assert [node.sql() for node in decisive if not isinstance(node, CONDITIONS)] == []
    assert not any(isinstance(node, exp.Boolean | exp.NullSafeEQ | exp.NullSafeNEQ) for node in nodes)
    assert {node.expression.sql() for node in nodes if isinstance(node, exp.Is)} == {"NULL"}


def test_what_t_sql_does_not_take(said):
    """
    An aggregate of a query; an order of rows in a FROM without TOP; a window without an order; a WITH that would be
    evaluated wherever it is mentioned; a query in a FROM, or a column of a table that is made, without a name.
    """
    trees = said.values()
    froms = [each for tree in trees for each in tree.find_all(exp.Subquery, exp.Values) if _in_from(each)]
    queries = [each.unnest() for each in froms if isinstance(each, exp.Subquery)]
    made = [each for each in queries if each.find_ancestor(exp.Select).args.get("into")]

    assert len(made) > 50
    assert not any(each.find(exp.Select) for tree in trees for each in tree.find_all(exp.AggFunc))
    assert not any(each.args.get("order") and not each.args.get("limit") for each in queries)
    assert all(each.args.get("order") for tree in trees for each in tree.find_all(exp.Window))
    assert not any(tree.find(exp.With) for tree in trees)
    assert all(each.alias for each in froms)
    assert all(column.alias_or_name for each in made for column in each.selects)


def _in_from(query):
    return isinstance(query.parent, exp.From | exp.Join)


def test_names_texts_and_functions(said):
    """
    Each name is quoted; what is temporary is the session's, by its #; text is of any length and compared as it is, but
    for what is trimmed off, a literal with no more to it; no function but those that there are.
    """
    single = [table for tree in said.values() for table in tree.find_all(exp.Table) if not table.db]
    ours = {table.name for table in single if not table.this.args.get("temporary")}

    assert all(each.quoted for tree in said.values() for each in tree.find_all(exp.Identifier))
    assert len(single) > 100
    assert ours <= {"people", ""}
    assert {after for step in said for after in re.findall(r"NVARCHAR\(MAX\)\)?(.{8})", step)} == {COLLATED[:8]}
    assert {after for step in said for after in re.findall(r"TRIM\(N'[^']*'(.{6})", step)} == {" FROM "}
    assert {name for step in said for name in re.findall(r"\b([A-Z_]+)\(", step)} <= FUNCTIONS | TYPES


def test_a_table_is_made_renamed_and_dropped():
    """
    As T-SQL says it: SELECT … INTO, sp_rename with the schema in the old name alone, # for what is the session's.
    """
    assert stepped('create table "s"."a" as select "key", \'x\' as "one]two" from "s"."b" order by "key"') == [
        "SELECT * INTO [s].[a] FROM (SELECT [key] AS [key],"
        f" CAST(N'x'{COLLATED} AS NVARCHAR(MAX)){COLLATED} AS [one]]two] FROM [s].[b]) AS [temp]"
    ]
    assert stepped('create table if not exists "s"."a" (k bigint, t varchar, b boolean, "at" timestamp)') == [
        "IF OBJECT_ID(N'[s].[a]') IS NULL CREATE TABLE [s].[a]"
        f" ([k] BIGINT, [t] NVARCHAR(MAX){COLLATED}, [b] BIT, [at] DATETIME2)"
    ]
    assert stepped('alter table "s"."a" rename to "b\'s"') == ["EXEC sp_rename N'[s].[a]', N'b''s'"]
    assert stepped('alter table "s"."a" add column "t" varchar') == [
        f"ALTER TABLE [s].[a] ADD [t] NVARCHAR(MAX){COLLATED}"
    ]
    assert stepped('drop table "staged_7"') == ["DROP TABLE [#staged_7]"]
    assert stepped('drop table if exists "s"."a"') == ["DROP TABLE IF EXISTS [s].[a]"]


TRUTHS = [
    "select n > 2, not (n > 2), n is null, n > 2 and k is null, n > 2 or k is null from a",
    "select k is null and n > 2, k is null or n > 2, not (k is null and n > 2) from a",
    "select case when n > 2 then 'more' when not (n > 2) then 'less' else 'unknown' end from a",
    "select n > 2 is true, (n > 2) is not true, n > 2 is false, (n > 2 is true) is false from a",
    "select n from a where true and not false",
    "select n from a where coalesce(n > 2, k is null)",
    "select n from a where (n > 2) = (k > 2)",
    "select true as x, false as y, true = (n > 2) from a",
    "select b.n from (select n, n > 2 as more from a) b where b.more",
    "select b.n from (select n, n > 2 as more from a) b where not b.more or case when b.n is null then true end",
    "select count(case when b.more then 1 end), sum(case when (true) then 1 end) from (select n > 2 more from a) b",
    "select x.n from a x left join (select n > 2 as more, n from a) y on y.more and y.n = x.n where y.n is not null",
    "select b.more, count(*) from (select n > 2 as more from a) b group by b.more having count(*) > 1",
    "select cast(b.more as integer) + 1 from (select n > 2 as more from a) b",
    "select n in (1, 2, null), n not in (1, 2), n between 2 and 3, n not between 2 and 3 from a",
    "select case n when 1 then n > 0 when 2 then null else false end from a",
]


@pytest.mark.parametrize("statement", [*ASKED, *TRUTHS])
def test_a_statement_means_what_it_said(statement):
    """
    Conditions as values, bits as conditions, what is not known, tests of existence: the rows are those of DuckDB.
    """
    server = SQLServer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLServerSource, "connection", lambda self, **_options: server.connected(self.url))
        with Warehouse(make_url("duckdb:///:memory:"), "s") as duckdb, server.warehouse(server.alone()) as tsql:
            for warehouse in (duckdb, tsql):
                warehouse.run("create table a (k bigint, n bigint)")
                warehouse.run("insert into a values (1, 1), (1, 2), (2, 3), (3, null), (null, 4), (4, 1), (4, 7)")
                warehouse.run("create table b (k bigint, n bigint)")
                warehouse.run("insert into b values (1, 1), (1, null), (3, null), (3, null), (4, 1), (4, 7), (null, 2)")
                warehouse.run("create table c (k bigint, n bigint)")
                warehouse.run("insert into c values (3, null), (4, 2)")
            rows, expected = (sorted(each.run(statement), key=str) for each in (tsql, duckdb))

    assert expected
    assert rows == expected
