"""Our own statements in the SQL of another engine.

They are written once, in what DuckDB and PostgreSQL have in common, and sqlglot writes them anew. No audience's text
comes through here: where statements are translated, its rows are written down first, in the engine's own words.
"""

from __future__ import annotations

from functools import lru_cache

from sqlglot import exp, parse_one
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.duckdb import DuckDB


class Ours(DuckDB):
    """What our statements are written in. Where a NULL stands in an order is of no account to them."""

    NULL_ORDERING = "nulls_are_small"


@lru_cache(maxsize=256)
def translated(statement: str, dialect: type[Dialect]) -> str:
    """A statement of ours as an engine says it; `dialect` holds what sqlglot does not know of it."""
    return parse_one(statement, dialect=Ours).sql(dialect=dialect)


def doomed(delete: exp.Delete, columns: str) -> exp.Select:
    """What `delete from t l using rows o where …` deletes; columns: of the table, as SQL. The rows come first: few."""
    table, using = delete.this, delete.args.get("using") or []
    found = exp.select(columns, dialect=Ours).from_((*using, table)[0]).where(delete.args["where"].this)
    for each in (*using, table)[1:]:
        found = found.join(each, join_type="cross")
    return found
