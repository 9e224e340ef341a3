"""A week of every line, turn by turn on a driven clock, beside a reading of cron's manual that knows no library."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from audiences import run
from audiences.schedule import timetable
from scale import times
from scheduled import Clock, Scheduled

OSLO = ZoneInfo("Europe/Oslo")
MINUTE = timedelta(minutes=1)
LINES = {
    "hourly": "@hourly",
    "by_night": "*/30 2 * * *",
    "at_four_hours": "10 */4 * * *",
    "lost": "30 2 * * *",
    "lost_sunday": "45 2 * * sun",
    "right_after": "0 3 * * 7",
    "workdays": "0 6 * * 1-5",
    "either": "15 12 29 * 2",
    "late": "59 23 * * 0",
    "daily": "@daily",
    "weekly": "@weekly",
    "often": "5,35 8-18/5 * * *",
}
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
ALIASES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0"}


@cache
def meant(field, first, last):
    """The numbers that a field of a line names."""
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = (span if span != "*" else f"{first}-{last}").partition("-")
        number = DAYS.index(low) if low in DAYS else int(low)
        found |= set(range(number, int(high or number) + 1, int(step or 1)))
    return found


def named(line, local):
    """Whether a line names this minute of the wall's clock."""
    minute, hour, day, month, weekday = ALIASES.get(line, line).split()
    dates = local.day in meant(day, 1, 31)
    days = (local.weekday() + 1) % 7 in {each % 7 for each in meant(weekday, 0, 7)}
    both = day.startswith("*") or weekday.startswith("*")
    if local.minute not in meant(minute, 0, 59) or local.hour not in meant(hour, 0, 23):
        return False
    return local.month in meant(month, 1, 12) and (dates and days if both else dates or days)


def by_the_manual(line, start, end):
    """The moments at which cron runs a line, minute by minute.

    A line with a star for minute or hour goes by the wall's clock. Any other is run once for each time of a day: what
    the clock leaves out, right after the gap; what it shows twice, the first time (cron(8) of Debian).
    """
    starred = any(field.startswith("*") for field in ALIASES.get(line, line).split()[:2])
    found, moment, before = [], start, start.astimezone(OSLO).replace(tzinfo=None) - MINUTE
    while moment < end:
        local = moment.astimezone(OSLO)
        wall = local.replace(tzinfo=None, fold=0)
        skipped = [before + n * MINUTE for n in range(1, max(1, int((wall - before) / MINUTE)))]
        again = bool(local.fold) and not starred
        if (named(line, wall) and not again) or (not starred and any(named(line, each) for each in skipped)):
            found.append(moment)
        moment, before = moment + MINUTE, wall
    return found


@pytest.mark.parametrize("start", ["2026-03-25T22:59", "2026-10-21T21:59"][: times(1, 2, 2)])
def test_each_audience_ran_exactly_when_cron_would_have_run_it(tmp_path, monkeypatch, start):
    """
    In a week with a change of the clock in it, in spring and in autumn.
    """
    clock = Clock(start)
    world = Scheduled(tmp_path, clock, **{name: f"{line}, Europe/Oslo" for name, line in LINES.items()})
    began, end = clock(), clock() + timedelta(days=7)
    monkeypatch.setattr(run, "audience", lambda *each: [])  # what a turn does is not the question here
    ran = {name: [] for name in LINES}
    with world.turns() as turns:
        world.began(turns)
        turns = replace(turns, hired=nullcontext)
        dues = {name: timetable.due(turns.state, world.named(name)) for name in LINES}
        while clock.pass_(minutes=1) < end:
            for name in [each for each in LINES if dues[each] <= clock()]:
                assert turns.due(world.named(name))
                turns.take(world.named(name), ())
                ran[name].append(clock())
                dues[name] = timetable.due(turns.state, world.named(name))

    assert ran == {name: by_the_manual(line, began + MINUTE, end) for name, line in LINES.items()}
    assert all(isinstance(each, datetime) and each.tzinfo is UTC for found in ran.values() for each in found)
    assert sum(map(len, ran.values())) > 250
