"""`audiences forget`: drop what the warehouse and the state remember of a sync."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import text

from audiences import control, lease
from audiences.cli import output
from audiences.cli.session import Session, listed, remembered
from audiences.state import State
from audiences.warehouse import Warehouse


@click.command("forget")
@click.argument("sync")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(folder: Path, sync: str, yes: bool) -> int:
    """Forget who SYNC (audience.section) has listed. Nobody is removed anywhere.

    What it added stays at the destination, and is never removed by this worker again. If the sync still has a
    definition, its next run begins anew.
    """
    session = Session(folder)
    with session.warehouse() as warehouse, session.state() as state:
        table = remembered(warehouse, sync)
        control.adopt(warehouse, state)
        size = output.count(listed(warehouse, table), "member")
        if not yes and not click.confirm(f"Forget that {sync} lists {size}? They stay at the destination"):
            output.say("Nothing was forgotten.")
            return 1
        forget(warehouse, state, sync, table)
    output.say(f"{sync} is forgotten: {size} it had listed stay where they are.")
    return 0


def forget(warehouse: Warehouse, state: State, sync: str, table: str) -> None:
    """Take the sync's lease, drop its tables, and clear the state of it. Raises Deferred where it runs elsewhere."""
    seen = control.read(warehouse, table) or control.Control()
    held = lease.take(state, sync, seen.epoch)
    with held.kept():
        drop(warehouse, table)
        with held.begin() as connection:
            for name in ("opened", "verdict", "refusal"):
                connection.execute(text(f"delete from {name} where sync = :s"), {"s": sync})
    held.release()


def drop(warehouse: Warehouse, table: str) -> None:
    """Drop a sync's tables, `control` last: until then the sync is still known."""
    outboxes = [name for name in warehouse.tables(f"outbox_{table}_") if name.rpartition("_")[2].isdigit()]
    kinds = ("ledger", "refused", "pending", "unknown", "replace", "history", "control", "lock")
    for name in (*outboxes, *(f"{kind}_{table}" for kind in kinds)):
        warehouse.run(f"drop table if exists {warehouse.table(name)}")
