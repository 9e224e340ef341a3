"""`audiences why`: how one member came onto a list or off it, and how they stand there now."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from audiences import compare, control, history, runs, stage
from audiences.cli import output
from audiences.cli.history import shown as commit
from audiences.cli.refused import reason, shown
from audiences.cli.session import Session
from audiences.errors import AudienceError, DefinitionError
from audiences.hashed import Hashed
from audiences.history import ON_LIST, Event
from audiences.rename import known_as
from audiences.state import State
from audiences.warehouse import Warehouse, literal

DOUBTFUL = "in doubt: what was sent last has no answer, and the next sync sends it again, or someone resolves it"


@dataclass(frozen=True, slots=True)
class Case:
    """One member and one sync; of an ads platform, one identifier of the member's.

    events:   what was sent, in order; commits: run -> the git commit of its definition
    reaches:  when the oldest outbox that the history tells of was settled; None where it tells of none
    listed:   whether the ledger claims them; doubtful: what was sent last had no answer
    refused:  as `audiences refused` tells it; pending: a provider has yet to judge them
    returned: how often the query returns them now; nameless: without any identifier; None: it cannot be asked
    """

    sync: str
    key: str
    events: Sequence[Event]
    commits: Mapping[str, str]
    reaches: datetime | None
    listed: bool
    doubtful: bool
    refused: Mapping[str, object] | None
    pending: bool
    returned: int | None
    nameless: bool

    @property
    def set_aside(self) -> bool:
        """Whether they are neither added nor removed, for their rows leave open who they are, or where."""
        return self.nameless or (self.returned or 0) > 1

    @property
    def left_with_another(self) -> bool:
        """Whether they were put on the list, and taken off by a change that names another member."""
        last = self.events[-1] if self.events else None
        return bool(last and last.verb in ("add", "update", "refresh") and last.answer in ON_LIST and not self.listed)


@click.command("why", cls=output.Speaking)
@click.argument("key")
@click.option("--audience", "name", required=True, metavar="NAME", help="The audience, or one sync of it.")
@output.as_json
@click.pass_obj
def command(folder: Path, key: str, name: str, as_json: bool) -> None:
    """When and why a member came onto a list, or off it: each change that was sent, its run, commit and answer.

    And how they stand now: listed, refused, pending, or set aside. A KEY of several columns is written as a JSON array:
    '["acme", 7]'. Of a sync to an ads platform each identifier of the member is told. Changes nothing.
    """
    session = Session(folder)
    with session.warehouse() as warehouse, session.past() as past:
        cases = [
            look(session, warehouse, past, each, *sync)
            for sync in meant(session, warehouse, name).items()
            for each in claimed(session, warehouse, key, *sync)
        ]
    if as_json:
        output.document({"key": shown(key), "syncs": [data(each) for each in cases], "exit": 0})
    else:
        for each in cases:
            output.say(*words(each))


def meant(session: Session, warehouse: Warehouse, name: str) -> dict[str, str]:
    """The syncs of an audience, or one of them, also those whose file is gone -> their names as tables write them."""
    known = control.syncs(warehouse)
    found = {sync: table for sync, table in known.items() if name in (sync, sync.partition(".")[0])}
    try:
        defined = [sync for audience in session.project.select([name]) for sync in audience.syncs]
    except DefinitionError:
        if not found:
            raise
        defined = []
    return found | {sync.name: known_as(warehouse, sync) for sync in defined}


def claimed(session: Session, warehouse: Warehouse, key: str, sync: str, table: str) -> list[str]:
    """The keys by which a sync knows a member: of an ads platform one for each identifier that was ever sent, or is
    returned now.
    """
    binding = session.project.bindings.get(sync)
    if binding is None or not issubclass(binding.connector, Hashed):
        return [key]
    whole = compact(key)
    starts = [f"{whole[:-1]},"] if whole.startswith("[") else [f"[{key},", f"[{json.dumps(key, ensure_ascii=False)},"]
    ours = [name for kind in ("ledger", "refused", "history") if warehouse.columns(name := f"{kind}_{table}")]
    selects = [f'select cast("key" as varchar) as k from {warehouse.table(name)}' for name in ours]
    with suppress(AudienceError):  # `asked` says what is wrong with the query
        [audience] = session.project.select([sync])
        types = warehouse.described(audience.select)
        source = stage.looked(warehouse, audience, binding, types)
        read = compare.asked(warehouse, audience, binding, source, types)
        told, _ = warehouse.words.key(read.key, read.types)
        selects.append(f"select cast({told} as varchar) as k from (\n{read.source}\n) as q")
    begun = " or ".join(f"substr(k, 1, {len(start)}) = {literal(start)}" for start in starts)
    found = warehouse.run(f"select distinct k from ({' union all '.join(selects)}) c where {begun}") if selects else []
    return sorted(each for (each,) in found) or [key]


def look(session: Session, warehouse: Warehouse, past: State | None, key: str, sync: str, table: str) -> Case:
    """What is known of a member in one sync."""
    keys = {key, compact(key)}
    events = history.of(warehouse, table, keys)
    claims = rows(warehouse, f"ledger_{table}", "sure", keys)
    idents = asked(session, warehouse, sync, keys)
    return Case(
        sync,
        key,
        events,
        runs.commits(past, (each.run for each in events if each.run)) if past else {},
        history.reaches(warehouse, table),
        bool(claims),
        not all(sure for (sure,) in claims),
        refused(warehouse, past, sync, table, keys),
        bool(rows(warehouse, f"pending_{table}", "ticket", keys)),
        None if idents is None else len(idents),
        idents == [None],
    )


def rows(warehouse: Warehouse, table: str, columns: str, keys: Collection[str]) -> list[tuple[Any, ...]]:
    """The rows of one of our tables with any of these keys; none where there is no such table."""
    if not warehouse.columns(table):
        return []
    these = ", ".join(map(literal, keys))
    return warehouse.run(f'select {columns} from {warehouse.table(table)} where cast("key" as varchar) in ({these})')


def refused(
    warehouse: Warehouse, past: State | None, sync: str, table: str, keys: Collection[str]
) -> dict[str, object] | None:
    """How often a refused member was tried, when they are tried again, and why they are refused."""
    for key, attempts, again in rows(warehouse, f"refused_{table}", 'cast("key" as varchar), attempts, retry_at', keys):
        return {"attempts": attempts, "again": f"{again:%Y-%m-%d %H:%M}Z", "reason": reason(past, sync, key)}
    return None


def asked(session: Session, warehouse: Warehouse, sync: str, keys: Collection[str]) -> list[str | None] | None:
    """The identifier of each row that the query returns now for a member; None where there is no query to ask."""
    binding = session.project.bindings.get(sync)
    if binding is None:
        return None
    [audience] = session.project.select([sync])
    try:
        with warehouse.bounded(audience.timeout, audience.bytes):
            types = warehouse.described(audience.select)
            source = stage.looked(warehouse, audience, binding, types)
            read = compare.asked(warehouse, audience, binding, source, types)
            key, _ = warehouse.words.key(read.key, read.types)
            sent = {name: warehouse.words.taken(column, read.types[column]) for name, column in read.send.items()}
            these = ", ".join(map(literal, keys))
            found = warehouse.run(
                f"select {compare.terms(audience, binding, read, '').ident(key, sent)} from (\n{read.source}\n) as q"
                f" where cast({key} as varchar) in ({these})"
            )
    except AudienceError as error:
        output.complain(f"{sync}: whether the query returns them now cannot be told: {error}")
        return None
    return [ident for (ident,) in found]


def compact(key: str) -> str:
    """A key of several columns as our tables write it, an array without blanks; any other as it is."""
    try:
        parts = json.loads(key)
    except ValueError:
        return key
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":")) if isinstance(parts, list) else key


def words(case: Case) -> Iterator[str]:
    """A member in one sync, for people."""
    yield f"{case.sync}: {shown(case.key)} {told(case)}"
    for each in case.events:
        run = f"  run {each.run}" if each.run else ""
        made = f"  commit {commit(case.commits[each.run])}" if each.run and each.run in case.commits else ""
        yield f"  {each.at:%Y-%m-%d %H:%M:%S}  {each.verb:<7}  {each.answer}{run}{made}"
    yield f"  now: {'; '.join(now(case))}"


def told(case: Case) -> str:
    """How often a member was sent, as far as it is remembered."""
    if case.reaches is None:
        return "has no history here: none is kept, or nothing was sent since it is"
    times = f"was sent {output.count(len(case.events), 'time')}" if case.events else "was never sent"
    return f"{times} since {case.reaches:%Y-%m-%d %H:%M} UTC, where the history begins"


def now(case: Case) -> Iterator[str]:
    """How a member stands."""
    yield "listed" if case.listed and not case.doubtful else DOUBTFUL if case.listed else "not listed"
    if case.left_with_another:
        yield "went with another member who had the same identifier"
    if case.pending:
        yield "taken in, to be judged by the provider"
    if case.refused:
        yield "refused ({attempts}×, again after {again}): {reason}".format_map(case.refused)
    if case.nameless:
        yield "the query returns them without an identifier: set aside"
    elif case.returned is not None:
        some = f"the query returns them {case.returned:,} times: set aside"
        yield {0: "the query does not return them", 1: "the query returns them"}.get(case.returned, some)


def data(case: Case) -> dict[str, object]:
    """The same, as JSON holds it."""
    events = [
        asdict(each) | {"at": f"{each.at.isoformat()}Z", "commit": case.commits.get(each.run or "")}
        for each in case.events
    ]
    found = {name: getattr(case, name) for name in ("listed", "doubtful", "refused", "pending", "returned")}
    reaches = f"{case.reaches.isoformat()}Z" if case.reaches else None
    return {
        "sync": case.sync,
        "key": shown(case.key),
        "events": events,
        "reaches": reaches,
        **found,
        "set_aside": case.set_aside,
    }
