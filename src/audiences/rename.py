"""Follow a sync to its new name: settle what the old one left, then rename its tables, `control` last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import structlog
from sqlalchemy import text

from audiences import control, lease, settle
from audiences.audience import Sync, table_name
from audiences.control import Fence
from audiences.errors import LeaseLost
from audiences.lease import Lease
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
    if old is None or _begun(warehouse, sync.table):
        return
    table = table_name(old)
    if (seen := control.read(warehouse, table)) is None:
        return
    with ExitStack() as leases:
        epoch = 0
        if (refused := control.read(warehouse, sync.table)) is not None:
            held, fence = leases.enter_context(_taken(warehouse, state, sync.name, sync.table, refused.epoch))
            epoch = held.epoch  # the old one's is above it: no run of this name that was left behind holds afterwards
            _drop(fence)
        held, fence = leases.enter_context(_taken(warehouse, state, old, table, seen.epoch, epoch))
        settle.open_outbox(held, fence, now)
        _rename(fence, sync)
        with held.begin() as connection:
            names = {"new": sync.name, "old": old}
            connection.execute(text("update refusal set sync = :new where sync = :old"), names)
    log.info("sync.renamed", old=old, new=sync.name)


def known_as(warehouse: Warehouse, sync: Sync) -> str:
    """The name that a sync's tables have now: its old one, until a run has renamed them."""
    if sync.renamed_from is None or _begun(warehouse, sync.table):
        return sync.table
    old = table_name(sync.renamed_from)
    return sync.table if control.read(warehouse, old) is None else old


def _begun(warehouse: Warehouse, table: str) -> bool:
    """Whether a sync has come as far as to keep a ledger. One whose list is another's was refused before that."""
    return control.read(warehouse, table) is not None and bool(warehouse.columns(f"ledger_{table}"))


@contextmanager
def _taken(
    warehouse: Warehouse, state: State, name: str, table: str, seen: int, above: int = 0
) -> Iterator[tuple[Lease, Fence]]:
    held = lease.take(state, name, max(seen, above))
    try:
        with held.kept():
            yield held, control.take(warehouse, name, table, seen, held.epoch, held.holder)
    finally:
        with suppress(LeaseLost):
            held.release()


def _drop(fence: Fence) -> None:
    """Let go of what a refused run has made; nobody is in it."""
    for kind in KINDS:
        if fence.warehouse.columns(f"{kind}_{fence.table}"):
            fence.warehouse.change(f"drop table {fence.warehouse.table(f'{kind}_{fence.table}')}")


def _rename(fence: Fence, sync: Sync) -> None:
    warehouse = fence.warehouse
    fence.update("sync = :name", name=sync.name)
    for kind in KINDS:
        if warehouse.columns(f"{kind}_{fence.table}"):
            warehouse.change(f'alter table {warehouse.table(f"{kind}_{fence.table}")} rename to "{kind}_{sync.table}"')
