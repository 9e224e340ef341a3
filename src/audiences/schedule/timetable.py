"""When each audience is due, by its line and by what was served before: the state database knows it for all workers.

As with systemd's persistent timers, an audience that is new waits for its first moment, and moments that went by while
nobody worked are made up for by one late run.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import insert, select, update

from audiences import cron
from audiences.audience import Audience
from audiences.state import State
from audiences.state.tables import timetable


def begin(state: State, audiences: Iterable[Audience], now: datetime) -> None:
    """Let audiences that are new, woken or moved to another line be due by it from now on."""
    lines = {each.name: _line(each) for each in audiences}
    with state.begin() as connection:
        known = {row.audience: row.line for row in connection.execute(select(timetable.c.audience, timetable.c.line))}
        for name, line in lines.items():
            if name not in known:
                connection.execute(insert(timetable).values(audience=name, line=line, since=now.timestamp()))
            elif known[name] != line:
                row = update(timetable).where(timetable.c.audience == name)
                connection.execute(row.values(line=line, since=now.timestamp()))


def due(state: State, audience: Audience) -> datetime:
    """The first moment of an audience's line that is not served yet; it may be long past."""
    with state.begin() as connection:
        since = connection.execute(select(timetable.c.since).where(timetable.c.audience == audience.name)).scalar_one()
    return cron.after(audience.schedule, audience.timezone, datetime.fromtimestamp(since, UTC))


def since(state: State) -> dict[str, float]:
    """Audience -> seconds since 1970, up to when each moment of its line is served; of the paused none."""
    with state.begin() as connection:
        rows = connection.execute(select(timetable).where(timetable.c.line != "")).all()
    return {row.audience: row.since for row in rows}


def serve(state: State, audience: str, moment: datetime) -> None:
    """Note that every moment of an audience's line up to this one is served."""
    since, row = moment.timestamp(), timetable.c
    with state.begin() as connection:
        connection.execute(update(timetable).where(row.audience == audience, row.since < since).values(since=since))


def _line(audience: Audience) -> str:
    return "" if audience.paused else f"{audience.schedule} {audience.timezone}"
