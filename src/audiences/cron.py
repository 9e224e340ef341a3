"""A schedule as people write it, read as Vixie cron reads it: its five fields, and the moments that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

# https://manpages.debian.org/stable/cron/crontab.5.en.html; @reboot is no time, so it is no schedule here.
NICKNAMES: Mapping[str, str] = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)
# CronSim also reads L, W and #, which are Quartz's, and 5/15, which cron takes for 5.
_PART = re.compile(r"(\*|\w+-\w+)(/\d+)?|\d+|[a-z]{3}", re.IGNORECASE)
_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def fields(schedule: str) -> str:
    """The five fields that `schedule` stands for. Raises ValueError, with the reason, for what is no schedule."""
    text = NICKNAMES.get(schedule.strip(), schedule)
    # CronSim also reads six fields, with seconds first; crontab does not.
    if len(parts := text.split()) != 5:
        raise ValueError(f"it has {len(parts)} fields, not five, and is none of {', '.join(NICKNAMES)}")
    for part in ",".join(parts).split(","):
        if not _PART.fullmatch(part):
            raise ValueError(f"{part!r} is none of *, a number, a range or a name, nor a step of * or a range")
    try:
        CronSim(" ".join(parts), _ANY_DAY)
    except CronSimError as error:
        raise ValueError(str(error).lower()) from None
    return " ".join(parts)


def apart(schedule: str, timezone: str) -> timedelta:
    """How long it is from one moment of a line to the next: the mean of ten."""
    last = first = after(schedule, timezone, _ANY_DAY)
    for _ in range(10):
        last = after(schedule, timezone, last)
    return (last - first) / 10


def after(schedule: str, timezone: str, moment: datetime) -> datetime:
    """The first moment after `moment`, in UTC, at which cron would run a line in a zone.

    As in Debian's cron a fixed time that the clock skips in spring comes right after the gap, and one that it repeats
    in autumn comes once; a line whose minute or hour starts with * follows the clock as it is.
    """
    zone, line = ZoneInfo(timezone), fields(schedule)
    for local in CronSim(line, moment.astimezone(zone)):
        found = local.astimezone(UTC)
        if local.replace(tzinfo=None) != found.astimezone(zone).replace(tzinfo=None):
            # No clock in the zone shows it: CronSim begins a day at midnight, also where the clock skips that.
            return after(schedule, timezone, found - timedelta(seconds=1))
        if found > moment:  # in the hour that is repeated, CronSim may begin an hour early
            return found
    raise ValueError("it names no moment in fifty years")
