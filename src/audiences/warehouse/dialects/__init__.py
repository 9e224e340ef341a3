"""Our own statements in the SQL of another engine.

They are written once, in what DuckDB and PostgreSQL have in common, and sqlglot writes them anew. No audience's text
comes through here: where statements are translated, its rows are written down first, in the engine's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from sqlglot import exp, parse_one
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.duckdb import DuckDB

OURS = "<", "staged_"  # how the name of a table of the session begins in our statements
LETTERS = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r"}  # that JSON has for characters


class Ours(DuckDB):
    """What our statements are written in. Where a NULL stands in an order is of no account to them; a function that
    one engine alone has is called as it was written.
    """

    NULL_ORDERING = "nulls_are_small"
    NORMALIZE_FUNCTIONS = False


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


def unfolded(
    tree: exp.Expr, temporary: Callable[[exp.CTE], Iterable[exp.Expr]], folded: Callable[[exp.CTE], bool]
) -> list[exp.Expr]:
    """A statement in steps: each part of a WITH as a temporary table, and what is left. For engines that evaluate a
    part anew wherever it is mentioned: of those that build on each other a hundred times.

    temporary: makes a part's table, called as `step` says; folded: whether a part is read where it is mentioned
    """
    steps = list[exp.Expr]()
    for found in reversed([*tree.find_all(exp.With)]):  # the inner ones first
        parts = found.pop().expressions
        for n, part in enumerate(parts):
            other = part.this if folded(part) else None
            for table in [t for each in (*parts[n + 1 :], tree) for t in each.find_all(exp.Table)]:
                if table.name == part.alias and not table.db:
                    table.replace(other.subquery(table.alias_or_name) if other else step(part, table.alias_or_name))
            steps += () if other else temporary(part)
    return [*steps, tree]


def step(part: exp.CTE, alias: str | None = None) -> exp.Table:
    """The temporary table of a part. No table of the users' has such a name."""
    return exp.table_(f"<{part.alias}>", quoted=True, alias=alias)


def escapes(first: int = 1) -> Iterator[tuple[int, str]]:
    """Characters that JSON escapes and what it writes behind a backslash, empty for the character itself; `first`: of
    those that are no signs. In this order each may be replaced.
    """
    yield from ((92, ""), (34, ""))
    yield from ((number, LETTERS.get(chr(number), f"u{number:04x}")) for number in range(first, 32))


def mere(part: exp.CTE) -> bool:
    """Whether a part but reads rows of one table, so that to write them down would be work for nothing."""
    dear = (exp.Join, exp.Group, exp.Window, exp.AggFunc, exp.Distinct)
    return isinstance(part.this, exp.Select) and part.this.find(*dear) is None
