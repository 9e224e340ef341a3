"""A cron line as a trigger of APScheduler, whose own reading is not cron's: its weekdays begin on Monday."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from apscheduler.triggers.base import BaseTrigger

from audiences import cron


@dataclass(frozen=True)
class Line(BaseTrigger):
    """Fires when cron would run a line in a zone, each time so much later.

    schedule: as a header writes it; it has been checked
    """

    schedule: str
    timezone: str
    later: timedelta = timedelta(0)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next moment from now on. What went by in a pause is not made up for, one by one."""
        return cron.after(self.schedule, self.timezone, now - self.later) + self.later
