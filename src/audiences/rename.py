"""Follow a sync to its new name: settle what the old one left, then rename its tables, `control` last."""

from __future__ import annotations

from contextlib import suppress

import structlog
from sqlalchemy import text

from audiences import control, lease, settle
from audiences.audience import Sync, table_name
from audiences.control import Fence
from audiences.errors import LeaseLost
from audiences.state import State
from audiences.warehouse import Warehouse

log = structlog.get_logger()
KINDS = (
    "ledger",
    "refused",
    "pending",
    "unknown",
    "replace",
    "history",
    "control",  # after all that it fences: while it has the old name, the old name still holds
    "lock",  # made anew where it is missed
)


def follow(warehouse: Warehouse, state: State, sync: Sync, now: str) -> None:
    """Where `renamed_from` names a sync that the warehouse remembers, and this one is new, take its ledger over."""
    old = sync.renamed_from
    if old is None or control.read(warehouse, sync.table) is not None:
        return
    table = table_name(old)
    if (seen := control.read(warehouse, table)) is None:
        return
    held = lease.take(state, old, seen.epoch)
    try:
        with held.kept():
            fence = control.take(warehouse, old, table, seen.epoch, held.epoch, held.holder)
            settle.open_outbox(held, fence, now)
            _rename(fence, sync)
            with held.begin() as connection:
                names = {"new": sync.name, "old": old}
                connection.execute(text("update refusal set sync = :new where sync = :old"), names)
    finally:
        with suppress(LeaseLost):
            held.release()
    log.info("sync.renamed", old=old, new=sync.name)


def known_as(warehouse: Warehouse, sync: Sync) -> str:
    """The name that a sync's tables have now: its old one, until a run has renamed them."""
    if sync.renamed_from is None or control.read(warehouse, sync.table) is not None:
        return sync.table
    old = table_name(sync.renamed_from)
    return sync.table if control.read(warehouse, old) is None else old


def _rename(fence: Fence, sync: Sync) -> None:
    warehouse = fence.warehouse
    fence.update("sync = :name", name=sync.name)
    for kind in KINDS:
        if warehouse.columns(f"{kind}_{fence.table}"):
            warehouse.change(f'alter table {warehouse.table(f"{kind}_{fence.table}")} rename to "{kind}_{sync.table}"')
