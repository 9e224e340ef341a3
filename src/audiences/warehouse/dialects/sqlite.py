"""What sqlglot does not know of SQLite, as far as our own statements need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlglot import exp
from sqlglot.dialects import sqlite
from sqlglot.generators.sqlite import SQLiteGenerator

from audiences.warehouse.dialects import doomed

MOMENT = "MOMENT TEXT"  # a column's type: text to SQLite, which the driver reads as a moment


class SQLite(sqlite.SQLite):
    """SQLite, with the functions that a connection is given."""

    class Generator(SQLiteGenerator):
        TYPE_MAPPING = {  # noqa: RUF012 (as its base has it)
            **SQLiteGenerator.TYPE_MAPPING,
            exp.DType.TIMESTAMPNTZ: MOMENT,
        }
        TRANSFORMS = {  # noqa: RUF012
            **SQLiteGenerator.TRANSFORMS,
            exp.Lower: lambda self, e: self.func("audiences_lower", e.this),  # its own knows ASCII alone
            exp.Delete: lambda self, e: self._delete(e),
            exp.Values: lambda self, e: self._values(e),
        }

        def cast_sql(self, expression: exp.Cast, safe_prefix: str | None = None) -> str:
            """A moment is its text."""
            if expression.is_type(exp.DType.TIMESTAMPNTZ):
                return self.sql(expression, "this")
            return super().cast_sql(expression, safe_prefix)

        def _delete(self, expression: exp.Delete) -> str:
            """It has no USING."""
            if not expression.args.get("using"):
                return self.delete_sql(expression)
            rows = doomed(expression, f"{expression.this.alias}.rowid")
            table = expression.this.copy()
            table.set("alias", None)
            return f"DELETE FROM {self.sql(table)} WHERE rowid IN ({self.sql(rows)})"

        def _values(self, expression: exp.Values) -> str:
            """It names the columns itself, and takes no other names for them."""
            if not expression.alias_column_names:
                return self.values_sql(expression)
            rows, alias = ", ".join(self.sql(row) for row in expression.expressions), expression.alias
            names = ", ".join(f"column{n} AS {name}" for n, name in enumerate(expression.alias_column_names, 1))
            return f"(SELECT {names} FROM (VALUES {rows})) AS {alias}"


def _later(moment: str, hours: int) -> str:
    return f"{datetime.fromisoformat(moment) + timedelta(hours=hours):%Y-%m-%d %H:%M:%S.%f}"


def _part(text: str | None, between: str, number: int) -> str | None:
    if text is None:
        return None
    return text.split(between)[number - 1] if number <= text.count(between) + 1 else ""


def _translate(text: str | None, characters: str, others: str) -> str | None:
    table = {ord(each): (others[n] if n < len(others) else None) for n, each in enumerate(characters)}
    return None if text is None else text.translate(table)


# What our statements call and SQLite has not -> how many values it takes, and what it gives; of NULL it gives NULL.
FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "audiences_lower": (1, lambda text: None if text is None else text.lower()),
    "later": (2, _later),
    "split_part": (3, _part),
    "translate": (3, _translate),
}
