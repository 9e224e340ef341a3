"""What the state database remembers of each run of a sync: when, how it ended, and its numbers."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, insert, inspect, or_, select, text, update

from audiences import state
from audiences.errors import AudienceError
from audiences.plan import Plan
from audiences.state import State

WHOLE = ("delivered", "unchanged")  # how a run ends that left nothing to do
GOOD = (*WHOLE, "accepted")
BAD = ("failed", "guarded")  # … and that someone must look at; the other words mean: put off
NUMBERS = ("listed", "added", "updated", "removed", "refreshed", "set_aside")


@dataclass(frozen=True, slots=True)
class Past:
    """One run that ended. started, ended: seconds since 1970; result: a word, such as delivered or guarded."""

    sync: str
    started: float
    ended: float
    result: str
    listed: int
    added: int
    updated: int
    removed: int
    refused: int
    set_aside: int
    unnamed: int = 0
    not_removed: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One run in full. ended, result: None while it is under way, and where it was killed.

    outbox:    the number of its outbox, where its plan passed the guard
    listed:    members when it was planned; size: after it, where it could count them, else as the run before left it
    delivered: changes that were acknowledged; pending: members; unknown: claims
    revision:  the git commit of the definition; fingerprint: sha256 of its file; note: why it failed, or was stopped
    remedy:    what to do about that
    newly_refused, not_removed: of `refused` those whom this run was the first to send; whom it could not remove
    unnamed:   members whom the provider refused without saying whom; they are among the delivered
    refreshed: members planned to be sent again, though nothing differed
    """

    id: str
    sync: str
    started: float
    ended: float | None
    result: str | None
    listed: int
    added: int
    updated: int
    removed: int
    refused: int
    set_aside: int
    outbox: int | None
    fingerprint: str
    note: str | None
    delivered: int = 0
    pending: int = 0
    unknown: int = 0
    size: int = 0
    revision: str | None = None
    remedy: str | None = None
    newly_refused: int = 0
    not_removed: int = 0
    unnamed: int = 0
    refreshed: int = 0

    @property
    def good(self) -> bool:
        """Whether it ended well."""
        return self.result in GOOD


@dataclass(frozen=True, slots=True)
class Recent:
    """How a sync has gone of late.

    decided: the newest run that ended well or badly, and was not merely put off
    good:    the newest that ended well
    since:   seconds since 1970, when the first run after that began, however it ended; None where there is none
    """

    decided: Run | None
    good: Run | None
    since: float | None


Kept = TypeVar("Kept", Past, Run)


def begin(known: State, sync: str, fingerprint: str, revision: str | None = None, sql: str = "") -> str:
    """Note that a run has begun, and the SQL of its definition, once for each fingerprint; its id."""
    run = uuid.uuid4().hex[:12]
    with known.begin() as connection:
        connection.execute(
            text("insert into definition (fingerprint, sql) values (:f, :q) on conflict do nothing"),
            {"f": fingerprint, "q": sql},
        )
        started = text(known.now())  # its own clock: the runs of several hosts have one order
        r = state.run.c
        size = select(r.size).where(r.sync == sync).order_by(r.started.desc()).limit(1).scalar_subquery()
        connection.execute(
            insert(state.run).values(
                id=run,
                sync=sync,
                fingerprint=fingerprint,
                started=started,
                revision=revision,
                size=func.coalesce(size, 0),
            )
        )
    return run


def approve(known: State, run: str, outbox: int, plan: Plan) -> None:
    """Note the numbers of a plan that its guard let pass, before any of it is sent."""
    numbers = {name: getattr(plan, name) for name in NUMBERS}
    with known.begin() as connection:
        connection.execute(update(state.run).where(state.run.c.id == run).values(outbox=outbox, **numbers))


def of(known: State, sync: str, outbox: int) -> str | None:
    """The run that made an outbox; None where it was lost with an earlier state database."""
    r = state.run.c
    with known.begin() as connection:
        return connection.execute(select(r.id).where(r.sync == sync, r.outbox == outbox)).scalars().first()


def promised(known: State, sync: str) -> dict[str, int]:
    """The most that a plan was allowed to add or update, of those broken off since a run last came to its end.

    Without it, a first sync that was killed half-way would be stopped by its guard: it doubles a list. Removals need no
    promise: what is left of one is a smaller share than the whole, and a list that shrinks must not lower its guard.
    """
    r, names = state.run.c, ("added", "updated")
    whole = select(func.max(r.started)).where(r.sync == sync, r.result.in_(WHOLE)).scalar_subquery()
    with known.begin() as connection:
        row = connection.execute(
            select(*(func.coalesce(func.max(r[name]), 0).label(name) for name in names)).where(
                r.sync == sync, r.outbox.is_not(None), r.started > func.coalesce(whole, 0.0)
            )
        ).one()
    # Who was to be added and is in doubt comes again as one to update.
    return {"added": int(row.added), "updated": int(row.updated) + int(row.added)}


