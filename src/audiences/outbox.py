"""The outbox of one run: the changes, in order, in a table of the warehouse; filled and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audiences.audience import Sync
from audiences.changes import Changes
from audiences.control import Fence
from audiences.plan import Plan
from audiences.terms import sent
from audiences.warehouse import Warehouse
from audiences.whole import COUNTS

SAME: tuple[str, ...] = ("rows", "listed", "added", "updated", "removed", "refreshed", "repeated", "nameless")
SAME += ("waiting", "unknown", "pending", "unconsented", "second", "untouched")  # a census and a plan call them alike


def count(warehouse: Warehouse, changes: Changes, sync: Sync) -> Plan:
    """The plan alone; nothing is written. Repeated keys, and idents, are looked for where the numbers say so."""
    if changes.known.empty:
        [row] = warehouse.run(changes.first_census())
    else:
        [row] = [text.split(",") for (text,) in warehouse.run(f"select ident from ({changes.select()}) where seq = -1")]
    found = _counts(row)
    if once_more := _once_more(changes, found):
        return count(warehouse, once_more, sync)
    return _plan(sync, changes, row)


def fill(fence: Fence, changes: Changes, sync: Sync) -> Plan:
    """Make this run's outbox, which nobody reads before it is published, and count it."""
    warehouse, name = fence.warehouse, table(fence, fence.epoch)
    warehouse.run(f"drop table if exists {name}")
    row = _filled(warehouse, name, changes)
    if once_more := _once_more(changes, _counts(row)):
        return fill(fence, once_more, sync)
    warehouse.index(name, "seq")
    for statement in () if changes.known.empty else warehouse.words.weighed(name):
        warehouse.run(statement)
    return _plan(sync, changes, row)


def _filled(warehouse: Warehouse, name: str, changes: Changes) -> Sequence[object]:
    """Make the table, quoted; its census."""
    numbered = not warehouse.words.numbers
    if not changes.known.empty:
        warehouse.run(f"create table {name} as {changes.select()}")
        [(text,)] = warehouse.run(f"select ident from {name} where seq = -1")
        return str(text).split(",")
    with warehouse.transaction(snapshot=True):  # for the rows and their counts
        # Evaluated once where everyone can be sent, as is usual; else the same again without the others.
        warehouse.run(f"create table {name} as {changes.first(whole=True, numbered=numbered)}")
        [row] = warehouse.run(changes.first_census(name))
        if _counts(row)["added"] < _counts(row)["rows"]:
            warehouse.run(f"drop table {name}")
            warehouse.run(f"create table {name} as {changes.first(numbered=numbered)}")
    return row


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


def _counts(row: Sequence[object]) -> dict[str, int]:
    return dict(zip(COUNTS, (int(str(value)) for value in row), strict=True))


def _once_more(changes: Changes, found: dict[str, int]) -> Changes | None:
    """The comparison that must be made in place of one that found what it had not looked for."""
    if found["astray"]:
        return replace(changes, known=replace(changes.known, wide=True))
    return replace(changes, repeated=True) if not changes.repeated and _repeats(found) else None


def _repeats(found: dict[str, int]) -> bool:
    """Rows add up only where every key is unique."""
    unique = found["listed"] + found["new_keys"] - found["gone_keys"]
    return found["keyed"] != unique or found["new_rows"] != found["new_keys"]


def _plan(sync: Sync, changes: Changes, row: Sequence[object]) -> Plan:
    found = _counts(row)
    return Plan(
        sync,
        keyless=found["rows"] - found["keyed"],
        **{name: found[name] for name in SAME},
        fewest=changes.terms.fewest,
        counts="identifiers" if changes.terms.labelled else "members",
    )
