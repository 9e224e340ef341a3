"""What sqlglot does not know of Databricks, as far as our own statements need it.

A temporary table is one of the session, named by one part, and stands before any other of that name; a part of a WITH
is one, for Spark makes it anew wherever it is mentioned. A DROP TABLE of one part would mean a table of the users'.
Our own tables are asked to hold names of columns as they come.

https://learn.microsoft.com/en-us/azure/databricks/tables/temporary-tables (where OR REPLACE is told first),
https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-syntax-ddl-drop-table, …/sql-ref-identifiers,
…/aws/en/delta/column-mapping (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.dialects import databricks
from sqlglot.generators.databricks import DatabricksGenerator

from audiences.warehouse.dialects import Ours, mere, step, unfolded

NAMES = "TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"  # else none may hold a blank or a bracket


class Databricks(databricks.Databricks):
    """Databricks, of which only what sqlglot says otherwise is told here."""

    class Generator(DatabricksGenerator):
        TRANSFORMS = {  # noqa: RUF012 (as its base has it)
            **DatabricksGenerator.TRANSFORMS,
            exp.Create: lambda self, e: self._create(e),
            exp.Drop: lambda self, e: self._dropped(e),
            exp.AlterRename: lambda self, e: self._renamed(e),
            exp.Add: lambda self, e: self._later(e),
            exp.Trim: lambda self, e: f"TRIM(BOTH {self.sql(e, 'expression')} FROM {self.sql(e, 'this')})",
        }

        def _create(self, expression: exp.Create) -> str:
            """sqlglot would make a view of a temporary table."""
            temporary = expression.find(exp.TemporaryProperty)
            kind = "OR REPLACE TEMPORARY TABLE" if temporary else "TABLE"
            there = " IF NOT EXISTS" if expression.args.get("exists") else ""
            names, rows = "" if temporary else f" {NAMES}", expression.expression
            made = f"CREATE {kind}{there} {self.sql(expression, 'this')}{names}"
            return f"{made} AS {self.sql(rows)}" if rows else made

        def _dropped(self, expression: exp.Drop) -> str:
            """Without the word it would be a table of the users' schema."""
            [table] = expression.args["tables"]
            return self.drop_sql(expression) if table.db else f"DROP TEMPORARY TABLE {self.sql(table)}"

        def window_sql(self, expression: exp.Window) -> str:
            """A number of rows asks for an order."""
            if not expression.args.get("order"):
                expression.set("order", exp.Order(expressions=[exp.null()]))
            return super().window_sql(expression)

        def anonymous_sql(self, expression: exp.Anonymous) -> str:
            """It has JSON of a struct alone: `{"k":"…"}`, without what is around the text."""
            if expression.name.lower() != "to_json":
                return super().anonymous_sql(expression)
            [text] = (self.sql(each) for each in expression.expressions)
            json = f"TO_JSON(NAMED_STRUCT('k', {text}))"
            return f"CASE WHEN {text} IS NOT NULL THEN SUBSTRING({json}, 6, LENGTH({json}) - 6) END"

        def _later(self, expression: exp.Add) -> str:
            """So many hours after a moment: an interval is made of a number, and not multiplied."""
            hours = expression.expression
            if not isinstance(hours, exp.Mul) or not isinstance(hours.expression, exp.Interval):
                return self.binary(expression, "+")
            return f"{self.sql(expression, 'this')} + MAKE_DT_INTERVAL(0, {self.sql(hours, 'this')})"

        def _renamed(self, expression: exp.AlterRename) -> str:
            """Without its schema the table would go to another."""
            old: Any = expression.parent
            return f"RENAME TO {self.sql(exp.table_(expression.this.name, old.this.db, quoted=True))}"


@lru_cache(maxsize=256)
def stepped(statement: str) -> Sequence[str]:
    """A statement of ours in steps, as Databricks says them."""
    tree = parse_one(statement, dialect=Ours)
    steps = [each for tree in unfolded(tree, _temporary, mere) for each in _parted(tree)]
    return [each.sql(dialect=Databricks, identify=True) for each in steps]


def plain(name: str) -> str:
    """What a temporary table of ours is called: no letter of it is any but a name's own."""
    return name.replace("<", "audiences_").replace(">", "").replace(" ", "_")


def _parted(tree: Any) -> Iterator[Any]:
    """With plain names for what is temporary. A table that is asked to hold names has its columns told after that."""
    for table in tree.find_all(exp.Table):
        if not table.db:
            table.set("this", exp.to_identifier(plain(table.name), quoted=True))
    yield tree


def _temporary(part: exp.CTE) -> Iterator[exp.Expr]:
    kind = exp.Properties(expressions=[exp.TemporaryProperty()])
    yield exp.Create(this=step(part), kind="TABLE", properties=kind, expression=part.this)
