"""Control tables as logs, where an engine cannot change a row and say whether it has.

Of the rows of one the row with the greatest (epoch, step) counts. A row is added, never changed, and whoever has added
one reads which counts now. So of two workers each adds its row first and reads then, and the one with the lesser epoch
finds the other's: it changes nothing from there on. Who takes a sync over follows the last row of the run before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import CursorResult
from sqlglot import exp

from audiences.warehouse import Conflict, Warehouse, literal
from audiences.warehouse.dialects import Ours

ROW = ("sync", "epoch", "holder", "outbox", "mark", "list_name", "list_id", "key_columns", "rule")
NEWEST = ("epoch desc", "step desc")
FIRST = f"order by {', '.join(NEWEST)} limit 1"
TAKES = 20  # rows that a takeover adds at the most, while the run before it still adds its own


@dataclass(frozen=True, slots=True)
class Place:
    """The row of a control table that counts. tables: kind -> how the name of the table that is meant begins"""

    epoch: int
    step: int
    tables: Mapping[str, str]

    def before(self, other: Place) -> bool:
        return (self.epoch, self.step) < (other.epoch, other.step)


@dataclass
class Logged(Warehouse):
    """An open warehouse whose control tables are logs.

    places: of each sync that was spoken of; held: the epochs of those that were taken over here
    turn:   the sync whose transaction is open, and its place then
    """

    places: dict[str, Place] = field(default_factory=dict, init=False)
    held: dict[str, int] = field(default_factory=dict, init=False)
    turn: tuple[str, Place] | None = field(default=None, init=False)

    def _bound(self, sql: str, **values: object) -> CursorResult[Any]:
        """Written into the statement: each driver takes parameters in its own way."""
        for name, value in values.items():
            sql = sql.replace(f":{name}", literal(str(value)))
        with self._in_words():
            return self.connection.execution_options(no_parameters=True).exec_driver_sql(sql)

    def _place(self, sync: str) -> Place:
        return self.places.get(sync) or self._looked(sync)

    def _looked(self, sync: str) -> Place:
        """Look at the row that counts now."""
        found = self._newest(sync) if self._columns(f"control_{sync}") else None
        if found:
            self.places[sync] = found
        return found or Place(0, -1, {})

    def _newest(self, sync: str, where: str = "true") -> Place | None:
        rows = super().run(f"select epoch, step, tables from {self._control(sync)} where {where} {FIRST}")
        return next((Place(epoch, step, json.loads(tables)) for epoch, step, tables in rows), None)

    def _control(self, sync: str) -> str:
        return self.table(f"control_{sync}")

    def _holds(self, change: exp.Update, sync: str) -> bool:
        """Whether a change would find the row that counts, as a transaction asks first."""
        self.turn = sync, self._looked(sync)
        counts = f"(select * from {self._control(sync)} {FIRST}) c"
        return bool(super().run(f"select 1 from {counts} where {_condition(change)}"))

    def _moved(self, change: exp.Update, sync: str) -> bool:
        """Whether a change of the row that counts has become the row that counts."""
        told = {each.this.name: each.expression.sql(dialect=Ours) for each in change.expressions}
        does = self._added if told.get("epoch", "epoch") == "epoch" else self._taken
        return does(sync, self._looked(sync), told, _condition(change))

    def _taken(self, sync: str, before: Place, told: Mapping[str, str], where: str) -> bool:
        """Whether a run has taken a sync over. What the one before has added meanwhile counts: it is followed until
        nothing has come between.
        """
        step = before.step + 1
        for _ in range(TAKES):
            if not self._added(sync, before, told, where, step):
                return False
            last = self._newest(sync, f"epoch < {told['epoch']}")
            if last is None or not before.before(last):
                self.held[sync] = int(told["epoch"])
                return True
            before, where, step = last, "true", step + 1
        raise Conflict

    def _added(
        self, sync: str, before: Place, told: Mapping[str, str], where: str = "true", step: int | None = None
    ) -> bool:
        """Add a row like one that is there, but for what is told; whether it counts now."""
        step = before.step + 1 if step is None else step
        row = {**{column: column for column in ROW}, "tables": "tables", **told, "step": str(step)}
        here = f"epoch = {before.epoch} and step = {before.step}"
        super().run(
            f"insert into {self._control(sync)} ({', '.join(row)}) select {', '.join(row.values())}"
            f" from (select * from {self._control(sync)} where {here} limit 1) c where {where}"
        )
        now, epoch = self._looked(sync), told.get("epoch", "epoch")
        return (now.epoch, now.step) == (before.epoch if epoch == "epoch" else int(epoch), step)

    def _columns(self, table: str) -> dict[str, str]:
        with self._in_words():
            return self.words.columns(self.connection, table)


def _condition(change: exp.Update) -> str:
    where = change.args.get("where")
    return where.this.sql(dialect=Ours) if where else "true"


def logged(tree: exp.Expr, name: str) -> exp.Expr:
    """A statement; where it makes a control table, or its first row, with what a log needs. name: of its table"""
    if not name.startswith("control_"):
        return tree
    if isinstance(tree, exp.Create):
        for name, kind in (("step", "bigint"), ("tables", "varchar")):
            tree.this.append("expressions", exp.ColumnDef(this=exp.to_identifier(name), kind=exp.DataType.build(kind)))
    elif isinstance(tree, exp.Insert):
        tree.this.expressions.extend(map(exp.to_identifier, ("step", "tables")))
        tree.expression.select("0", "'{}'", copy=False)
    return tree
