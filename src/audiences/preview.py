"""The plan of a sync as it would be now. Nothing is written, and nobody is asked but the warehouse."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from audiences import compare, control, outbox, rename, stage
from audiences.audience import Audience
from audiences.changes import Changes
from audiences.control import Control
from audiences.plan import Plan
from audiences.project import Binding
from audiences.warehouse import Warehouse


def preview(warehouse: Warehouse, audience: Audience, binding: Binding, now: datetime) -> tuple[Plan, Changes]:
    """The plan of a sync as it would be now, and the comparison behind it: no lease, no schema, no table, no call."""
    types = warehouse.described(audience.select)
    source = stage.looked(warehouse, audience, binding, types)
    asked = compare.asked(warehouse, audience, binding, source, types)
    table = rename.known_as(warehouse, binding.sync)
    known = control.read(warehouse, table)
    compare.same_key(audience, known)
    terms = replace(compare.terms(audience, binding, asked, planned_list(binding, known)), table=table)
    changes = compare.changes(warehouse, terms, asked.source, asked.types, known, now)
    plan = outbox.count(warehouse, changes, binding.sync)
    return replace(plan, unsettled=unsettled(warehouse, table, known)), changes


def unsettled(warehouse: Warehouse, table: str, known: Control | None) -> int:
    """How many rows of an interrupted run's outbox may have been sent and are not settled yet."""
    if known is None or known.outbox is None:
        return 0
    rows = control.rows(warehouse, table, known.outbox)
    [(count,)] = warehouse.run(f"select count(*) from {rows} o where seq >= 0 and seq < {known.mark}")
    return int(count)


def planned_list(binding: Binding, known: Control | None) -> str:
    """The id of a sync's list as far as it is known without asking anyone; a new list goes by its name."""
    sync = binding.sync
    if sync.list_id is not None:
        return sync.list_id
    return known.list_id if known and known.list_name == sync.list and known.list_id else str(sync.list)
