"""`audiences status`: each sync, its list, its last run and its next."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from audiences import control, cron, pending, runs, unknown
from audiences.audience import Audience, Sync
from audiences.cli import output
from audiences.cli.session import Session, listed, orphan, refused
from audiences.runs import Past
from audiences.state import State, pauses
from audiences.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Standing:
    """How one sync stands.

    pending: members whom the provider has yet to judge; unknown: claims that wait for someone's word
    waits:       seconds for which the account's host has asked for no call
    interrupted: a run was cut off, and the next settles it first
    next: the next moment of its line; None where it is paused
    """

    sync: str
    list: str
    paused: bool
    listed: int
    refused: int
    pending: int
    unknown: int
    waits: int
    interrupted: bool
    last: Past | None
    next: datetime | None


@click.command("status", cls=output.Speaking)
@click.argument("names", nargs=-1)
@output.as_json
@click.pass_obj
def command(folder: Path, names: tuple[str, ...], as_json: bool) -> int:
    """Each sync: its list, how many it lists, its last run, who is refused, its next run; and orphans.

    NAMES are as for `plan`; without any, all syncs.
    """
    session = Session(folder)
    chosen = session.chosen(names)
    with session.warehouse() as warehouse, session.past() as state:
        found = [
            look(warehouse, state, audience, binding.sync)
            for audience, bindings in chosen.audiences
            for binding in bindings
        ]
        orphans = session.orphans(warehouse)
    code = chosen.worst(())
    if as_json:
        syncs, errors = [data(each) for each in found], output.problems(chosen.errors)
        output.document({"syncs": syncs, "orphans": orphans, "errors": errors, "exit": code})
    else:
        output.say(*table(found), *(orphan(name, size) for name, size in orphans.items()))
    return code


def look(warehouse: Warehouse, state: State | None, audience: Audience, sync: Sync) -> Standing:
    """What is known of one sync."""
    known, paused = control.read(warehouse, sync.table), audience.paused or sync.paused
    return Standing(
        sync.name,
        sync.shown_list,
        paused,
        listed(warehouse, sync.table),
        refused(warehouse, sync.table),
        pending.count(warehouse, sync.table),
        unknown.count(warehouse, sync.table),
        math.ceil(pauses.left(state, sync.section)) if state else 0,
        bool(known and known.outbox),
        runs.last(state, sync.name) if state else None,
        None if paused else cron.after(audience.schedule, audience.timezone, datetime.now(UTC)),
    )


def table(found: list[Standing]) -> Iterator[str]:
    """A line a sync, in columns."""
    rows = [(each.sync, f"→ {each.list}", f"{each.listed:,} listed", told(each)) for each in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, where, size, last in rows:
        yield f"{name:<{widths[0]}}  {where:<{widths[1]}}  {size:>{widths[2]}}  {last}"


def told(each: Standing) -> str:
    """The last run, and whatever is out of the ordinary."""
    unnamed, stay = (each.last.unnamed, each.last.not_removed) if each.last else (0, 0)
    marks = {
        "paused": each.paused,
        f"{each.refused:,} refused (audiences refused {each.sync})": each.refused,
        f"{unnamed:,} refused by the provider without saying whom": unnamed,
        f"{stay:,} still on the list, since the provider refuses to remove them": stay,
        f"{each.pending:,} taken in, to be judged by the provider": each.pending,
        f"{each.unknown:,} of unknown outcome (audiences resolve {each.sync})": each.unknown,
        f"no call for {each.waits:,} s more, as {each.sync.partition('.')[2]}'s host asks": each.waits,
        "interrupted; the next sync settles it first": each.interrupted,
        f"next {each.next:%Y-%m-%d %H:%M} UTC" if each.next else "": each.next,
    }
    return "; ".join([run(each), *(words for words, holds in marks.items() if holds)])


def run(each: Standing) -> str:
    """The last run, in words."""
    last = each.last
    if last is None:
        return "no run has ended" if each.interrupted else "no run is remembered" if each.listed else "never ran"
    changes = f" (+ {last.added:,}  ~ {last.updated:,}  − {last.removed:,})" if last.result == "delivered" else ""
    return f"{last.result} {utc(last.ended):%Y-%m-%d %H:%M} UTC{changes}"


def utc(seconds: float) -> datetime:
    """A moment of a run, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC)


def data(each: Standing) -> dict[str, object]:
    """How a sync stands, as JSON holds it."""
    found = asdict(each) | {"next": each.next.isoformat() if each.next else None}
    if each.last:
        found["last"] |= {"started": utc(each.last.started).isoformat(), "ended": utc(each.last.ended).isoformat()}
    return found
