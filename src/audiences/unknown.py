"""Rows that were sent without an answer by a connector whose verbs are not safe to repeat.

They wait beside the ledger, as they were sent, until someone says what became of them, or the list itself tells. Until
then their members are frozen: neither sent again nor lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audiences import identity, ranges, tables
from audiences.connector import Connector
from audiences.control import Fence
from audiences.errors import DefinitionError
from audiences.history import SAID, Story
from audiences.ledger import Settlement
from audiences.terms import Terms, fields, sent
from audiences.theirs import theirs
from audiences.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Doubt:
    """One such row. had: whether its claim stood before; fields: as they were sent, of a removal those it goes by."""

    outbox: int
    seq: int
    verb: str
    key: str
    ident: str
    list_id: str
    had: bool
    fields: Mapping[str, object]

    @property
    def sign(self) -> str:
        """What it was to do: add, update or remove, as a sample shows it."""
        return "−" if self.verb != "upsert" else "~" if self.had else "+"


def keep(warehouse: Warehouse, terms: Terms) -> None:
    """Make a sync's table of them, or bring its columns up to date; where verbs may be repeated, none is kept.

    A claim that was in doubt before is noted as one to add: its owner is on the list, or is not. Its place in its
    outbox is not known any more: it gets one that no outbox has.
    """
    name = f"unknown_{terms.table}"
    table, known = warehouse.table(name), warehouse.columns(name)
    if terms.repeatable:
        if known:
            warehouse.run(f"drop table {table}")
        return
    tables.beside(warehouse, "unknown", terms.table, "had boolean")
    if not known:
        claims = warehouse.table(f"ledger_{terms.table}")
        columns = "".join(f", {sent(field)}" for field in fields(warehouse.columns(f"ledger_{terms.table}")))
        warehouse.run(
            f'insert into {table} (had, outbox, seq, verb, "key", ident, list, "at"{columns})'
            f' select false, outbox, -(row_number() over ()), \'upsert\', "key", ident, list, "at"{columns}'
            f" from {claims} where not sure"
        )


def count(warehouse: Warehouse, table: str) -> int:
    """How many claims of a sync wait for someone's word."""
    if not warehouse.columns(f"unknown_{table}"):
        return 0
    [(found,)] = warehouse.run(f"select count(*) from {warehouse.table('ledger_' + table)} where not sure")
    return int(found)


def doubts(warehouse: Warehouse, table: str) -> list[Doubt]:
    """All of a sync, in the order in which they were sent."""
    names = fields(warehouse.columns(f"unknown_{table}"))
    if not names:
        return []
    columns = "".join(f", {sent(name)}" for name in names)
    rows = warehouse.run(
        f'select outbox, seq, verb, cast("key" as varchar), ident, list, had{columns}'
        f" from {warehouse.table('unknown_' + table)} order by outbox, seq"
    )
    return [
        Doubt(outbox, seq, verb, key, ident, list_id, had, dict(zip(names, row, strict=True)))
        for outbox, seq, verb, key, ident, list_id, had, *row in rows
    ]


def resolve(fence: Fence, found: Sequence[Doubt], delivered: bool, now: str) -> None:
    """Settle these: delivered, so that the ledger holds what was sent, or not, so that it holds what it held before."""
    warehouse, name = fence.warehouse, f"unknown_{fence.table}"
    columns = [sent(field) for field in fields(warehouse.columns(name))]
    for outbox in sorted({doubt.outbox for doubt in found}):
        rows = f"(select * from {warehouse.table(name)} where outbox = {outbox})"
        settlement = Settlement(fence, outbox, columns, now, rows)
        places = [doubt.seq for doubt in found if doubt.outbox == outbox]
        Story(fence, outbox, None, now).amend([(lo, hi, SAID[delivered]) for lo, hi in ranges.of(places)])
        settlement.resolved(places, delivered)


def read_back(connector: Connector, found: Sequence[Doubt]) -> dict[bool | None, list[Doubt]]:
    """What the lists say of each: it was delivered (True), it was not (False), or that cannot be told (None).

    Raises DefinitionError where the connector cannot read back, or members are known by a key that no list tells.
    """
    if type(connector).members is Connector.members or not connector.identity:
        raise DefinitionError(
            f"{type(connector).__name__} cannot read back who is on a list, as this sync knows its members",
            do="look at the provider, and say what became of them: --delivered or --not-delivered",
        )
    listed = {list_id: _listed(connector, list_id, found) for list_id in {doubt.list_id for doubt in found}}
    told: dict[bool | None, list[Doubt]] = {True: [], False: [], None: []}
    for doubt in found:
        told[_told(doubt, listed[doubt.list_id].get(doubt.ident), connector.identity)].append(doubt)
    return told


def _listed(connector: Connector, list_id: str, found: Sequence[Doubt]) -> dict[str, Mapping[str, object]]:
    """Those of a list whom a doubt is about: identifier in its normal form -> fields. Others pass by unkept."""
    wanted = {doubt.ident for doubt in found if doubt.list_id == list_id}
    with theirs(type(connector)):
        return {
            ident: member
            for member in connector.members(list_id)
            if (ident := identity.ident(member, connector.identity)) in wanted and ident is not None
        }


def _told(doubt: Doubt, member: Mapping[str, object] | None, identified: Mapping[str, object]) -> bool | None:
    """An update is told by the fields alone: its owner was on the list before, too."""
    if doubt.verb != "upsert":
        return member is None
    if member is None or not doubt.had:
        return member is not None
    others = {name: value for name, value in doubt.fields.items() if name not in identified}
    same = all(name in member and _text(member[name]) == _text(value) for name, value in others.items())
    return True if same else None


def _text(value: object) -> str:
    """A value as a list of text may tell it."""
    return "" if value is None else str(value)
