"""`audiences` on a clock of so many minutes a minute: by it runs come due. Calls, leases and pauses keep their time.

HURRY=20 HURRY_FROM=<seconds since 1970> python tests/hurried.py serve --port 0
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from unittest.mock import patch

from apscheduler.schedulers import base
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers import interval

from audiences import cli
from audiences.cli import serve

TIMES, FROM = float(os.environ["HURRY"]), float(os.environ["HURRY_FROM"])
process_jobs = BackgroundScheduler._process_jobs


class Hurried(datetime):
    """The time of day, which all who are started with the same `HURRY_FROM` share."""

    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(FROM + (time.time() - FROM) * TIMES, tz)


def sooner(scheduler: BackgroundScheduler) -> float | None:
    """Real seconds until the next job, where the scheduler counts hurried ones."""
    seconds = process_jobs(scheduler)
    return seconds and seconds / TIMES


if __name__ == "__main__":
    with (
        patch.object(base, "datetime", Hurried),
        patch.object(interval, "datetime", Hurried),
        patch.object(serve, "datetime", Hurried),
        patch.object(BackgroundScheduler, "_process_jobs", sooner),
    ):
        cli.main()
