"""The one reading of a schedule: the header's check, the jobs of `serve` and `status` all ask it."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from audiences import cron
from audiences.schedule.trigger import Line

MINUTE = timedelta(minutes=1)
START = "2026-03-02T12:07"  # a Monday

# line, zone, from when on, and the next moments by the zone's clock, as found with a calendar
TABLE = (
    ("*/15 * * * *", "UTC", START, "2026-03-02T12:15+00:00 2026-03-02T12:30+00:00"),
    ("0 6 * * 1", "UTC", START, "2026-03-09T06:00+00:00 2026-03-16T06:00+00:00"),
    ("0 6 * * 1-5", "UTC", "2026-03-05T12:00", "2026-03-06T06:00+00:00 2026-03-09T06:00+00:00"),
    ("0 6 * * 0", "UTC", START, "2026-03-08T06:00+00:00 2026-03-15T06:00+00:00"),
    ("0 6 * * 7", "UTC", START, "2026-03-08T06:00+00:00 2026-03-15T06:00+00:00"),
    ("0 6 * * 5-7", "UTC", "2026-03-06T12:00", "2026-03-07T06:00+00:00 2026-03-08T06:00+00:00 2026-03-13T06:00+00:00"),
    ("0 6 * * sun", "UTC", START, "2026-03-08T06:00+00:00 2026-03-15T06:00+00:00"),
    ("0 6 * * MON-wed", "UTC", START, "2026-03-03T06:00+00:00 2026-03-04T06:00+00:00 2026-03-09T06:00+00:00"),
    ("0 6 1 jan,JUL *", "UTC", START, "2026-07-01T06:00+00:00 2027-01-01T06:00+00:00"),
    ("@hourly", "UTC", START, "2026-03-02T13:00+00:00 2026-03-02T14:00+00:00"),
    ("@daily", "UTC", START, "2026-03-03T00:00+00:00 2026-03-04T00:00+00:00"),
    ("@midnight", "Asia/Kolkata", START, "2026-03-03T00:00+05:30 2026-03-04T00:00+05:30"),
    ("@weekly", "UTC", START, "2026-03-08T00:00+00:00 2026-03-15T00:00+00:00"),
    ("@monthly", "UTC", START, "2026-04-01T00:00+00:00 2026-05-01T00:00+00:00"),
    ("@yearly", "UTC", START, "2027-01-01T00:00+00:00 2028-01-01T00:00+00:00"),
    ("0 6 10 * 5", "UTC", START, "2026-03-06T06:00+00:00 2026-03-10T06:00+00:00 2026-03-13T06:00+00:00"),  # or
    ("0 6 */10 * 5", "UTC", START, "2026-05-01T06:00+00:00 2026-07-31T06:00+00:00"),  # a star in front: and
    ("30 8-18/5 * * *", "UTC", START, "2026-03-02T13:30+00:00 2026-03-02T18:30+00:00 2026-03-03T08:30+00:00"),
    ("5,35 22 31 * *", "UTC", START, "2026-03-31T22:05+00:00 2026-03-31T22:35+00:00 2026-05-31T22:05+00:00"),
    ("0 0 29 2 *", "UTC", START, "2028-02-29T00:00+00:00 2032-02-29T00:00+00:00"),
    # 2026-03-29, 02:00 becomes 03:00 in Oslo: what is skipped runs once, right after
    ("30 2 * * *", "Europe/Oslo", "2026-03-28T12:00", "2026-03-29T03:00+02:00 2026-03-30T02:30+02:00"),
    ("0,30 2,3 * * *", "Europe/Oslo", "2026-03-28T12:00", "2026-03-29T03:00+02:00 2026-03-29T03:30+02:00"),
    ("*/30 * * * *", "Europe/Oslo", "2026-03-29T01:10", "2026-03-29T01:30+01:00 2026-03-29T03:00+02:00"),
    ("*/30 2 * * *", "Europe/Oslo", "2026-03-28T12:00", "2026-03-30T02:00+02:00 2026-03-30T02:30+02:00"),
    ("0 6 * * *", "Europe/Oslo", "2026-03-28T12:00", "2026-03-29T06:00+02:00 2026-03-30T06:00+02:00"),
    # 2026-04-24, midnight becomes 01:00 in Cairo
    ("*/30 0 24 * *", "Africa/Cairo", "2026-04-23T12:00", "2026-05-24T00:00+03:00 2026-05-24T00:30+03:00"),
    ("*/30 * 24 * *", "Africa/Cairo", "2026-04-23T12:00", "2026-04-24T01:00+03:00 2026-04-24T01:30+03:00"),
    # 2026-10-25, 03:00 becomes 02:00 again: a fixed time comes once, and a star follows the clock
    ("30 2 * * *", "Europe/Oslo", "2026-10-24T12:00", "2026-10-25T02:30+02:00 2026-10-26T02:30+01:00"),
    ("30 2 * * *", "Europe/Oslo", "2026-10-25T02:10+01:00", "2026-10-26T02:30+01:00 2026-10-27T02:30+01:00"),
    (
        "*/30 * * * *",
        "Europe/Oslo",
        "2026-10-25T02:10+02:00",
        "2026-10-25T02:30+02:00 2026-10-25T02:00+01:00 2026-10-25T02:30+01:00 2026-10-25T03:00+01:00",
    ),
    ("@daily", "Europe/Oslo", "2026-10-24T12:00", "2026-10-25T00:00+02:00 2026-10-26T00:00+01:00"),
)


def moment(text, zone):
    """A moment by a zone's clock, or by the offset that it says."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(("line", "zone", "start", "expected"), TABLE)
