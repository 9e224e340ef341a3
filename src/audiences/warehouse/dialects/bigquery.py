"""What sqlglot does not know of BigQuery, as far as our own statements need it.

A part of a WITH is evaluated wherever it is mentioned, so each becomes a temporary table. A test of existence that asks
about the row stands in a WHERE alone, as one of the conditions that all must hold, and is a join anywhere else: of
others BigQuery says that they cannot be de-correlated.

https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#cte_rules, …/subqueries, …/dml-syntax,
…/lexical, https://docs.cloud.google.com/bigquery/docs/multi-statement-queries#temporary_tables (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.dialects import bigquery
from sqlglot.generators.bigquery import BigQueryGenerator

from audiences.warehouse.dialects import Ours, mere, step, unfolded

SESSION = "_SESSION"  # where temporary tables are: no table of the users' is taken for one
SORTED = {"outbox": "seq", "history": "outbox"}  # kind of a table -> the column by whose ranges it is read


class BigQuery(bigquery.BigQuery):
    """BigQuery, of which only what sqlglot says otherwise is told here."""

    class Generator(BigQueryGenerator):
        TRANSFORMS = {  # noqa: RUF012 (as its base has it)
            **BigQueryGenerator.TRANSFORMS,
            exp.Add: lambda self, e: self._later(e),
            exp.SplitPart: lambda self, e: self._split(e),
            exp.Translate: lambda self, e: self._translated(e),
            exp.Values: lambda self, e: self._values(e),
        }

        def anonymous_sql(self, expression: exp.Anonymous) -> str:
            """Of NULL it would make the text null."""
            if expression.name != "to_json":
                return super().anonymous_sql(expression)
            value = self.sql(expression.expressions[0])
            return f"IF(({value}) IS NULL, NULL, TO_JSON_STRING({value}))"

        def create_sql(self, expression: exp.Create) -> str:
            """A table that is read by ranges is kept in their order; no other has one."""
            query = expression.expression
            if isinstance(query, exp.Query):
                query.set("order", None)
            written, column = super().create_sql(expression), SORTED.get(_name(expression).partition("_")[0])
            if column is None:
                return written
            kept = f"CLUSTER BY `{column}`"
            return written.replace(" AS ", f" {kept} AS ", 1) if query else f"{written} {kept}"

        def update_sql(self, expression: exp.Update) -> str:
            """It must say which rows."""
            if not expression.args.get("where"):
                expression.set("where", exp.Where(this=exp.true()))
            return super().update_sql(expression)

        def _later(self, expression: exp.Add) -> str:
            """So many hours after a moment."""
            hours = expression.expression
            if not isinstance(hours, exp.Mul) or not isinstance(hours.expression, exp.Interval):
                return self.binary(expression, "+")
            return f"DATETIME_ADD({self.sql(expression, 'this')}, INTERVAL {self.sql(hours, 'this')} HOUR)"

        def _split(self, expression: exp.SplitPart) -> str:
            """A part that there is not is empty; of NULL there is none."""
            text, between = self.sql(expression, "this"), self.sql(expression, "delimiter")
            part = f"SPLIT({text}, {between})[SAFE_ORDINAL({self.sql(expression, 'part_index')})]"
            return f"IF(({text}) IS NULL, NULL, COALESCE({part}, ''))"

        def _translated(self, expression: exp.Translate) -> str:
            """A character that is named twice is an error."""
            once = exp.Literal.string("".join(dict.fromkeys(expression.args["from_"].name)))
            return self.func("TRANSLATE", expression.this, once, expression.args["to"])

        def _values(self, expression: exp.Values) -> str:
            """Rows in place, where a table is named: those of INSERT have none."""
            names = expression.alias_column_names
            if not names:
                return self.values_sql(expression)
            rows = (
                exp.select(
                    *(exp.alias_(value, name, quoted=True) for value, name in zip(row.expressions, names, strict=True))
                )
                for row in expression.expressions
            )
            whole = " UNION ALL ".join(map(self.sql, rows))
            return f"({whole}) AS {self.sql(exp.to_identifier(expression.alias, quoted=True))}"


@lru_cache(maxsize=256)
def stepped(statement: str) -> Sequence[str]:
    """A statement of ours in steps, as BigQuery says them."""
    return [_said(each) for each in unfolded(parse_one(statement, dialect=Ours), _temporary, mere)]


def temporary(name: str) -> str:
    """A temporary table's own name; name: with quotes"""
    return _called(exp.to_table(name, dialect=Ours)).sql(dialect=BigQuery)


def cast(column: str, kind: str) -> str:
    """A column of a row `q` in one of our types."""
    found = exp.Cast(this=exp.column(column, "q", quoted=True), to=exp.DataType.build(kind, dialect=Ours))
    return found.sql(dialect=BigQuery)


def _temporary(part: exp.CTE) -> Iterator[exp.Expr]:
    kind = exp.Properties(expressions=[exp.TemporaryProperty()])
    yield exp.Create(this=step(part), kind="TABLE", replace=True, properties=kind, expression=part.this)


