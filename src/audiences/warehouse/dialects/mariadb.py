"""What sqlglot does not know of MariaDB, as far as our own statements need it.

Text is compared as it is, blanks at its end included, whatever collation the connection has: `COLLATED` stands at each
literal, cast and table of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlglot import exp, parse_one, transforms
from sqlglot.dialects import mysql
from sqlglot.generators.mysql import MySQLGenerator

from audiences.warehouse.dialects import Ours, doomed, step, unfolded
from audiences.warehouse.words import quoted

COLLATED = "COLLATE utf8mb4_nopad_bin"
TEXT = (exp.DType.TEXT, exp.DType.VARCHAR)


def halved(select: exp.Expr) -> exp.Expr:
    """It has no FULL JOIN. `on`: two columns of which the one of the left side is never NULL there."""
    joins = [join for join in select.args.get("joins") or [] if join.side == "FULL"]
    if not joins or not isinstance(select, exp.Select):
        return select
    [full] = joins
    full.set("side", "LEFT")
    only_right = select.copy()
    next(join for join in only_right.args["joins"] if join == full).set("side", "RIGHT")
    return exp.union(select, only_right.where(full.args["on"].this.copy().is_(exp.null())), distinct=False, copy=False)


class MariaDB(mysql.MySQL):
    """MariaDB, of which only what MySQL says otherwise is told here."""

    class Generator(MySQLGenerator):
        collated = COLLATED
        TYPE_MAPPING = {  # noqa: RUF012 (as its base has it)
            **MySQLGenerator.TYPE_MAPPING,
            exp.DType.TEXT: "LONGTEXT",
            exp.DType.VARBINARY: "LONGBLOB",
            exp.DType.TIME: "TIME(6)",
            exp.DType.TIMESTAMPNTZ: "DATETIME(6)",
        }
        TRANSFORMS = {  # noqa: RUF012
            **MySQLGenerator.TRANSFORMS,
            exp.AlterRename: lambda self, e: self._renamed(e),
            exp.Chr: lambda self, e: f"CHAR({self.expressions(e, flat=True)} USING utf8mb4) {self.collated}",
            exp.Delete: lambda self, e: self._delete(e),
            exp.Select: transforms.preprocess([halved, transforms.eliminate_qualify]),
            exp.SplitPart: lambda self, e: self.func(
                "SUBSTRING_INDEX", e.this, e.args["delimiter"], e.args["part_index"]
            ),
            exp.Translate: lambda self, e: self._without(e.this, "{}", e.args["from_"].name),
            exp.Trim: lambda self, e: self._without(e.this, r"\A{0}+|{0}+\z", e.expression.name),
        }

        def literal_sql(self, expression: exp.Literal) -> str:
            written = super().literal_sql(expression)
            return f"{written} {self.collated}" if expression.is_string else written

        def cast_sql(self, expression: exp.Cast, safe_prefix: str | None = None) -> str:
            if expression.is_type(*TEXT):
                return f"CAST({self.sql(expression, 'this')} AS CHAR) {self.collated}"
            return super().cast_sql(expression, safe_prefix)

        def subquery_sql(self, expression: exp.Subquery, sep: str = " AS ") -> str:
            """What stands in FROM has a name."""
            written = super().subquery_sql(expression, sep)
            nameless = isinstance(expression.parent, exp.From | exp.Join) and not expression.alias
            return f"{written} AS nameless" if nameless else written

        def create_sql(self, expression: exp.Create) -> str:
            """A table's columns without a collation of their own have its."""
            written = super().create_sql(expression)
            if expression.kind != "TABLE" or expression.expression:
                return written
            return f"{written} CHARACTER SET utf8mb4 {self.collated}"

        def _renamed(self, expression: exp.AlterRename) -> str:
            """Without its schema the table would go to another."""
            old: Any = expression.parent
            return f"RENAME TO {self.sql(exp.table_(expression.this.name, old.this.db, quoted=True))}"

        def _delete(self, expression: exp.Delete) -> str:
            table = expression.this
            if not table.alias:
                return self.delete_sql(expression)
            return self.sql(doomed(expression, "1")).replace("SELECT 1", f"DELETE {table.alias}", 1)

        def _without(self, text: exp.Expr, pattern: str, characters: str) -> str:
            found = exp.Literal.string(pattern.format(f"[{re.escape(characters)}]"))
            return self.func("REGEXP_REPLACE", text, found, exp.Literal.string(""))


@lru_cache(maxsize=256)
def stepped(statement: str) -> Sequence[str]:
    """A statement of ours in steps. A table that changes its type is brought to it first."""
    firsts: dict[str, str] = {}
    steps = unfolded(parse_one(statement, dialect=Ours), lambda part: _temporary(part, firsts), lambda part: False)
    if isinstance(tree := steps[-1], exp.Alter):
        steps[:-1] = [_fitted(tree.this, each) for each in tree.actions if isinstance(each, exp.AlterColumn)]
    return [each.sql(dialect=MariaDB) for each in steps]


def _temporary(part: exp.CTE, firsts: dict[str, str]) -> Iterator[exp.Expr]:
    """Others look it up by its first column, row by row; firsts: of each.

    What a part looks up in a UNION is a table before it, for the same reason.
    """
    unions = [found.args["query"] for found in part.find_all(exp.In) if found.args.get("query")]
    for n, query in enumerate(each for each in unions if isinstance(each.this, exp.SetOperation)):
        wanted = exp.CTE(this=query.this, alias=exp.TableAlias(this=exp.to_identifier(f"{part.alias} {n}")))
        yield from _temporary(wanted, firsts)
        query.set("this", exp.select(*wanted.this.named_selects).from_(step(wanted)))
    kind, name = exp.Properties(expressions=[exp.TemporaryProperty()]), step(part).name
    first = part.this.named_selects[0]
    firsts[name] = firsts[part.this.args["from_"].this.name] if first == "*" else first
    yield exp.Create(this=step(part), kind="TABLE", replace=True, properties=kind, expression=part.this)
    yield parse_one(f"create index audiences on {quoted(name)} ({quoted(firsts[name])})", dialect=Ours)


def _fitted(table: exp.Table, column: exp.AlterColumn) -> exp.Update:
    return exp.update(table.copy(), {column.this.sql(dialect=Ours): column.args["using"].copy()})