def test_a_line_names_the_moments_of_cron(line, zone, start, expected):
    """
    Each line of the table is run when cron would run it, by the reading itself and by the trigger of the jobs.
    """
    wanted = [moment(text, zone) for text in expected.split()]
    found, fired, trigger = [moment(start, zone)], [moment(start, zone)], Line(line, zone)
    for _ in wanted:
        found.append(cron.after(line, zone, found[-1]))
        fired.append(trigger.get_next_fire_time(None, fired[-1]))

    assert [each.isoformat() for each in found[1:]] == [each.astimezone(UTC).isoformat() for each in wanted]
    assert fired[1:] == found[1:]


@pytest.mark.parametrize(
    "line",
    [
        "0 6 L * *",
        "0 6 LW * *",
        "0 6 * * 5L",
        "0 6 * * 1#2",
        "5/15 * * * *",
        "0 6 * * monday",
        "0 6 * * ?",
        "*/5/2 * * * *",
    ],
)
def test_what_is_not_crons_is_no_schedule(line):
    """
    What other schedulers read, and cron does not, or not so, is refused, not guessed at.
    """
    with pytest.raises(ValueError, match="is none of \\*, a number"):
        cron.fields(line)


def by_the_minute(minutes, hours, days, weekdays, zone, start, end):
    """What Debian's cron does from minute to minute, written down from its manual alone.

    The first two fields may be "*/n" or a list; days and weekdays are lists, or "*".
    """

    def holds(field, value):
        return value % int(field[2:]) == 0 if field.startswith("*/") else field == "*" or str(value) in field.split(",")

    def named(at):
        day, weekday = holds(days, at.day), holds(weekdays, at.isoweekday() % 7)
        match = (day and weekday) if "*" in (days, weekdays) else (day or weekday)
        return match and holds(hours, at.hour) and holds(minutes, at.minute)

    fixed = not (minutes.startswith("*") or hours.startswith("*"))
    before = start.astimezone(zone).replace(tzinfo=None)
    for number in itertools.count(1):
        if (now := start + number * MINUTE) > end:
            return
        local = now.astimezone(zone)
        here = local.replace(tzinfo=None)
        skipped = (before + n * MINUTE for n in range(1, int((here - before) / MINUTE)))
        if (named(here) and not (fixed and local.fold)) or (fixed and any(named(each) for each in skipped)):
            yield now
        before = max(before, here) if fixed else here


CHANGES = (
    ("Europe/Oslo", 3, 29),
    ("Europe/Oslo", 10, 25),
    ("America/New_York", 3, 8),
    ("America/New_York", 11, 1),
    ("Africa/Cairo", 4, 24),  # here it is midnight that the clock skips
    ("Africa/Cairo", 10, 30),
)


@pytest.mark.parametrize(("zone", "month", "day"), CHANGES)
def test_no_line_differs_from_cron_around_a_change_of_the_clock(zone, month, day):
    """
    Lines at random, from noon to noon around a change: the moments are those of cron's manual, minute by minute.
    """
    rng, clock = random.Random(zone), ZoneInfo(zone)
    start = datetime(2026, month, day, 12, 7, tzinfo=UTC) - timedelta(days=1)
    end = start + timedelta(days=1)
    for _ in range(6):
        minutes = rng.choice(["*", "*/20", "0", "30", "0,45"])
        hours = rng.choice(["*", "*/2", "0", "1,2", "2", "2,3", "3,23"])
        days = rng.choice(["*", f"{day}"])
        weekdays = rng.choice(["*", "0,6", "1,5"])
        line = f"{minutes} {hours} {days} * {weekdays}"
        wanted = list(by_the_minute(minutes, hours, days, weekdays, clock, start, end))
        found = [start]
        while found[-1] <= end:
            found.append(cron.after(line, zone, found[-1]))

        assert found[1:-1] == wanted, line


def test_a_trigger_comes_so_much_later():
    """
    A job that is moved by some seconds comes that long after cron would run it, each time.
    """
    trigger, start = Line("*/15 * * * *", "UTC", timedelta(seconds=40)), datetime(2026, 3, 2, 12, 0, 10, tzinfo=UTC)

    first = trigger.get_next_fire_time(None, start)
    second = trigger.get_next_fire_time(first, first)

    assert first == datetime(2026, 3, 2, 12, 0, 40, tzinfo=UTC)
    assert second == datetime(2026, 3, 2, 12, 15, 40, tzinfo=UTC)


def test_a_pause_is_one_moment():
    """
    A trigger that was not asked for a year goes on from now, and makes up for nothing.
    """
    then, now = datetime(2025, 3, 2, tzinfo=UTC), datetime(2026, 3, 2, 12, 7, tzinfo=UTC)

    assert Line("*/15 * * * *", "UTC").get_next_fire_time(then, now) == datetime(2026, 3, 2, 12, 15, tzinfo=UTC)
