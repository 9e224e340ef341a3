"""How many entered and left each list since the last time, told at the moments of a cron line: numbers, and no person.

What was told up to when stands beside what the alerts told, and whoever tells holds a lease meanwhile: so one worker
tells it, once; twice only where it is killed between telling and writing that down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import func, select

from audiences import compare, cron, history, lease
from audiences.alerts.alert import Alert
from audiences.alerts.told import Way, record
from audiences.audience import Sync
from audiences.errors import LeaseLost
from audiences.lease import Lease
from audiences.state import State
from audiences.state.tables import run, told
from audiences.warehouse import Warehouse

log = structlog.get_logger()
ALL = "audiences"  # the subject under which the moment of the last digest is kept; else a sync, and how far it was told
MOST = 50  # lists that one message names
SKEW = 60.0  # seconds by which the clocks of the workers and of the state database may differ
Span = tuple[float, float]  # seconds since 1970: after the first, and up to the second


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a list. entered, left: members since the last digest; size: members listed now"""

    title: str
    entered: int
    left: int
    size: int


@dataclass(frozen=True, slots=True)
class Digest:
    """One worker's digest.

    line:      five cron fields, in UTC
    keeps:     how far the history reaches back
    syncs:     of the project as it is now
    warehouse: opened anew; may raise Held where it is a file
    listed:    how many members the sync with these tables lists
    now:       the moment, in UTC
    """

    state: State
    way: Way
    line: str
    keeps: timedelta
    syncs: Callable[[], Sequence[Sync]]
    warehouse: Callable[[], Warehouse]
    listed: Callable[[Warehouse, str], int]
    now: Callable[[], datetime]

    def tell(self) -> None:
        """Tell what has changed, once a moment of the line has come. The first moment is one after the first look.

        Raises Held while another worker does so, or has the warehouse.
        """
        if not self._due(self._known()):
            return
        held = lease.take(self.state, "alert:digest", 0)
        try:
            with held.kept():
                known = self._known()
                if self._due(known):  # another worker may have been quicker
                    self._tell(held, known)
        finally:
            with suppress(LeaseLost):
                held.release()

    def _known(self) -> dict[str, float]:
        """Subject -> up to when it was told."""
        mine = select(told.c.subject, told.c.at).where(told.c.way == self.way.name, told.c.concern == "digest")
        with self.state.begin() as connection:
            return {row.subject: row.at for row in connection.execute(mine)}

    def _due(self, known: Mapping[str, float]) -> bool:
        return ALL not in known or cron.after(self.line, "UTC", _utc(known[ALL])) <= self.now()

    def _tell(self, held: Lease, known: Mapping[str, float]) -> None:
        now, spans = self.now().timestamp(), dict[str, Span]()
        notice = Alert(ALL, "digest", "digest", "", "", "", "", now)
        if ALL in known:
            syncs = self.syncs()
            spans = {sync.name: self._span(sync, known, now) for sync in syncs}  # before anything is counted
            what = words(self._changes(syncs, spans))
            said = self.way.tell([replace(notice, what=what, at=known[ALL])])
            log.info("digest.told", way=self.way.name, said=said)
        done = [replace(notice, subject=name, at=until) for name, (_, until) in spans.items()]
        record(held, self.way.name, [notice, *done])

    def _span(self, sync: Sync, known: Mapping[str, float], now: float) -> Span:
        since = max(known.get(sync.name, known[ALL]), now - self.keeps.total_seconds())
        return since, max(since, self._written(sync, since, now) - SKEW)

    def _written(self, sync: Sync, since: float, now: float) -> float:
        """Up to when the history is written: a run does so at its end, as of the moment when it began to send."""
        if not lease.busy(self.state, [sync.name]):
            return now
        begun = select(func.min(run.c.started)).where(
            run.c.sync == sync.name, run.c.ended.is_(None), run.c.started > since
        )
        with self.state.begin() as connection:
            started = connection.execute(begun).scalar()
        return now if started is None else min(now, started)

    def _changes(self, syncs: Sequence[Sync], spans: Mapping[str, Span]) -> list[Change]:
        with self.warehouse() as warehouse:
            return [self._change(warehouse, sync, spans[sync.name]) for sync in syncs]

    def _change(self, warehouse: Warehouse, sync: Sync, span: Span) -> Change:
        since, until = (compare.moment(_utc(each)) for each in span)
        entered, left = history.moved(warehouse, sync.table, since, until)
        title = f"{sync.audience} → {sync.section} ({sync.shown_list})"
        return Change(title, entered, left, self.listed(warehouse, sync.table))


def words(changes: Sequence[Change]) -> str:
    """What changed, a list a line, the largest change first; in the last line the lists without one."""
    moved = sorted((each for each in changes if each.entered or each.left), key=_size)
    named, others = moved[:MOST], moved[MOST:]
    lines = [f"{each.title}: {each.entered:,} entered, {each.left:,} left, {each.size:,} listed" for each in named]
    if others:
        entered, left = sum(each.entered for each in others), sum(each.left for each in others)
        lines.append(f"{len(others):,} more: {entered:,} entered, {left:,} left")
    return "\n".join((*lines, f"without change: {len(changes) - len(moved):,} of {len(changes):,} lists"))


def _size(change: Change) -> tuple[int, str]:
    return -(change.entered + change.left), change.title


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
