"""The outbox of one run: the changes, in order, in a table of the warehouse; filled, counted, read by ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from typing import Any

from audiences.audience import Sync
from audiences.batch import Phase, Rows
from audiences.changes import VERB, Changes
from audiences.control import Fence
from audiences.member import Member
from audiences.plan import Plan
from audiences.ranges import Range
from audiences.terms import fields, sent
from audiences.warehouse import Warehouse
from audiences.whole import COUNTS

Row = tuple[Any, ...]
SAME: tuple[str, ...] = ("rows", "listed", "added", "updated", "removed", "refreshed", "repeated", "nameless")
SAME += ("waiting", "unknown", "pending", "unconsented")  # what a census and a plan call by one name
MEMBER: Callable[[Row], Member] = partial(tuple.__new__, Member)  # Member(*row), by no line of Python


def count(warehouse: Warehouse, changes: Changes, sync: Sync) -> Plan:
    """The plan alone; nothing is written. Repeated keys are looked for where the numbers say that there are some."""
    if changes.known.empty:
        [row] = warehouse.run(changes.first_census())
    else:
        [row] = [text.split(",") for (text,) in warehouse.run(f"select ident from ({changes.select()}) where seq = -1")]
    found = _counts(row)
    if not changes.repeated and _repeats(found):
        return count(warehouse, replace(changes, repeated=True), sync)
    return _plan(sync, changes, row)


def fill(fence: Fence, changes: Changes, sync: Sync) -> Plan:
    """Make this run's outbox, which nobody reads before it is published, and count it."""
    warehouse, name = fence.warehouse, table(fence, fence.epoch)
    warehouse.run(f"drop table if exists {name}")
    if not changes.known.empty:
        warehouse.run(f"create table {name} as {changes.select()}")
        [(text,)] = warehouse.run(f"select ident from {name} where seq = -1")
        row: Sequence[object] = text.split(",")
    else:
        with warehouse.transaction(snapshot=True):  # for the rows and their counts
            # Evaluated once where everyone can be sent, as is usual; else the same again without the others.
            warehouse.run(f"create table {name} as {changes.first(whole=True)}")
            [row] = warehouse.run(changes.first_census(name))
            if _counts(row)["added"] < _counts(row)["rows"]:
                warehouse.run(f"drop table {name}")
                warehouse.run(f"create table {name} as {changes.first()}")
    if not changes.repeated and _repeats(_counts(row)):
        return fill(fence, replace(changes, repeated=True), sync)
    warehouse.index(name, "seq")
    for statement in warehouse.words.weighed(name):
        warehouse.run(statement)
    return _plan(sync, changes, row)


def sample(warehouse: Warehouse, changes: Changes, most: int) -> dict[str, list[tuple[str, dict[str, object]]]]:
    """The first members of each kind of change: sign -> (key, fields that travel with it)."""
    names, now = changes.fields, changes.terms.send
    select = changes.first() if changes.known.empty else changes.select()
    kinds = {"+": "verb = 'upsert' and not had", "~": "verb = 'upsert' and had", "−": "verb in ('move', 'remove')"}
    columns = ", ".join(sent(name) for name in names)
    found = {}
    for sign, condition in kinds.items():
        rows = warehouse.run(f'select "key", {columns} from ({select}) where {condition} order by seq limit {most}')
        found[sign] = [
            (str(key), {name: v for name, v in zip(names, values, strict=True) if name in now or v is not None})
            for key, *values in rows
        ]
    return found


def outlive(fence: Fence, changes: Changes) -> None:
    """Forget who was refused with data that are gone: this run's outbox, just made, finds the member as acknowledged.

    Only refusals whose time has come are looked at: of the others some wait with just the data that were refused.
    """
    if changes.known.empty:
        return
    refused, ledger = (fence.warehouse.table(f"{kind}_{fence.table}") for kind in ("refused", "ledger"))
    held = f' and f."key" not in (select "key" from ({changes.frozen}) h)' if changes.frozen else ""
    fence.warehouse.run(
        f"delete from {refused} f where f.retry_at <= {changes.now} and {fence.holds(None)}"
        f' and exists (select 1 from {ledger} l where l."key" = f."key" and l.sure)'
        f' and not exists (select 1 from {table(fence, fence.epoch)} o where o."key" = f."key"){held}'
    )


def drop(fence: Fence, outbox: int) -> None:
    """Drop the table of one outbox."""
    fence.warehouse.run(f"drop table if exists {table(fence, outbox)}")


def sweep(fence: Fence) -> None:
    """Drop what earlier runs of this sync left behind. Called while no outbox is open."""
    prefix = f"outbox_{fence.table}_"
    for name in fence.warehouse.tables(prefix):
        number = name.removeprefix(prefix)
        if number.isdigit() and int(number) < fence.epoch:
            drop(fence, int(number))