def _said(tree: exp.Expr) -> str:
    numbers = count()
    for test in [*tree.find_all(exp.Exists)]:
        if isinstance(test.this.args["from_"].this, exp.Values):
            test.replace(_spelled(test))
    for select in [*tree.find_all(exp.Select)]:
        for test in _others(select):
            _joined(select, test, f"_e{next(numbers)}")
        if select.args.get("where") and not select.args.get("from_"):
            select.from_("(select 1 as one)", dialect=Ours, copy=False)
    for table in tree.find_all(exp.Table):
        _called(table)
    for name in tree.find_all(exp.Identifier):
        name.set("quoted", name.this != SESSION)
    return tree.sql(dialect=BigQuery)


def _called(table: exp.Table) -> exp.Table:
    """A temporary table by its own name, in which there is no sign that none may have."""
    if not table.db and table.name.startswith(("<", "staged_")):
        table.set("this", exp.to_identifier(table.name.replace("<", "step_").replace(">", ""), quoted=True))
        table.set("db", exp.to_identifier(SESSION, quoted=False))
    return table


def _name(create: exp.Create) -> str:
    found = create.find(exp.Table)
    return found.name if found else ""


def _others(select: exp.Select) -> list[exp.Exists]:
    """The tests of existence in a SELECT itself that ask about its rows, but for those that a WHERE may have."""
    found = [test for test in select.find_all(exp.Exists) if test.parent_select is select]
    return [test for test in found if any(_apart(test)) and not _stands(test)]


def _stands(test: exp.Expr) -> bool:
    """Whether a test, or its contrary, is one of the conditions of a WHERE that all must hold."""
    at: Any = test.parent
    while isinstance(at, exp.Not | exp.Paren):
        at = at.parent
    while isinstance(at, exp.And | exp.Paren):
        at = at.parent
    return isinstance(at, exp.Where)


def _spelled(test: exp.Exists) -> exp.Expr:
    """A test of rows that stand in the statement: their conditions, one or the other. No join can have these: they need
    not be equations.
    """
    rows: Any = test.this.args["from_"].this
    names, met = rows.alias_column_names, list[exp.Expr]()
    for row in rows.expressions:
        values = dict(zip(names, row.expressions, strict=True))
        condition = test.this.args["where"].this.copy()
        for column in [each for each in condition.find_all(exp.Column) if each.table == rows.alias]:
            column.replace(values[column.name].copy())
        met.append(condition)
    return exp.paren(exp.or_(*met)).is_(exp.true())


def _joined(select: exp.Select, test: exp.Exists, name: str) -> None:
    """Ask by a join: a row meets at most one, for its other side has each once. NULL equals nothing in either.

    name: of the other side
    """
    meets, outside = _apart(test)
    inner: Any = test.this.copy()
    alone = [each for each in _conditions(inner) if each not in meets and each not in outside]
    sides = [_sides(each, _within(inner)) for each in meets]
    columns = [exp.alias_(own.copy(), f"{name}_{n}") for n, (own, _) in enumerate(sides)]
    inner.set("where", None)
    others = inner.select(*columns, append=False).where(*alone).distinct()
    met = [exp.column(f"{name}_{n}", name).eq(theirs.copy()) for n, (_, theirs) in enumerate(sides)]
    select.join(others.subquery(name), on=exp.and_(*met), join_type="left", copy=False)
    there = exp.not_(exp.column(f"{name}_0", name).is_(exp.null()))
    holds = [exp.func("coalesce", each.copy(), exp.false()) for each in outside]
    test.replace(exp.paren(exp.and_(there, *holds)))


def _apart(test: exp.Exists) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """The conditions of a test that its row and another have in common, and those of its row alone."""
    inner: Any = test.this
    within = _within(inner)
    meets, outside = list[exp.Expr](), list[exp.Expr]()
    for each in _conditions(inner):
        tables = {column.table for column in each.find_all(exp.Column)}
        if isinstance(each, exp.EQ) and tables & within and tables - within:
            meets.append(each)
        elif tables - within - {""}:
            outside.append(each)
    return meets, outside


def _sides(equal: exp.Expr, within: set[str]) -> tuple[exp.Expr, exp.Expr]:
    """What stands on the inner side of an equation, and on the outer."""
    one, other = equal.this, equal.expression
    return (one, other) if {column.table for column in one.find_all(exp.Column)} <= within else (other, one)


def _conditions(select: exp.Select) -> list[exp.Expr]:
    where = select.args.get("where")
    return list(where.this.flatten()) if where and isinstance(where.this, exp.And) else [where.this] if where else []


def _within(select: exp.Select) -> set[str]:
    """What the tables of a SELECT are called in it."""
    parts = [select.args["from_"].this, *(join.this for join in select.args.get("joins") or ())]
    return {part.alias_or_name for part in parts}
