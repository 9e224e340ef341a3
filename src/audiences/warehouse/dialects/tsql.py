"""What sqlglot does not know of T-SQL, as far as our own statements need it.

There is no boolean value: what is true is a bit, and a condition is none. Text is compared by its code points, whatever
the database's collation. A part of a WITH is evaluated wherever it is mentioned, so each is a temporary table of the
session, whose name begins with # as no other's does.

https://learn.microsoft.com/en-us/sql/t-sql/data-types/bit-transact-sql, …/t-sql/statements/collations,
…/t-sql/statements/collation-precedence-transact-sql, …/t-sql/queries/select-into-clause-transact-sql,
…/t-sql/functions/len-transact-sql, …/t-sql/functions/trim-transact-sql,
…/t-sql/language-elements/string-comparison-assignment (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.dialects import tsql
from sqlglot.generators.tsql import TSQLGenerator

from audiences.warehouse.dialects import OURS, Ours, escapes, mere, step, unfolded
from audiences.warehouse.dialects.bits import bits
from audiences.warehouse.dialects.joins import joined, named
from audiences.warehouse.sources.sqlserver import national
from audiences.warehouse.words import literal

COLLATION = "COLLATE Latin1_General_100_BIN2"
TEXT = exp.DType.VARCHAR, exp.DType.TEXT
WHOLE = 2_147_483_647  # more characters than a text can have


class TSQL(tsql.TSQL):
    """T-SQL, of which only what sqlglot says otherwise is told here."""

    class Generator(TSQLGenerator):
        ENSURE_BOOLS = False  # `bits` has made conditions of what must be one
        TYPE_MAPPING = {  # noqa: RUF012 (as its base has it)
            **TSQLGenerator.TYPE_MAPPING,
            exp.DType.VARCHAR: "NVARCHAR(MAX)",
            exp.DType.TEXT: "NVARCHAR(MAX)",
            exp.DType.TIMESTAMP: "DATETIME2",
        }
        TRANSFORMS = {  # noqa: RUF012
            **TSQLGenerator.TRANSFORMS,
            exp.Add: lambda self, e: self._later(e),
            exp.Anonymous: lambda self, e: self._named(e),
            exp.Count: lambda self, e: self.func("COUNT_BIG", e.this),  # the other ends at 31 bits
            exp.Chr: lambda self, e: f"{self.func('NCHAR', *e.expressions)} {COLLATION}",
            exp.DPipe: lambda self, e: self.binary(e, "+"),
            exp.Length: lambda self, e: f"(LEN({self.sql(e, 'this')} + N'.') - 1)",  # it counts no blanks at the end
            exp.NullSafeEQ: lambda self, e: self._same(e, 1),
            exp.NullSafeNEQ: lambda self, e: self._same(e, 0),
            exp.SplitPart: lambda self, e: self._part(e),
            exp.StrPosition: lambda self, e: self.func("CHARINDEX", e.args["substr"], e.this),
            exp.Substring: lambda self, e: self._substring(e),
            exp.Translate: lambda self, e: self._without(e),
            exp.Trim: lambda self, e: self._trimmed(e),
        }

        def literal_sql(self, expression: exp.Literal) -> str:
            """Text of every plane, which is compared as it is."""
            said = super().literal_sql(expression)
            return f"{national(expression.this)} {COLLATION}" if expression.is_string else said

        def cast_sql(self, expression: exp.Cast, safe_prefix: str | None = None) -> str:
            """What becomes text is compared as it is."""
            said = super().cast_sql(expression, safe_prefix)
            return f"{said} {COLLATION}" if expression.to.is_type(*TEXT) else said

        def columndef_sql(self, expression: exp.ColumnDef, sep: str = " ") -> str:
            """Likewise what a column holds."""
            said, kind = super().columndef_sql(expression, sep), expression.kind
            return f"{said} {COLLATION}" if kind and kind.is_type(*TEXT) else said

        def create_sql(self, expression: exp.Create) -> str:
            """One that may be there is asked for, by its name as it is."""
            there = expression.args.pop("exists", None)
            said, table = super().create_sql(expression), self.sql(expression.find(exp.Table))
            return f"IF OBJECT_ID(N{literal(table)}) IS NULL {said}" if there else said

        def alter_sql(self, expression: exp.Alter) -> str:
            """A table gets another name by a procedure, which leaves it in its schema."""
            action: Any = expression.actions[0]
            if not isinstance(action, exp.AlterRename):
                return super().alter_sql(expression)
            return f"EXEC sp_rename N{literal(self.sql(expression, 'this'))}, N{literal(action.this.name)}"

        def window_sql(self, expression: exp.Window) -> str:
            """A number of rows asks for an order."""
            if not expression.args.get("order"):
                expression.set("order", exp.Order(expressions=[exp.select(exp.null()).subquery()]))
            return super().window_sql(expression)

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

        def _part(self, expression: exp.SplitPart) -> str:
            """What stands before the first of a sign: all, where there is none."""
            text, sign = self.sql(expression, "this"), self.sql(expression, "delimiter")
            return f"LEFT({text}, CHARINDEX({sign}, {text} + {sign}) - 1)"

        def _substring(self, expression: exp.Substring) -> str:
            """The rest, where no length is told."""
            length = expression.args.get("length") or exp.Literal.number(WHOLE)
            return self.func("SUBSTRING", expression.this, expression.args["start"], length)

        def _without(self, expression: exp.Translate) -> str:
            """Text without some characters, as ours are asked for alone."""
            said = self.sql(expression, "this")
            for character in expression.args["from_"].name:
                said = f"REPLACE({said}, {self.sql(exp.Literal.string(character))}, N'')"
            return said

        def _trimmed(self, expression: exp.Trim) -> str:
            """What it takes off may be a literal: not, by the documentation, one with a collation. The text's holds."""
            taken = expression.args.get("expression")
            return f"TRIM({national(taken.name) + ' FROM ' if taken else ''}{self.sql(expression, 'this')})"

        def _named(self, expression: exp.Anonymous) -> str:
            """JSON of a text, with the escapes that JSON asks for and no others: STRING_ESCAPE has one more."""
            if expression.name != "to_json":
                return self.anonymous_sql(expression)
            said = self.sql(expression.expressions[0])
            for number, letter in escapes():
                written = f"N'{letter}'" if letter else f"NCHAR({number})"
                said = f"REPLACE({said}, NCHAR({number}) {COLLATION}, NCHAR(92) + {written})"
            return f"N'\"' + {said} + N'\"'"


