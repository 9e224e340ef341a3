"""The worker that stays: a job an audience, woken by APScheduler; whether it is due, its turn decides.

Audiences of one account are run one after the other, since its pace is one; those of different accounts side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from audiences import run
from audiences.audience import Audience
from audiences.errors import AudienceError, Held
from audiences.project import Binding, awake
from audiences.schedule import timetable
from audiences.schedule.definitions import Definitions
from audiences.schedule.trigger import Line
from audiences.schedule.turn import Turns
from audiences.worker import Result

log = structlog.get_logger()
LOOK = 5  # seconds between two looks at the files
AGAIN = timedelta(seconds=5)  # until a turn is tried again that another worker had
LOOKING = "look at the files"  # the job of these looks, and its lane; no audience is called so
Pair = tuple[Audience, Sequence[Binding]]


class Rota:
    """Jobs as the files say now.

    jitter:   seconds; each audience comes so much later at most, always as much, so that not all come at once
    one_lane: whether audiences are run one after the other, whatever their accounts
    told:     hears how the syncs of each turn ended
    """

    def __init__(
        self,
        definitions: Definitions,
        turns: Turns,
        jitter: float = 0.0,
        one_lane: bool = False,
        told: Callable[[Sequence[Result]], None] = lambda results: None,
    ):
        self.definitions, self.turns, self.jitter, self.one_lane = definitions, turns, jitter, one_lane
        self.told = told
        self.looked = turns.now()
        self.audiences: dict[str, Pair] = {}
        self.lanes: dict[str, ThreadPoolExecutor] = {}
        self.scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    def start(self) -> None:
        """Begin; runs go on in threads until `close`."""
        self.scheduler.start()
        self.arrange()
        self.scheduler.add_job(self.look, "interval", seconds=LOOK, id=LOOKING, executor=self._lane(LOOKING))

    def close(self) -> None:
        """Let the runs under way come to their end; none begins any more."""
        # Where it waits itself, it keeps them from its jobs meanwhile, and would wait for ever.
        self.scheduler.shutdown(wait=False)
        for lane in self.lanes.values():
            lane.shutdown()

    def look(self) -> None:
        """Take up files that have changed."""
        self.looked = self.turns.now()
        try:
            if self.definitions.changed():
                self.arrange()
        except AudienceError as error:
            log.error("definitions.failed", why=error.what, do=error.do)

    def alive(self) -> bool:
        """Whether its jobs are woken: the looks at the files are as often as they should be, give or take a minute."""
        return self.turns.now() - self.looked < timedelta(seconds=LOOK + 60)

    def arrange(self) -> None:
        """Have one job for each audience that is not paused, and none else."""
        project, now = self.definitions.project, self.turns.now()
        timetable.begin(self.turns.state, project.audiences, now)
        bound = [
            (each, awake(each, [project.bindings[sync.name] for sync in each.syncs])) for each in project.audiences
        ]
        before, self.audiences = self.audiences, {each.name: (each, bindings) for each, bindings in bound if bindings}
        for name in before.keys() - self.audiences.keys():
            self.scheduler.remove_job(name)
        for name, (audience, bindings) in self.audiences.items():
            if name not in before or before[name][0].fingerprint != audience.fingerprint:
                self._add(audience, bindings, now)

    def next(self) -> tuple[datetime, str] | None:
        """When the next job comes, and whose; None where there is none."""
        jobs = [(job.next_run_time, job.id) for job in self.scheduler.get_jobs() if job.id in self.audiences]
        return min(jobs, default=None)

    def _add(self, audience: Audience, bindings: Sequence[Binding], now: datetime) -> None:
        later = timedelta(seconds=self.jitter * _share(audience.name))
        self.scheduler.add_job(
            self._turn,
            Line(audience.schedule, audience.timezone, later),
            args=[audience.name],
            id=audience.name,
            name=audience.name,
            executor=self._lane("" if self.one_lane else " ".join(sorted(each.sync.section for each in bindings))),
            next_run_time=max(now, timetable.due(self.turns.state, audience) + later),
            replace_existing=True,
        )

    def _lane(self, name: str) -> str:
        if name not in self.lanes:
            self.lanes[name] = ThreadPoolExecutor(1)
            self.scheduler.add_executor(self.lanes[name], name)
        return name

    def _turn(self, name: str) -> None:
        if name not in self.audiences:
            return
        audience, bindings = self.audiences[name]
        with structlog.contextvars.bound_contextvars(audience=name):
            try:
                self.told(self.turns.take(audience, bindings))
                if not self.turns.due(audience):
                    return
            except Held as held:
                log.info("turn.held", why=held.what)
            except AudienceError as error:
                log.error("turn.failed", why=error.what, do=error.do)
            except Exception as error:
                log.error("turn.failed", why=run.defect(error).what)
            self._again(name)

    def _again(self, name: str) -> None:
        """Try soon: another worker had the turn and may be gone, or the line's next moment went by during the run."""
        soon = self.turns.now() + AGAIN
        with suppress(JobLookupError):  # its file is gone
            job = self.scheduler.get_job(name)
            if job and job.next_run_time > soon:
                job.modify(next_run_time=soon)


def _share(name: str) -> float:
    """A number from 0 to 1 that a name always has, on every worker."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
