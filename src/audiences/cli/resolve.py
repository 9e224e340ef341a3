"""`audiences resolve`: say what became of members that were sent without an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from audiences import compare, control, unknown
from audiences.cli import accounts, output
from audiences.cli.plan import masked
from audiences.cli.refused import shown
from audiences.cli.session import Session, remembered, taken
from audiences.cli.went import LATER
from audiences.errors import Deferred, DefinitionError
from audiences.unknown import Doubt
from audiences.warehouse import Warehouse
from audiences.worker import utc

MOST = 10  # members that are shown before it asks
KINDS = {"+": "to add", "~": "to update", "−": "to remove"}
FATES = {True: "as delivered", False: "as not delivered"}
WAYS = "--delivered, --not-delivered or --read-back; for some alone with --key"
Verdicts = Mapping[bool | None, Sequence[Doubt]]


@click.command("resolve")
@click.argument("sync")
@click.option("--delivered", is_flag=True, help="They were: what was added is there, what was removed is gone.")
@click.option("--not-delivered", is_flag=True, help="They were not: the next sync sends them again.")
@click.option("--read-back", is_flag=True, help="Ask the provider who is on the list, where its connector can.")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this member; may be given again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(
    folder: Path, sync: str, delivered: bool, not_delivered: bool, read_back: bool, keys: tuple[str, ...], yes: bool
) -> int:
    """Say what became of the members that SYNC (audience.section) has sent without an answer.

    Its connector cannot repeat a call, so they are neither sent again nor lost until someone has looked. Without a
    verdict all of them are shown, and nothing is changed.
    """
    if delivered + not_delivered + read_back > 1:
        raise click.UsageError("say --delivered, --not-delivered or --read-back, and only one of them")
    session = Session(folder)
    with session.warehouse() as warehouse:
        table = remembered(warehouse, sync)
        settled(warehouse, sync, table)
        found = meant(sync, unknown.doubts(warehouse, table), keys)
        if not found:
            output.say(f"{sync} has nobody of unknown outcome.")
            return 0
        if not (delivered or not_delivered or read_back):
            output.say(*words(sync, found, len(found)), f"To settle them: audiences resolve {sync} {WAYS}")
            return 0
        output.say(*words(sync, found, MOST))
        verdicts: Verdicts = back(session, warehouse, sync, found) if read_back else {delivered: found}
        return settle(session, warehouse, sync, verdicts, yes)


def settled(warehouse: Warehouse, sync: str, table: str) -> None:
    """Raise Deferred where a run of a sync is on, or was cut off: what it may have left in doubt is not told yet."""
    known = control.read(warehouse, table)
    if known and known.outbox is not None:
        raise Deferred(
            f"{sync} is being run, or its last run was cut off and is not settled yet",
            do=f"let that run end, or settle what it left: audiences sync {sync}",
        )


def meant(sync: str, found: Sequence[Doubt], keys: Sequence[str]) -> list[Doubt]:
    """Those with these keys, all where none is given. Raises DefinitionError for a key that none of them has."""
    if strange := [key for key in keys if key not in {doubt.key for doubt in found}]:
        raise DefinitionError(
            f"nobody with the key {shown(strange[0])} is of unknown outcome in {sync}",
            do=f"see: audiences resolve {sync}",
        )
    return [doubt for doubt in found if not keys or doubt.key in keys]


def back(session: Session, warehouse: Warehouse, sync: str, found: Sequence[Doubt]) -> Verdicts:
    """What the lists say of each, read while no run changes them. Raises AudienceError where they cannot be read."""
    session.project.select([sync])  # or its own error
    binding = session.project.bindings[sync]
    table = binding.sync.table
    with session.state() as state, taken(warehouse, state, sync, table), accounts.speaking(session, binding) as far:
        return unknown.read_back(far, found)


def settle(session: Session, warehouse: Warehouse, sync: str, verdicts: Verdicts, yes: bool) -> int:
    """Ask, then settle what is told; the exit code."""
    known = {each: verdicts[each] for each in (True, False) if verdicts.get(each)}
    left = output.count(len(verdicts.get(None, ())), "change")
    if verdicts.get(None):
        output.say(f"The list does not tell of {left}: say it with --key, and --delivered or --not-delivered.")
    if known:
        sums = " and ".join(f"{output.count(len(found), 'change')} {FATES[each]}" for each, found in known.items())
        if not yes and not click.confirm(f"Settle {sums}?"):
            output.say("Nothing was settled.")
            return 1
        with session.state() as state, taken(warehouse, state, sync, remembered(warehouse, sync)) as fence:
            for each, found in known.items():
                unknown.resolve(fence, found, each, compare.moment(utc()))
        output.say(f"Settled: {sums}. The next sync goes on from there.")
    return LATER if verdicts.get(None) else 0


def words(sync: str, found: Sequence[Doubt], most: int) -> Iterator[str]:
    """How many there are of each kind, and the first of them, masked."""
    signs = Counter(doubt.sign for doubt in found)
    kinds = ", ".join(f"{signs[sign]:,} {kind}" for sign, kind in KINDS.items() if signs[sign])
    yield f"{sync} has sent {output.count(len(found), 'change')} without an answer: {kinds}"
    yield from (f"    {doubt.sign} {shown(doubt.key)}  {masked(doubt.fields)}" for doubt in found[:most])
    if len(found) > most:
        yield f"    … and {len(found) - most:,} more; all of them: audiences resolve {sync}"