@lru_cache(maxsize=256)
def stepped(statement: str) -> Sequence[str]:
    """A statement of ours in steps, as T-SQL says them."""
    steps = unfolded(parse_one(statement, dialect=Ours), _temporary, mere)
    return [_plain(bits(joined(named(each)))).sql(dialect=TSQL, identify=True) for each in steps]


def temporary(name: str) -> str:
    """What a temporary table of ours is called; name: without quotes"""
    return f"#{name}"


def _temporary(part: exp.CTE) -> Iterator[exp.Expr]:
    yield exp.Drop(tables=[step(part)], kind="TABLE", exists=True)
    yield exp.Create(this=step(part), kind="TABLE", expression=part.this)


def _plain(found: exp.Expr) -> exp.Expr:
    """Temporary tables by their names; rows of a table that is made have no order, and its texts no length."""
    for table in found.find_all(exp.Table):
        if not table.db and table.name.startswith(OURS):
            table.set("this", exp.to_identifier(temporary(table.name), quoted=True))
    rows = found.expression if isinstance(found, exp.Create) else None
    for select in rows.find_all(exp.Select) if rows else ():
        if not select.args.get("limit"):
            select.set("order", None)
        for value in [each.unalias() for each in select.expressions]:
            if isinstance(value, exp.Literal) and value.is_string:
                value.replace(exp.cast(value.copy(), exp.DType.VARCHAR))
    return found
