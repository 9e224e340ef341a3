"""What sqlglot does not know of Snowflake, as far as our own statements need it.

Each name is quoted: one that is not would be read in capitals. No table that is changed has another name for it, and a
test of existence stands in a WHERE, for of others the documentation does not speak.

https://docs.snowflake.com/en/sql-reference/identifiers-syntax, …/en/user-guide/querying-subqueries,
…/en/sql-reference/sql/update, …/delete, …/create-table (read 2026-11)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.dialects import snowflake
from sqlglot.generators.snowflake import SnowflakeGenerator

from audiences.warehouse.dialects import Ours


class Snowflake(snowflake.Snowflake):
    """Snowflake, of which only what sqlglot says otherwise is told here."""

    class Generator(SnowflakeGenerator):
        TRANSFORMS = {  # noqa: RUF012 (as its base has it)
            **SnowflakeGenerator.TRANSFORMS,
            exp.Is: lambda self, e: self._is(e),
            exp.Add: lambda self, e: self._later(e),
            exp.AlterRename: lambda self, e: self._renamed(e),
        }

        def cte_sql(self, expression: exp.CTE) -> str:
            """It has no word for whether one is kept."""
            expression.set("materialized", None)
            return super().cte_sql(expression)

        def window_sql(self, expression: exp.Window) -> str:
            """A number of rows asks for an order."""
            if not expression.args.get("order"):
                expression.set("order", exp.Order(expressions=[exp.null()]))
            return super().window_sql(expression)

        def _is(self, expression: exp.Is) -> str:
            """What is not known is not true: sqlglot would leave NULL of it."""
            if not isinstance(expression.expression, exp.Boolean):
                return self.binary(expression, "IS")
            return f"COALESCE({self.sql(expression, 'this')} = {self.sql(expression, 'expression')}, FALSE)"

        def _later(self, expression: exp.Add) -> str:
            """So many hours after a moment: an interval of its own cannot be multiplied."""
            hours = expression.expression
            if not isinstance(hours, exp.Mul) or not isinstance(hours.expression, exp.Interval):
                return self.binary(expression, "+")
            return self.func("TIMESTAMPADD", exp.var("HOUR"), hours.this, expression.this)

        def _renamed(self, expression: exp.AlterRename) -> str:
            """Without its schema the table would go to another."""
            old: Any = expression.parent
            return f"RENAME TO {self.sql(exp.table_(expression.this.name, old.this.db, quoted=True))}"


@lru_cache(maxsize=256)
def translated(statement: str) -> str:
    """A statement of ours as Snowflake says it."""
    tree = parse_one(statement, dialect=Ours)
    if isinstance(tree, exp.Alter) and isinstance(tree.actions[0], exp.AlterColumn):
        tree = _made_anew(tree.this, tree.actions[0])
    if isinstance(tree, exp.Update | exp.Delete) and tree.this.alias:
        _named(tree, tree.this)
    while select := next((each for each in tree.find_all(exp.Select) if _test(each)), None):
        other = _ordered(select) if select.args.get("order") else _halved(select)
        tree = other if select is tree else tree
        select.replace(other)
    for select in tree.find_all(exp.Select):
        if select.args.get("where") and not select.args.get("from_"):
            select.from_("(select 1 as one)", dialect=Ours, copy=False)
    return tree.sql(dialect=Snowflake, identify=True)


def _made_anew(table: exp.Expr, column: exp.AlterColumn) -> exp.Create:
    """A table of which a column becomes another type, in one statement: all of it or nothing."""
    cast = exp.alias_(column.args["using"].copy(), column.this.name, quoted=True)
    rows = exp.select(exp.Star(replace=[cast])).from_(table.copy())
    return exp.Create(this=table.copy(), kind="TABLE", replace=True, expression=rows)


def _named(change: exp.Expr, table: Any) -> None:
    """Call a table that is changed by its own name, in place of the one that the statement gives it."""
    alias, name = table.alias, table.name
    table.set("alias", None)
    for column in change.find_all(exp.Column):
        if column.table == alias:
            column.set("table", exp.to_identifier(name, quoted=True))


def _test(select: exp.Select) -> exp.Exists | None:
    """The first test of existence in a column of a SELECT itself, and not of a query within it."""
    found = (test for column in select.expressions for test in column.find_all(exp.Exists))
    return next((test for test in found if test.parent_select is select), None)


def _ordered(select: exp.Select) -> exp.Select:
    """The same rows in the same order, which is asked for outside, so that the SELECT itself can be halved."""
    keys = [key.this for key in select.args["order"].expressions]
    columns = [exp.alias_(each.unalias(), f"_{n}") for n, each in enumerate([*select.expressions, *keys])]
    names = [each.alias for each in columns]
    select = select.copy()
    select.set("order", None)
    select.set("expressions", columns)
    seen = len(columns) - len(keys)
    return exp.select(*names[:seen]).from_(select.subquery(copy=False)).order_by(*names[seen:])


def _halved(select: exp.Select) -> exp.Union:
    """A SELECT of which a column asks whether there is something: the rows for which there is, and the others."""
    halves = []
    for there in (exp.true(), exp.false()):
        half = select.copy()
        test: Any = _test(half)
        condition = test.copy() if there.this else exp.not_(test.copy())
        test.replace(there)
        halves.append(half.where(condition, copy=False))
    return exp.union(*halves, distinct=bool(select.args.get("distinct")), copy=False)
