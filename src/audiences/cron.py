"""A schedule as people write it, as the five fields of Vixie cron."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

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
_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def fields(schedule: str) -> str:
    """The five fields that `schedule` stands for. Raises ValueError, with the reason, for what is no schedule."""
    text = NICKNAMES.get(schedule.strip(), schedule)
    # CronSim also reads six fields, with seconds first; crontab does not.
    if len(parts := text.split()) != 5:
        raise ValueError(f"it has {len(parts)} fields, not five, and is none of {', '.join(NICKNAMES)}")
    try:
        CronSim(" ".join(parts), _ANY_DAY)
    except CronSimError as error:
        raise ValueError(str(error).lower()) from None
    return " ".join(parts)
