"""How new the source of an audience is: one look at its newest row, before the query is evaluated.

A moment without a zone is taken for UTC, and a date for its midnight there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from audiences import span
from audiences.audience import Fresh
from audiences.errors import DefinitionError, StaleSource, WarehouseError
from audiences.warehouse import Warehouse

AHEAD = timedelta(minutes=5)  # another host's clock may be a little fast
EAST = timedelta(hours=14)  # where a date begins first, so long before it does in UTC
_MOMENT = re.compile(r"(timestamp|datetime|smalldatetime|date)(?!\w*range)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A source as it was found.

    newest: when its newest row came, in UTC; None: no row says so
    asked:  when that was asked, in UTC; ahead: how far `newest` may be beyond it
    """

    fresh: Fresh
    newest: datetime | None
    asked: datetime
    ahead: timedelta = AHEAD

    @property
    def stale(self) -> StaleSource | None:
        """Why nothing may be sent; None where the source is new enough."""
        allowed = span.said(self.fresh.within)
        if self.newest is None:
            return StaleSource(
                f"the source is stale: no row of {self.fresh.table} has {self.fresh.column};"
                f" [fresh] wants one of the last {allowed}",
                do="load the source, and run it again",
            )
        old = self.asked - self.newest
        if -old > self.ahead:
            return StaleSource(
                f"how stale the source is cannot be told: {self}, {span.said(-old)} after now, {utc(self.asked)}",
                do="mend that row; where the column holds local time without a zone, let it hold UTC, or have a zone",
            )
        if old > self.fresh.within:
            return StaleSource(
                f"the source is stale: {self}, {span.said(old)} before now, {utc(self.asked)};"
                f" [fresh] allows {allowed}",
                do="load the source, and run it again; if it may be as old as that, raise within under [fresh]",
            )
        return None

    def __str__(self) -> str:
        newest = utc(self.newest) if self.newest else "nowhere"
        return f"the newest {self.fresh.column} of {self.fresh.table} is {newest}"


def look(warehouse: Warehouse, fresh: Fresh, now: datetime) -> Source:
    """The source as it is now (UTC). Raises StaleSource where its newest row has no time that the calendar knows."""
    with _told():
        [(newest,)] = warehouse.asked(fresh.select)
    if isinstance(newest, datetime):
        return Source(fresh, newest.astimezone(UTC).replace(tzinfo=None) if newest.tzinfo else newest, now)
    if isinstance(newest, date):
        return Source(fresh, datetime.combine(newest, time.min), now, EAST)
    if newest is not None:
        raise StaleSource(
            f"how stale the source is cannot be told: the newest {fresh.column} of {fresh.table} is no time of the"
            " calendar",
            do="mend that row, or name a column of a type that has dates or timestamps",
        )
    return Source(fresh, None, now)


def check(warehouse: Warehouse, fresh: Fresh) -> None:
    """Raise AudienceError where the source has no such table or column, or one that is no time. No row is read."""
    with _told():
        [kind] = warehouse.named(fresh.select).values()
    if not _MOMENT.match(kind):
        raise DefinitionError(
            f"the column {fresh.column} of {fresh.table}, named under [fresh], is of the type {kind}, which is no time",
            do="name a column of a type that has dates or timestamps",
        )


def utc(moment: datetime) -> str:
    """A moment in words, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def _told() -> Iterator[None]:
    """The statement is not one of the query's: who reads the error must know whose it is."""
    try:
        yield
    except WarehouseError as error:
        raise WarehouseError(f"the source under [fresh] cannot be asked: {error.what}", do=error.do) from None
