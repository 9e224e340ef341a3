"""What sqlglot does not know of Trino, as far as our own statements need it.

There are no temporary tables, and a part of a WITH is evaluated wherever it is mentioned: what is temporary is a table
of our schema, whose name begins with the session's own prefix. A test of existence is a join, for Trino takes few of
those that look at the row outside. It tells no names apart by their case, and Delta Lake takes no blank in one, so that
a column of ours has a name of small letters, digits and underscores. Delta Lake renames few tables: they are copied.
IS NOT DISTINCT FROM is not said, for where it joins Trino has lost rows.

https://trino.io/docs/current/sql/select.html#with-clause, …/language/reserved.html#identifiers, …/language/types.html,
…/connector/delta-lake.html#alter-table-rename-to, https://github.com/trinodb/trino/issues/11297, …/issues/25943,
…/issues/26257 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.dialects import trino
from sqlglot.generators.trino import TrinoGenerator

from audiences.warehouse.dialects import OURS, Ours, escapes, mere, step, unfolded
from audiences.warehouse.dialects.joins import joined, named
from audiences.warehouse.dialects.letters import lettered


class Trino(trino.Trino):
    """Trino, of which only what sqlglot says otherwise is told here."""

    class Generator(TrinoGenerator):
        TYPE_MAPPING = {  # noqa: RUF012 (as its base has it)
            **TrinoGenerator.TYPE_MAPPING,
            exp.DType.TIMESTAMPNTZ: "TIMESTAMP(6)",  # without a number it would be 3
        }
        TRANSFORMS = {  # noqa: RUF012
            **TrinoGenerator.TRANSFORMS,
            exp.Anonymous: lambda self, e: self._named(e),
            exp.DPipe: lambda self, e: self.binary(e, "||"),
            exp.Is: lambda self, e: self._is(e),
            exp.NullSafeEQ: lambda self, e: self._same(e),
            exp.NullSafeNEQ: lambda self, e: f"NOT {self._same(e)}",
        }

        def _is(self, expression: exp.Is) -> str:
            """What is not known is not true. sqlglot would leave `is true` out, and so make NULL of a `not`."""
            wanted = expression.expression
            if not isinstance(wanted, exp.Boolean):
                return self.binary(expression, "IS")
            told = self.sql(expression, "this")
            return f"COALESCE({told if wanted.this else f'NOT ({told})'}, FALSE)"

        def _same(self, expression: exp.Binary) -> str:
            """Of two values one may be NULL, or both."""
            one, other = self.sql(expression, "this"), self.sql(expression, "expression")
            return f"COALESCE({one} = {other}, {one} IS NULL AND {other} IS NULL)"

        def _named(self, expression: exp.Anonymous) -> str:
            """JSON of a text, with the escapes that JSON asks for and no others: no function promises that."""
            if expression.name != "to_json":
                return self.anonymous_sql(expression)
            said = self.sql(expression.expressions[0])
            for number, letter in escapes(first=0):
                written = f"'{letter}'" if letter else f"CHR({number})"
                said = f"REPLACE({said}, CHR({number}), CHR(92) || {written})"
            return f"'\"' || {said} || '\"'"


@lru_cache(maxsize=256)
def stepped(statement: str, schema: str, prefix: str) -> Sequence[str]:
    """A statement of ours in steps, as Trino says them. schema, prefix: of the tables that are temporary"""
    steps = [each for tree in unfolded(parse_one(statement, dialect=Ours), _temporary, mere) for each in _moved(tree)]
    for tree in steps:
        joined(named(tree))
        for table in tree.find_all(exp.Table):
            if not table.db and table.name.startswith(OURS):
                _placed(table, schema, prefix)
    return [lettered(tree).sql(dialect=Trino, identify=True) for tree in steps]


def temporary(table: str, schema: str, prefix: str) -> str:
    """What is temporary, as a table of ours; table: with quotes"""
    return _placed(exp.to_table(table, dialect=Ours), schema, prefix).sql(dialect=Trino, identify=True)


def _temporary(part: exp.CTE) -> Iterator[exp.Expr]:
    yield exp.Drop(tables=[step(part)], kind="TABLE", exists=True)
    yield exp.Create(this=step(part), kind="TABLE", expression=part.this)


def _placed(table: exp.Table, schema: str, prefix: str) -> exp.Table:
    plain = table.name.replace("<", "step_").replace(">", "").replace(" ", "_")
    table.set("this", exp.to_identifier(f"{prefix}{plain}", quoted=True))
    table.set("db", exp.to_identifier(schema, quoted=True))
    return table


def _moved(tree: Any) -> Iterator[Any]:
    """With a table that gets another name as a copy. Where that broke off, it is done again: the old one is there."""
    if not isinstance(tree, exp.Alter) or not isinstance(tree.actions[0], exp.AlterRename):
        yield tree
        return
    old = tree.this
    new = exp.table_(tree.actions[0].this.name, old.db, quoted=True)
    yield exp.Drop(tables=[new], kind="TABLE", exists=True)
    yield exp.Create(this=new.copy(), kind="TABLE", expression=exp.select("*").from_(old.copy()))
    yield exp.Drop(tables=[old.copy()], kind="TABLE")