def table(fence: Fence, outbox: int) -> str:
    """The table of one outbox, quoted."""
    return fence.warehouse.table(f"outbox_{fence.table}_{outbox}")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads an open outbox. Each range is a query of its own: no cursor and no transaction stays open."""

    fence: Fence
    outbox: int
    send: Sequence[str]

    def total(self) -> int:
        """How many rows there are; the census is none of them."""
        [(highest,)] = self.fence.warehouse.run(f"select max(seq) from {table(self.fence, self.outbox)}")
        return 0 if highest is None else int(highest) + 1

    def lists(self) -> list[str]:
        """The lists that the outbox changes: more than one while a sync moves to another."""
        found = self.fence.warehouse.run(f"select distinct list from {table(self.fence, self.outbox)} where seq >= 0")
        return sorted(name for (name,) in found)

    def columns(self) -> list[str]:
        """The outbox's sent columns, quoted."""
        return [sent(name) for name in self._fields()]

    def phases(self) -> list[Phase]:
        """What is delivered one after the other: releases, moves, upserts, those of the refused, removals, refreshes.

        A refresh is an upsert on its way.
        """
        found = self.fence.warehouse.run(
            f"select {VERB}, again, min(seq), max(seq), case when min(list) = max(list) then min(list) end"
            f" from {table(self.fence, self.outbox)} o where seq >= 0 group by verb, again order by min(seq)"
        )
        return [Phase(*row) for row in found]

    def rows(self, phase: Phase, lo: int, hi: int, failed: Sequence[Range] = ()) -> Rows:
        """The rows of a phase from lo to hi, both included.

        failed: moves that were not acknowledged; an upsert whose member leaves by one of them is held
        """
        names = list(self.send) if phase.verb == "upsert" else self._fields()
        found = self.fence.warehouse.run(
            f'select {", ".join(sent(name) for name in names)}, cast("key" as varchar), ident'
            f"{'' if phase.list_id else ', list'}{self._held(failed)}"
            f" from {table(self.fence, self.outbox)} o where seq >= {lo} and seq <= {hi} order by seq"
        )
        seqs: Sequence[int] = range(lo, hi + 1)  # dense, within a phase too
        held = [seq for seq, row in zip(seqs, found, strict=True) if failed and row[-1]]
        if held:
            seqs = sorted(set(seqs) - set(held))
            found = [row for row in found if not row[-1]]
        return self._rows(phase, names, seqs, found, held)

    def _rows(
        self, phase: Phase, names: Sequence[str], seqs: Sequence[int], found: Sequence[Row], held: Sequence[int]
    ) -> Rows:
        """A million rows pass here: by whole columns, so that no line of Python runs for each of them."""
        if not found:
            return Rows((), (), (), held)
        keys, idents, *more = list(zip(*found, strict=True))[len(names) :]
        fields: Iterable[dict[str, object]] = map(dict, map(zip, repeat(names), found))
        if phase.verb != "upsert":
            fields = map(self._before, fields)
        members = list(map(MEMBER, zip(keys, fields, seqs, strict=True)))
        return Rows(members, idents, (phase.list_id,) * len(found) if phase.list_id else more[0], held)

    def _before(self, fields: Mapping[str, object]) -> dict[str, object]:
        """A field that is no longer sent travels only with a removal, which may be known by it."""
        return {name: value for name, value in fields.items() if name in self.send or value is not None}

    def _fields(self) -> list[str]:
        return fields(self.fence.warehouse.columns(f"outbox_{self.fence.table}_{self.outbox}"))

    def _held(self, failed: Sequence[Range]) -> str:
        if not failed:
            return ""
        spans = " or ".join(f"m.seq between {lo} and {hi}" for lo, hi in failed)
        ledger = self.fence.warehouse.table(f"ledger_{self.fence.table}")
        return f""", exists (select 1 from {ledger} l join {table(self.fence, self.outbox)} m
          on m.ident = l.ident and m.list = l.list and m.verb = 'move'
          where l."key" = o."key" and (l.ident <> o.ident or l.list <> o.list) and ({spans}))"""


def _counts(row: Sequence[object]) -> dict[str, int]:
    return dict(zip(COUNTS, (int(str(value)) for value in row), strict=False))


def _repeats(found: dict[str, int]) -> bool:
    """Rows add up only where every key is unique."""
    unique = found["listed"] + found["new_keys"] - found["gone_keys"]
    return found["keyed"] != unique or found["new_rows"] != found["new_keys"]


def _plan(sync: Sync, changes: Changes, row: Sequence[object]) -> Plan:
    found = _counts(row)
    filled = [int(str(value)) for value in row[len(COUNTS) :]]
    return Plan(
        sync,
        keyless=found["rows"] - found["keyed"],
        filled=dict(zip(changes.terms.send, filled, strict=True)),
        **{name: found[name] for name in SAME},
        fewest=changes.terms.fewest,
        counts="identifiers" if changes.terms.labelled else "members",
    )
