"""`audiences retry`: send refused members again now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from audiences import compare
from audiences.cli import output
from audiences.cli.plan import Wish
from audiences.cli.refused import shown
from audiences.cli.session import Session, taken
from audiences.cli.sync import deliver
from audiences.control import Fence
from audiences.errors import DefinitionError
from audiences.warehouse import Warehouse, literal
from audiences.worker import utc


@click.command("retry", cls=output.Speaking)
@click.argument("sync")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this member; may be given again.")
@output.as_json
@click.pass_obj
def command(folder: Path, sync: str, keys: tuple[str, ...], as_json: bool) -> int:
    """Send the refused members of SYNC (audience.section) again now, as `audiences sync SYNC` with what else is due.

    How often each was tried is kept: whoever is refused again waits longer than before. Ends with 4 where anyone
    still is.
    """
    session = Session(folder)
    chosen = session.chosen((sync,))
    bindings = [binding for _, found in chosen.audiences for binding in found if binding.sync.name == sync]
    if not bindings:
        raise DefinitionError(f"{sync!r} is not the name of one sync", do="write it as audience.section, as `refused`")
    with session.warehouse() as warehouse:
        due = counted(warehouse, bindings[0].sync.table, sync, keys)
        if due:
            with session.state() as state, taken(warehouse, state, sync, bindings[0].sync.table) as fence:
                recall(fence, keys)
    if due:
        return deliver(session, Wish((sync,), as_json=as_json), strict=True)
    if as_json:
        output.document({"syncs": [], "errors": [], "exit": 0})
    else:
        output.say(f"Nobody is refused by {sync}.")
    return 0


def counted(warehouse: Warehouse, table: str, sync: str, keys: Sequence[str]) -> int:
    """How many refused members are meant. Raises DefinitionError for a key that none of them has."""
    if not warehouse.columns(f"refused_{table}"):
        refused = set()
    else:
        refused = {key for (key,) in warehouse.run(f'select cast("key" as varchar) from {_table(warehouse, table)}')}
    if strange := [key for key in keys if key not in refused]:
        raise DefinitionError(
            f"nobody with the key {shown(strange[0])} is refused by {sync}", do=f"see: audiences refused {sync}"
        )
    return len(set(keys) or refused)


def recall(fence: Fence, keys: Sequence[str]) -> None:
    """Let refused members, all where no key is given, be due at once. Their attempts stay."""
    now = compare.moment(utc())
    these = f' and cast("key" as varchar) in ({", ".join(literal(key) for key in keys)})' if keys else ""
    with fence.transaction():
        fence.warehouse.run(
            f"update {_table(fence.warehouse, fence.table)} set retry_at = {now} where retry_at > {now}{these}"
        )


def _table(warehouse: Warehouse, table: str) -> str:
    return warehouse.table(f"refused_{table}")