def end(
    known: State, run: str, result: str, plan: Plan | None, error: AudienceError | None = None, **found: int
) -> None:
    """Note how a run ended, and why; its numbers, and those found: refused, delivered … as the columns name them."""
    numbers = {name: getattr(plan, name) for name in NUMBERS} if plan else {}
    why = {"note": error.what, "remedy": error.do} if error else {}
    with known.begin() as connection:
        connection.execute(
            update(state.run)
            .where(state.run.c.id == run)
            .values(ended=text(known.now()), result=result, **why, **numbers, **found)
        )


def last(known: State, sync: str) -> Past | None:
    """The newest run that ended."""
    r = state.run.c
    found = _found(known, Past, (r.sync == sync) & r.ended.is_not(None), 1)
    return found[0] if found else None


def history(known: State, sync: str, most: int) -> list[Run]:
    """The newest runs of a sync, or of all syncs of an audience, the newest first."""
    r = state.run.c
    return _found(known, Run, or_(r.sync == sync, r.sync.startswith(f"{sync}.", autoescape=True)), most)


def found(known: State, id_: str) -> list[Run]:
    """The runs whose id starts so; two are enough to see that there are several."""
    return _found(known, Run, state.run.c.id.startswith(id_, autoescape=True), 2)


def commits(known: State, ids: Iterable[str]) -> dict[str, str]:
    """The git commit of each of these runs, where it is known."""
    wanted = sorted(set(ids))
    runs = _found(known, Run, state.run.c.id.in_(wanted), len(wanted)) if wanted else []
    return {run.id: run.revision for run in runs if run.revision}


def sql(known: State, fingerprint: str) -> str | None:
    """The SQL that ran under a fingerprint; None where it was not kept yet."""
    d = state.definition.c
    with known.begin() as connection:
        if not inspect(connection).has_table("definition"):
            return None
        return connection.execute(select(d.sql).where(d.fingerprint == fingerprint)).scalar()


def newest(known: State, syncs: Iterable[str]) -> dict[str, tuple[Run, float | None]]:
    """Of each sync that has run its newest run that ended, and when one last ended well (as GOOD says)."""
    r, found = state.run.c, dict[str, tuple[Run, float | None]]()
    mine = select(state.run).where(r.sync == bindparam("name")).order_by(r.started.desc()).limit(1)
    with known.begin() as connection:
        for name in syncs:
            run = connection.execute(mine.where(r.ended.is_not(None)), {"name": name}).mappings().one_or_none()
            if run:
                good = connection.execute(mine.where(r.result.in_(GOOD)), {"name": name}).mappings().one_or_none()
                found[name] = Run(**run), good["ended"] if good else None
    return found


def recent(known: State, syncs: Iterable[str]) -> dict[str, Recent]:
    """How each of these syncs has gone of late."""
    r, found = state.run.c, dict[str, Recent]()
    mine = select(state.run).where(r.sync == bindparam("name")).order_by(r.started.desc()).limit(1)
    after = select(func.min(r.started)).where(r.sync == bindparam("name"), r.started > bindparam("good"))
    with known.begin() as connection:
        for name in syncs:
            decided = _one(connection, mine.where(r.result.in_((*GOOD, *BAD))), name)
            good = _one(connection, mine.where(r.result.in_(GOOD)), name) if decided and not decided.good else decided
            since = connection.execute(after, {"name": name, "good": good.started if good else 0.0}).scalar()
            found[name] = Recent(decided, good, since)
    return found


def _one(connection: Connection, which: Select[Any], name: str) -> Run | None:
    row = connection.execute(which, {"name": name}).mappings().one_or_none()
    return Run(**row) if row else None


def _found(known: State, kind: type[Kept], which: ColumnElement[bool], most: int) -> list[Kept]:
    """The newest of these runs, with what their table has: whoever looks may look at an older layout."""
    with known.begin() as connection:
        there = {column["name"] for column in inspect(connection).get_columns("run")}
        columns = [state.run.c[each.name] for each in fields(kind) if each.name in there]
        newest = select(*columns).where(which).order_by(state.run.c.started.desc()).limit(most)
        return [kind(**row) for row in connection.execute(newest).mappings()]
