"""What MySQL says otherwise than MariaDB, as far as our own statements need it.

It cannot read a temporary table twice in one statement, so each further mention is of a copy. A part of a WITH is a
temporary table here, too, for a FULL JOIN is said in two halves, each of which would have its own.

https://dev.mysql.com/doc/refman/8.4/en/temporary-table-problems.html,
…/en/charset-unicode-sets.html (utf8mb4_0900_bin: by code points, blanks at the end included; read 2026-11)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlglot import exp, parse_one

from audiences.warehouse.dialects import OURS, Ours, mere, step, unfolded
from audiences.warehouse.dialects.mariadb import MariaDB, halved

COLLATED = "COLLATE utf8mb4_0900_bin"


class MySQL(MariaDB):
    """MySQL, of which only what it says otherwise than MariaDB is told here."""

    class Generator(MariaDB.Generator):
        collated = COLLATED


@lru_cache(maxsize=256)
def stepped(statement: str) -> Sequence[str]:
    """A statement of ours in steps."""
    steps = unfolded(parse_one(statement, dialect=Ours), _temporary, mere)
    return [each.sql(dialect=MySQL, identify=True) for tree in steps for each in (*_copies(_whole(tree)), tree)]


def _temporary(part: exp.CTE) -> Iterator[exp.Expr]:
    yield from _made(step(part), part.this)


def _made(table: exp.Table, rows: exp.Expr) -> Iterator[exp.Expr]:
    """A temporary table, in place of one. Without the word another one might be dropped."""
    kind = exp.Properties(expressions=[exp.TemporaryProperty()])
    yield exp.Drop(tables=[table.copy()], kind="TABLE", exists=True, temporary=True)
    yield exp.Create(this=table, kind="TABLE", properties=kind, expression=rows)


def _whole(tree: Any) -> Any:
    """With both halves of a FULL JOIN, so that each mention of a table is one; and what is dropped by its kind."""
    for select in [each for each in tree.find_all(exp.Select) if each.args.get("joins")]:
        select.replace(halved(select.copy()))
    if isinstance(tree, exp.Drop) and tree.args["tables"][0].name.startswith(OURS):
        tree.set("temporary", True)
    return tree


def _copies(tree: exp.Expr) -> Iterator[exp.Expr]:
    """A copy of a temporary table for each mention after the first."""
    mentions = Counter[str]()
    made = tree.this if isinstance(tree, exp.Create | exp.Drop | exp.Insert) else None
    for table in [each for each in tree.find_all(exp.Table) if each is not made]:
        name = table.name
        if table.db or not name.startswith(OURS):
            continue
        mentions[name] += 1
        if mentions[name] > 1:
            copy = exp.table_(f"{name} {mentions[name]}", quoted=True)
            yield from _made(copy, exp.select("*").from_(exp.table_(name, quoted=True)))
            alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name, quoted=True))
            table.set("this", copy.this.copy())
            table.set("alias", alias)
