"""What sqlglot does not know of Redshift, as far as our own statements need it.

A test of existence is a join, for Redshift takes few of those that look at the row outside. Text has room for as much
as Redshift holds: without a number it would be 256 bytes. No literal holds a backslash, which some sessions read as the
beginning of another character. IS stands before NULL alone: of booleans it is documented for a WHERE. Names become
small letters, also in quotes.

https://docs.aws.amazon.com/redshift/latest/dg/r_correlated_subqueries.html, …/r_Character_types.html,
…/r_Boolean_type.html, …/r_WITH_clause.html, …/r_DATEADD_function.html,
…/r_enable_case_sensitive_identifier.html (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.dialects import redshift
from sqlglot.generators.redshift import RedshiftGenerator

from audiences.warehouse.dialects import Ours, escapes, mere, step, unfolded
from audiences.warehouse.dialects.joins import joined, named
from audiences.warehouse.dialects.letters import lettered

TEXT = "VARCHAR(65535)"


class Redshift(redshift.Redshift):
    """Redshift, of which only what sqlglot says otherwise is told here."""

    class Generator(RedshiftGenerator):
        TYPE_MAPPING = {  # noqa: RUF012 (as its base has it)
            **RedshiftGenerator.TYPE_MAPPING,
            exp.DType.TIMESTAMPTZ: "TIMESTAMPTZ",
        }
        TZ_TO_WITH_TIME_ZONE = False
        TRANSFORMS = {  # noqa: RUF012
            **RedshiftGenerator.TRANSFORMS,
            exp.Add: lambda self, e: self._later(e),
            exp.Anonymous: lambda self, e: self._named(e),
            exp.Is: lambda self, e: self._is(e),
            exp.NullSafeEQ: lambda self, e: self._same(e, 1),
            exp.NullSafeNEQ: lambda self, e: self._same(e, 0),
            exp.StrPosition: lambda self, e: self.func("STRPOS", e.this, e.args["substr"]),
            exp.Substring: lambda self, e: self.func("SUBSTRING", e.this, e.args["start"], e.args.get("length")),
            exp.Trim: lambda self, e: self.func("BTRIM", e.this, e.expression),
        }

        def datatype_sql(self, expression: exp.DataType) -> str:
            """Text is as long as it can be."""
            if expression.is_type(exp.DType.VARCHAR, exp.DType.TEXT) and not expression.expressions:
                return TEXT
            return super().datatype_sql(expression)

        def literal_sql(self, expression: exp.Literal) -> str:
            """Read alike whether a backslash stands for itself or not."""
            if not expression.is_string:
                return super().literal_sql(expression)
            parts = ["'" + part.replace("'", "''") + "'" for part in str(expression.this).split("\\")]
            return " || CHR(92) || ".join(parts) if len(parts) == 1 else f"({' || CHR(92) || '.join(parts)})"

        def _is(self, expression: exp.Is) -> str:
            """What is not known is not true."""
            if not isinstance(expression.expression, exp.Boolean):
                return self.binary(expression, "IS")
            wanted = "" if expression.expression.this else "NOT "
            return f"CASE WHEN {wanted}({self.sql(expression, 'this')}) THEN 1 ELSE 0 END = 1"

        def _same(self, expression: exp.Binary, wanted: int) -> str:
            """Of two values one may be NULL, or both."""
            one, other = self.sql(expression, "this"), self.sql(expression, "expression")
            both = f"{one} IS NULL AND {other} IS NULL"
            return f"CASE WHEN {one} = {other} OR ({both}) THEN 1 ELSE 0 END = {wanted}"

        def _later(self, expression: exp.Add) -> str:
            """So many hours after a moment."""
            hours = expression.expression
            if not isinstance(hours, exp.Mul) or not isinstance(hours.expression, exp.Interval):
                return self.binary(expression, "+")
            return self.func("DATEADD", exp.var("HOUR"), hours.this, expression.this)

        def _named(self, expression: exp.Anonymous) -> str:
            """JSON of a text, with the escapes that JSON asks for and no others: no function promises that."""
            if expression.name != "to_json":
                return self.anonymous_sql(expression)
            said = self.sql(expression.expressions[0])
            for number, letter in escapes():
                written = f"'{letter}'" if letter else f"CHR({number})"
                said = f"REPLACE({said}, CHR({number}), CHR(92) || {written})"
            return f"'\"' || {said} || '\"'"


@lru_cache(maxsize=256)
def stepped(statement: str) -> Sequence[str]:
    """A statement of ours in steps, as Redshift says them: it may evaluate a part of a WITH wherever it stands."""
    tree = parse_one(statement, dialect=Ours)
    lists = _listed(tree)
    steps = [*lists, *unfolded(tree, _temporary, mere)]
    return [lettered(_explicit(joined(named(each)))).sql(dialect=Redshift, identify=True) for each in steps]


def _temporary(part: exp.CTE) -> Iterator[exp.Expr]:
    yield exp.Drop(tables=[step(part)], kind="TABLE", exists=True)
    yield _made(step(part), part.this)


def _made(table: exp.Expr, rows: exp.Expr) -> exp.Create:
    kind = exp.Properties(expressions=[exp.TemporaryProperty()])
    return exp.Create(this=table, kind="TABLE", properties=kind, expression=rows)


def _listed(tree: exp.Expr) -> list[exp.Expr]:
    """Each list of values in a FROM as a temporary table, for there it takes none."""
    steps = list[exp.Expr]()
    for n, values in enumerate([each for each in tree.find_all(exp.Values) if each.find_ancestor(exp.From, exp.Join)]):
        alias: Any = values.args["alias"]
        table = exp.table_(f"<{alias.name} {n}>", quoted=True)
        first, *others = values.expressions
        columns = [
            exp.alias_(_typed(value.copy()), name.name)
            for value, name in zip(first.expressions, alias.columns, strict=True)
        ]
        steps += exp.Drop(tables=[table.copy()], kind="TABLE", exists=True), _made(table.copy(), exp.select(*columns))
        if others:
            steps.append(exp.Insert(this=table.copy(), expression=exp.Values(expressions=[e.copy() for e in others])))
        values.replace(exp.alias_(table, alias.name, table=True))
    return steps


def _typed(value: exp.Expr) -> exp.Expr:
    """A literal that a table is made of, in the type of such columns."""
    if isinstance(value, exp.Literal):
        return exp.cast(value, "VARCHAR" if value.is_string else "BIGINT" if value.is_int else "DOUBLE", dialect=Ours)
    return value


def _explicit(tree: exp.Expr) -> exp.Expr:
    """A text that is selected has its type, and a boolean column that is a condition is compared."""
    for select in tree.find_all(exp.Select):
        for column in select.expressions:
            value = column.unalias()
            if isinstance(value, exp.Literal) and value.is_string:
                value.replace(_typed(value.copy()))
    for column in [*tree.find_all(exp.Column)]:
        place: Any = column
        while isinstance(place.parent, exp.Paren):
            place = place.parent
        if isinstance(place.parent, exp.Not):
            place.parent.replace(exp.EQ(this=column.copy(), expression=exp.false()))
        elif _condition(place):
            place.replace(exp.EQ(this=column.copy(), expression=exp.true()))
    return tree


def _condition(place: Any) -> bool:
    """Whether what stands here must be true or false."""
    parent = place.parent
    if isinstance(parent, exp.If):
        return place is parent.this and not (isinstance(parent.parent, exp.Case) and parent.parent.this)
    if isinstance(parent, exp.Join):
        return place is parent.args.get("on")
    if isinstance(parent, exp.Is):
        return isinstance(parent.expression, exp.Boolean)
    return isinstance(parent, exp.And | exp.Or | exp.Where | exp.Having)


def kept(kind: str) -> str:
    """One of our types, as Redshift says it."""
    return exp.DataType.build(kind, dialect=Ours).sql(dialect=Redshift)
