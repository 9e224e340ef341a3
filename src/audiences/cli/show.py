"""`audiences show`: one audience."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from audiences import span
from audiences.audience import Audience
from audiences.cli import output
from audiences.cli.plan import masked
from audiences.cli.session import Session
from audiences.errors import DefinitionError
from audiences.warehouse import Warehouse

FEW = 3


@click.command("show", cls=output.Speaking)
@click.argument("name")
@output.as_json
@click.pass_obj
def command(folder: Path, name: str, as_json: bool) -> None:
    """One audience: its header, the SQL as it will run, its size now, and a masked sample."""
    session = Session(folder)
    audience = one(session, name)
    if not as_json:
        output.say(*header(audience))
    with session.warehouse() as warehouse:
        size, sample = members(warehouse, audience)
    if as_json:
        output.document({**data(audience), "size": size, "sample": sample, "exit": 0})
    else:
        output.say(
            f"{output.count(size, 'member')} now; {len(sample)} of them, masked:", *(f"  {each}" for each in sample)
        )


def one(session: Session, name: str) -> Audience:
    """The audience that a name means. Raises DefinitionError where it means several."""
    found = session.project.select([name])
    if len(found) != 1:
        names = ", ".join(each.name for each in found)
        raise DefinitionError(f"{name!r} means {len(found)} audiences", do=f"name one: {names}")
    return found[0]


def header(audience: Audience) -> Iterator[str]:
    """What its file says, for people."""
    guard = audience.guard
    most = "" if guard.most is None else f"; never more than {guard.most:,} members"
    yield f"{audience.name}: {audience.about}"
    yield f"  owner {audience.owner}, key {audience.key_columns}" + (", paused" if audience.paused else "")
    yield f"  schedule {audience.schedule} ({audience.timezone})"
    yield (
        f"  guard: of a list of {guard.floor:,} members or more, one run adds at most {guard.added:.0%},"
        f" updates {guard.updated:.0%}, removes {guard.removed:.0%}{most}"
    )
    if audience.fresh:
        within = span.said(audience.fresh.within)
        yield f"  fresh: the newest {audience.fresh.column} of {audience.fresh.table} must be of the last {within}"
    if audience.timeout:
        yield f"  limits: the warehouse may take {span.said(audience.timeout)}"
    if audience.bytes:
        yield f"  limits: the query may read {audience.bytes:,} bytes"
    for sync in audience.syncs:
        yield (
            f"  {sync.name} → {sync.connector}, list {sync.shown_list}, {sync.mode}, sends {', '.join(sync.send)}"
            + (", paused" if sync.paused else "")
        )
    yield from ("", audience.select, "")


def data(audience: Audience) -> dict[str, object]:
    """What its file says, for machines."""
    names = ("about", "owner", "schedule", "timezone", "paused")
    fresh = audience.fresh
    syncs = [{"sync": sync.name, "connector": sync.connector, "list": sync.shown_list} for sync in audience.syncs]
    return {
        "audience": audience.name,
        "key": audience.key[0] if len(audience.key) == 1 else list(audience.key),
        **{name: getattr(audience, name) for name in names},
        "fresh": fresh and {"table": fresh.table, "column": fresh.column, "within": fresh.within.total_seconds()},
        "syncs": syncs,
        "sql": audience.select,
    }


def members(warehouse: Warehouse, audience: Audience) -> tuple[int, list[str]]:
    """How many the query returns now, and the first of them, masked."""
    with warehouse.bounded(audience.timeout, audience.bytes):
        types = warehouse.described(audience.select)
        [(size,)] = warehouse.asked(f"select count(*) from (\n{audience.select}\n) as q")
        rows = warehouse.asked(f"select * from (\n{audience.select}\n) as q limit {FEW}")
    return size, [masked(dict(zip(types, row, strict=True))) for row in rows]
