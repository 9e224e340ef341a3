"""What sqlglot does not know of ClickHouse, as far as our own statements need it.

A statement brings the settings under which ClickHouse means by it what other engines do: NULL for what a join does not
find and for the greatest of nothing, a column before another name for it; and where there are replicas it has them wait
until they hold whatever was written before.

https://clickhouse.com/docs/operations/settings/settings (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.dialects import clickhouse
from sqlglot.generators.clickhouse import ClickHouseGenerator

from audiences.warehouse.dialects import Ours, mere, step, unfolded

MEANING = (
    "aggregate_functions_null_for_empty = 1, join_use_nulls = 1,"
    " output_format_json_escape_forward_slashes = 0, prefer_column_name_to_alias = 1, select_sequential_consistency = 1"
)

# Of a moment without a zone: ours are in UTC, and told apart from those of the users' by this name for it.
NAIVE = "DateTime64(6, 'Etc/UTC')"


class ClickHouse(clickhouse.ClickHouse):
    """ClickHouse, of which only what sqlglot says otherwise is told here."""

    class Generator(ClickHouseGenerator):
        TYPE_MAPPING = {  # noqa: RUF012 (as its base has it)
            **ClickHouseGenerator.TYPE_MAPPING,
            exp.DType.DATE: "Date32",
            exp.DType.TIMESTAMPNTZ: NAIVE,
            exp.DType.TIMESTAMPTZ: "DateTime64(6, 'UTC')",
        }
        TRANSFORMS = {  # noqa: RUF012
            **ClickHouseGenerator.TRANSFORMS,
            exp.Is: lambda self, e: self._is(e),
            exp.Lower: lambda self, e: self.func("lowerUTF8", e.this),
            exp.SplitPart: lambda self, e: self._split(e),
            exp.StrPosition: lambda self, e: self.func("positionUTF8", e.this, e.args["substr"]),
            exp.Substring: lambda self, e: self.func("substringUTF8", e.this, e.args["start"], e.args.get("length")),
            exp.Translate: lambda self, e: self._without(e.this, "{}", e.args["from_"].name),
            exp.Trim: lambda self, e: self._without(e.this, r"\A{0}+|{0}+\z", e.expression.name),
            exp.TryCast: lambda self, e: self._tried(e),
            exp.Update: lambda self, e: self._update(e),
        }

        def create_sql(self, expression: exp.Create) -> str:
            """A table says how it is kept: an outbox is read by its places, all else as a whole."""
            written, rows = super().create_sql(expression), expression.expression
            if expression.kind != "TABLE":
                return written
            order = "seq" if rows and expression.this.name.startswith("outbox_") else "tuple()"
            kept = f"ENGINE = MergeTree ORDER BY {order}"
            return written.replace(" AS ", f" {kept} AS ", 1) if rows else f"{written} {kept}"

        def _is(self, expression: exp.Is) -> str:
            """What is not known is not true."""
            if not isinstance(expression.expression, exp.Boolean):
                return self.binary(expression, "IS")
            truth = self.sql(expression, "this")
            return f"coalesce({truth}, false)" if expression.expression.this else f"not coalesce({truth}, true)"

        def _split(self, expression: exp.SplitPart) -> str:
            """Of NULL there are no parts."""
            text, place = self.sql(expression, "this"), self.sql(expression, "part_index")
            parts = self.func("splitByString", expression.args["delimiter"], f"assumeNotNull({text})")
            return f"if(({text}) IS NULL, NULL, {parts}[{place}])"

        def _without(self, text: exp.Expr, pattern: str, characters: str) -> str:
            """Its own functions go by bytes."""
            found = exp.Literal.string(pattern.format(f"[{re.escape(characters)}]"))
            return self.func("replaceRegexpAll", text, found, exp.Literal.string(""))

        def _tried(self, expression: exp.TryCast) -> str:
            kind = self.sql(expression.to).removeprefix("Nullable(")[:-1]
            return self.func("accurateCastOrNull", expression.this, exp.Literal.string(kind))

        def _update(self, expression: exp.Update) -> str:
            """A change of rows that the statement waits for."""
            sets, where = self.expressions(expression, flat=True), expression.args.get("where")
            which = self.sql(where.this) if where else "true"
            return f"ALTER TABLE {self.sql(expression, 'this')} UPDATE {sets} WHERE {which} SETTINGS mutations_sync = 1"


@lru_cache(maxsize=256)
def stepped(statement: str) -> Sequence[str]:
    """A statement of ours in steps, as ClickHouse says them."""
    return [_said(each) for each in unfolded(parse_one(statement, dialect=Ours), _temporary, mere)]


def _said(tree: Any) -> str:
    if isinstance(tree, exp.Alter) and isinstance(tree.actions[0], exp.AlterRename):
        new = exp.table_(tree.actions[0].this.name, tree.this.db, quoted=True)
        return f"RENAME TABLE {tree.this.sql(dialect=ClickHouse)} TO {new.sql(dialect=ClickHouse)}"
    said = tree.sql(dialect=ClickHouse)
    asks = isinstance(tree, exp.Query) or isinstance(tree.expression, exp.Query)
    return f"{said} SETTINGS {MEANING}" if asks else said


def _temporary(part: exp.CTE) -> Iterator[exp.Expr]:
    kind = exp.Properties(expressions=[exp.TemporaryProperty()])
    yield exp.Create(this=step(part), kind="TABLE", replace=True, properties=kind, expression=part.this)


def cast(value: str, kind: str) -> str:
    """A value in one of our types, as ClickHouse says it. value: in its own words"""
    return f"CAST({value} AS {exp.DataType.build(kind, dialect=Ours).sql(dialect=ClickHouse)})"
