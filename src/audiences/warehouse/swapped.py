"""Our tables where an engine has no transactions: what changes one makes it anew, beside, and one row swaps it in.

The row of a control table that counts names the tables that are meant, so that all of a transaction is swapped in by
the one row that is added at its end, or nothing. A table that no row names is nobody's, and is dropped.

The history is not made anew for rows that come or grow too old: each run would copy it, and none reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp, parse_one

from audiences.errors import WarehouseError
from audiences.warehouse import Conflict, literal, remade
from audiences.warehouse.dialects import Ours
from audiences.warehouse.logged import NEWEST, Logged, Place, logged

KINDS = ("ledger", "refused", "pending", "unknown", "replace", "history")
KEPT = 50  # runs whose rows a log keeps: to delete them costs more than to read them
NAMED = re.compile(f'"(?:control|{"|".join(KINDS)})_')
MADE = re.compile(rf"(v(\d+)_\d+_\d+)_((?:{'|'.join(KINDS)})_.+)")


@dataclass
class Swapped(Logged):
    """An open warehouse whose engine has no transactions.

    ours:   table -> how the name begins of what is meant by it in this transaction, if there is one
    spent:  tables that nobody means any more, though someone may still read them
    """

    ours: dict[str, str] | None = field(default=None, init=False)
    spent: list[str] = field(default_factory=list, init=False)

    def rows(self, sql: str, **values: object) -> Sequence[Any]:
        return self._did(_bound(sql, values))[1]

    def change(self, sql: str, **values: object) -> int:
        """Run a statement of ours; of one that changes a control row, whether it has."""
        return self._did(_bound(sql, values))[0]

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        return self._did(parse_one(sql, dialect=Ours))[1] if NAMED.search(sql) else super().run(sql)

    def columns(self, table: str) -> dict[str, str]:
        return self.catalogue.columns(table, lambda: self._columns(self._meant(table)))

    @contextmanager
    def transaction(self, snapshot: bool = False) -> Iterator[None]:
        """All or nothing, of one sync. Raises Conflict where another worker got there first."""
        self.ours = {}
        try:
            yield
            self._commit(self.ours)
        except BaseException as error:
            self._drop(f"{begins}_{name}" for name, begins in self.ours.items())
            # Whoever took over drops what no row names, also under the hands of the run before.
            if isinstance(error, WarehouseError) and self.turn and self._looked(self.turn[0]) != self.turn[1]:
                raise Conflict from None
            raise
        finally:
            self.ours = self.turn = None

    def _commit(self, ours: Mapping[str, str]) -> None:
        if not ours:
            return
        [sync] = {_sync(name) for name in ours}
        place = self._place(sync)
        if self.held.get(sync, place.epoch) != place.epoch:
            raise Conflict
        named = {**place.tables, **{_kind(name): begins for name, begins in ours.items()}}
        before = [self._meant(name, place) for name in ours]
        self.ours = {}  # whoever takes over may follow this row, also where it is told not to count: they stay
        if not self._added(sync, place, {"tables": literal(json.dumps(named))}):
            raise Conflict
        self._drop(self.spent)
        self.spent = before

    def _did(self, tree: exp.Expr) -> tuple[int, list[tuple[Any, ...]]]:
        """Do what a statement of ours says; whether it changed a control row, and its rows."""
        asks, target = isinstance(tree, exp.Query), _target(tree)
        name = target.name if target is not None and target.db == self.schema else ""
        if isinstance(tree, exp.Update) and _kind(name) == "control":
            does = self._moved if self.ours is None else self._holds
            return int(does(tree, _sync(name))), []
        if not asks and _kind(name) in KINDS and self._remade(tree, name):
            return 0, []
        if _kind(name) == "control" and self.ours is None:  # whoever looks wants to know what counts now
            self.places.pop(_sync(name), None)
        return 0, super().run(self._resolved(logged(tree, name), None if asks else target).sql(dialect=Ours))

    def _remade(self, tree: exp.Expr, name: str) -> bool:
        """Make a table anew, where a statement changes its rows."""
        if isinstance(tree, exp.Update) or (isinstance(tree, exp.Delete) and _kind(name) != "history"):
            self._made(name, remade.after(tree, self.columns(name)))
        elif isinstance(tree, exp.Alter) and isinstance(tree.actions[0], exp.AlterColumn):
            self._made(name, remade.fitted(tree, self.columns(name)))
        elif isinstance(tree, exp.Insert) and _kind(name) != "history":
            self._made(name, f"select * from {self.table(name)}", tree)
        else:
            return False
        return True

    def _made(self, name: str, rows: str, more: exp.Expr | None = None) -> None:
        """Let a table be these rows, and more. What is this transaction's own already is not copied."""
        if self.ours is None:
            with self.transaction():
                self._made(name, rows, more)
            return
        place, before = self._place(_sync(name)), self.ours.get(name)
        if more is None or before is None:
            number = int(before.rpartition("_")[2]) + 1 if before else 0
            begins = f"v{place.epoch}_{place.step + 1}_{number}"
            made, select = self.table(f"{begins}_{name}"), self._resolved(parse_one(rows, dialect=Ours))
            super().run(f"drop table if exists {made}")
            super().run(f"create table {made} as {select.sql(dialect=Ours)}")
            self.ours[name] = begins
            self._drop([f"{before}_{name}"] if before else [])
        if more is not None:
            super().run(self._resolved(more).sql(dialect=Ours))

    def _resolved(self, tree: exp.Expr, target: exp.Table | None = None) -> exp.Expr:
        """The same statement, of the tables that are meant; target: the one that it is about as a whole."""
        for table in [each for each in tree.find_all(exp.Table) if each.db == self.schema]:
            if _kind(table.name) in KINDS:
                if table is target and isinstance(tree, exp.Alter) and isinstance(tree.actions[0], exp.AlterRename):
                    _also(tree.actions[0], self._meant(table.name).removesuffix(table.name))
                table.set("this", exp.to_identifier(self._meant(table.name), quoted=True))
            elif _kind(table.name) == "control" and table is not target:
                newest = exp.select("*").from_(self.table(table.name), dialect=Ours).order_by(*NEWEST).limit(1)
                table.replace(newest.subquery(table.alias_or_name))
        return tree

    def _meant(self, name: str, place: Place | None = None) -> str:
        """The table that is meant by one of our names; place: past this transaction, by this row."""
        if _kind(name) not in KINDS:
            return name
        ours = None if place else (self.ours or {}).get(name)
        begins = ours or (place or self._place(_sync(name))).tables.get(_kind(name))
        return f"{begins}_{name}" if begins else name

    def _taken(self, sync: str, before: Place, told: Mapping[str, str], where: str) -> bool:
        if taken := super()._taken(sync, before, told, where):
            self._sweep(sync)
        return taken

    def _sweep(self, sync: str) -> None:
        """Drop what no row names, and what stood there before the first was named; and rows of long ago."""
        named = self._place(sync).tables
        found = [(name, MADE.fullmatch(name)) for name in self.tables("v")]
        old = [name for name, made in found if made and _sync(made[3]) == sync and named.get(_kind(made[3])) != made[1]]
        self._drop([*old, *(f"{kind}_{sync}" for kind in named)])
        if (epoch := self._place(sync).epoch) % KEPT == 0:
            with suppress(WarehouseError):  # some run does
                super().run(f"delete from {self._control(sync)} where epoch < {epoch}")

    def _drop(self, names: Any) -> None:
        for name in names:
            with suppress(WarehouseError):  # the next run drops it
                super().run(f"drop table if exists {self.table(name)}")


def _kind(name: str) -> str:
    return name.partition("_")[0]


def _sync(name: str) -> str:
    return name.partition("_")[2]


def _target(tree: exp.Expr) -> exp.Table | None:
    """The table that a statement is about: that which it changes, or asks first."""
    if not isinstance(tree, exp.Query):
        return tree.find(exp.Table)
    asked = tree.args.get("from_")
    return asked.this if asked and isinstance(asked.this, exp.Table) else None


def _bound(sql: str, values: Mapping[str, object]) -> exp.Expr:
    """A statement with its values written in."""
    tree = parse_one(sql, dialect=Ours)
    for place in [*tree.find_all(exp.Placeholder)]:
        place.replace(exp.convert(values[place.name]))
    return tree


def _also(rename: exp.Expr, begins: str) -> None:
    """Let a table that gets another name begin as it did."""
    rename.set("this", exp.table_(begins + rename.this.name, quoted=True))
