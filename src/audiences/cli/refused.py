"""`audiences refused`: who was refused, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
from sqlalchemy import select

from audiences import mask, state
from audiences.cli import output
from audiences.cli.session import Session
from audiences.state import State
from audiences.warehouse import Warehouse

LOST = "the reason was lost with the state database"


@click.command("refused", cls=output.Speaking)
@click.argument("names", nargs=-1)
@output.as_json
@click.pass_obj
def command(folder: Path, names: tuple[str, ...], as_json: bool) -> int:
    """Members that a destination refused: their key, its words (people masked), and when they are tried again.

    A member whose data change is tried again at once. NAMES are as for `plan`; without any, all syncs.
    """
    session = Session(folder)
    chosen = session.chosen(names)
    with session.warehouse() as warehouse, session.past() as past:
        syncs = [binding.sync for _, bindings in chosen.audiences for binding in bindings]
        rows = [row for sync in syncs for row in found(warehouse, past, sync.name, sync.table)]
    code = chosen.worst(())
    if as_json:
        output.document({"refused": rows, "errors": output.problems(chosen.errors), "exit": code})
    else:
        output.say(*(line(row) for row in rows), f"{output.count(len(rows), 'member')} refused.", *ways(rows))
    return code


def found(warehouse: Warehouse, past: State | None, sync: str, table: str) -> Iterator[dict[str, object]]:
    """The refused of one sync. Keys are shown: they are what a person needs to look someone up; addresses are not."""
    if not warehouse.columns(f"refused_{table}"):
        return
    reasons = _reasons(past, sync) if past else {}
    name = warehouse.table(f"refused_{table}")
    for key, attempts, again in warehouse.run(
        f'select cast("key" as varchar), attempts, retry_at from {name} order by "key"'
    ):
        yield {
            "sync": sync,
            "key": shown(key),
            "reason": reasons.get(state.hashed(key), LOST),
            "attempts": attempts,
            "again": f"{again:%Y-%m-%d %H:%M}Z",
        }


def ways(rows: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """How each sync's refused are taken up before their time."""
    yield from (f"To send them now: audiences retry {name}" for name in dict.fromkeys(row["sync"] for row in rows))


def line(row: dict[str, object]) -> str:
    """One member, for people."""
    return f"{row['sync']}  {row['key']}  {row['reason']}  (tried {row['attempts']}×, again after {row['again']})"


def shown(key: str) -> str:
    """A key as it is shown, and may be typed again; one that is an address is hidden."""
    return mask.text(key) if "@" in key else key


def reason(past: State | None, sync: str, key: str) -> str:
    """Why one member is refused: the destination's words, people masked."""
    table, found = state.refusal.c, None
    if past:
        with past.begin() as connection:
            one = select(table.reason).where(table.sync == sync, table.key_hash == state.hashed(key))
            found = connection.execute(one).scalar()
    return found or LOST


def _reasons(past: State, sync: str) -> dict[str, str]:
    table = state.refusal
    with past.begin() as connection:
        rows = connection.execute(select(table.c.key_hash, table.c.reason).where(table.c.sync == sync)).all()
    return {row.key_hash: row.reason for row in rows}
