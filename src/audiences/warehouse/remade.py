"""What a table's rows are after an UPDATE or a DELETE, as a SELECT: for engines that change no rows, or not at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from audiences.warehouse.dialects import Ours
from audiences.warehouse.words import quoted


def after(change: exp.Update | exp.Delete, types: Mapping[str, str]) -> str:
    """All rows of the table that a statement of ours changes, as they are after it.

    types: column of the table -> its type

    A row that several rows of its FROM meet is changed once, unless it takes a value of theirs: then one meets it.
    """
    table, other, where = change.this, _other(change), _condition(change)
    rows = _said(exp.alias_(table, table.alias_or_name, quoted=True, table=True))
    met = f"exists (select 1 from {other} where {where})" if other else f"({where}) is true"
    others = f"select {_of(table)}.* from {rows} where not ({met})"
    if isinstance(change, exp.Delete):
        return others
    told = {each.this.name: each.expression for each in change.expressions}
    values = ", ".join(
        f"cast({_said(told[name])} as {kind}) as {quoted(name)}" if name in told else f"{_of(table)}.{quoted(name)}"
        for name, kind in types.items()
    )
    changed = f"{rows} join {other} on {where}" if _takes(change, told) else f"{rows} where {met}"
    return f"select {values} from {changed} union all {others}"


def fitted(change: exp.Alter, types: Mapping[str, str]) -> str:
    """All rows of a table of which a column becomes another type, each value as the statement casts it."""
    column: Any = change.actions[0]
    name = column.this.name
    values = (f"{_said(column.args['using'])} as {quoted(each)}" if each == name else quoted(each) for each in types)
    return f"select {', '.join(values)} from {_said(change.this)}"


def _said(tree: exp.Expr) -> str:
    return tree.sql(dialect=Ours)


def _of(table: exp.Table) -> str:
    return quoted(table.alias_or_name)


def _condition(change: exp.Expr) -> str:
    return _said(change.args["where"].this) if change.args.get("where") else "true"


def _other(change: exp.Expr) -> str:
    """What stands in USING, or in FROM."""
    found = [*(change.args.get("using") or ()), *([change.args["from_"].this] if change.args.get("from_") else ())]
    return ", ".join(map(_said, found))


def _takes(change: exp.Update | exp.Delete, told: Mapping[str, exp.Expr]) -> bool:
    """Whether a value comes from the FROM."""
    if not change.args.get("from_"):
        return False
    beside = change.args["from_"].this.alias
    return any(column.table == beside for value in told.values() for column in value.find_all(exp.Column))
