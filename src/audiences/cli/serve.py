"""`audiences serve`: run each audience on its schedule."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import structlog

from audiences import control, lease, project, trace
from audiences.audience import Audience
from audiences.cli import output, went
from audiences.cli.notices import Notices
from audiences.cli.session import Chosen, Session
from audiences.cli.signals import Signals
from audiences.cli.went import Went
from audiences.errors import AudienceError, Held
from audiences.http import Shared
from audiences.http.signin import Desk
from audiences.project import Binding, Project
from audiences.schedule import timetable
from audiences.schedule.definitions import Definitions
from audiences.schedule.health import Health, listening
from audiences.schedule.metrics import Metrics
from audiences.schedule.rota import Rota
from audiences.schedule.turn import Turns
from audiences.state import State
from audiences.trace import Stages, untold
from audiences.warehouse import Warehouse
from audiences.worker import Result, Worker

log = structlog.get_logger()
PAUSE = 0.2  # seconds from a signal until it is noticed
ORPHANS = 600.0  # seconds between two looks for orphans
ADOPT = 60.0  # seconds that one worker may keep others from letting the warehouse know its state database


@click.command("serve")
@click.option("--once", is_flag=True, help="Run what is due, and end: for a Kubernetes CronJob, or any scheduler.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Answer /healthz, /readyz and /metrics there (AUDIENCES_PORT)."
)
@click.pass_obj
def command(folder: Path, once: bool, port: int | None) -> int:
    """Run each audience by its `schedule`, until a signal comes; files that change are read again.

    An audience that is new waits for its first moment. Moments that went by while nobody worked are made up for by one
    late run. Several workers with one state database share the work.
    """
    session = Session(folder)
    session.lasting()
    gc.set_threshold(100_000, 10, 100)  # as for `sync`
    with (
        Signals(session.settings.grace) as signals,
        session.state() as state,
        trace.exported(os.environ) as stage,
    ):
        office = Office(session, state, signals, stage)
        turns = Turns(state, office.hired, signals.stopped, lambda: datetime.now(UTC), session.settings.commit)
        if once:
            code = due(session.chosen(), turns)
            office.notices.tell(scheduled=True)
            return code
        return serve(office, turns, session.settings.port if port is None else port)


@dataclass
class Office:
    """Where workers are hired: they share the state database, the accounts' pace, and what was signed in to.

    project: the definitions as they are now; looked: when orphans were looked for
    """

    session: Session
    state: State
    signals: Signals
    stage: Stages = untold
    desks: dict[str, Desk] = field(default_factory=dict)
    accounts: dict[tuple[str, str], Shared] = field(default_factory=dict)
    adopted: bool = False
    project: Callable[[], Project] = field(init=False)
    notices: Notices = field(init=False)
    looked: float = float("-inf")

    def __post_init__(self) -> None:
        self.project, self.notices = lambda: self.session.project, Notices(self.session)

    def reach(self) -> None:
        """Raise AudienceError where the warehouse cannot be reached. One that another process holds is there."""
        with suppress(Held):
            self.session.warehouse().close()

    @contextmanager
    def hired(self) -> Iterator[Worker]:
        """A worker with a warehouse of its own: where that is a file, other processes need it between the turns.

        What it leaves in circles is collected at its end: left to the threshold, it would be megabytes by then.
        """
        try:
            with self._hired() as worker:
                yield worker
        finally:
            gc.collect()

    @contextmanager
    def _hired(self) -> Iterator[Worker]:
        patience = self.session.settings.patience
        with self.session.warehouse(makes=True) as warehouse:
            if not self.adopted:
                held = lease.awaited(self.state, "project", ADOPT, self.signals.sleep)
                try:
                    control.adopt(warehouse, self.state)
                finally:
                    held.release()
                self.adopted = True
            yield Worker(
                warehouse,
                self.state,
                self.session.folder,
                patience,
                queue=patience,
                keeps=timedelta(self.session.settings.history_days),
                commit=self.session.settings.commit,
                stop=self.signals.stopped,
                sleep=self.signals.sleep,
                desks=self.desks,
                accounts=self.accounts,
                stage=self.stage,
            )
            self._orphans(warehouse)

    def _orphans(self, warehouse: Warehouse) -> None:
        """Look for orphans while the warehouse is open, now and then: to wake it for that would cost."""
        if not self.notices.ways or time.monotonic() - self.looked < ORPHANS:
            return
        self.looked = time.monotonic()
        with suppress(AudienceError):  # of no concern to the turn
            self.notices.orphans = self.session.orphans(warehouse, self.project())


def serve(office: Office, turns: Turns, port: int | None) -> int:
    """Run what comes due until a signal comes; then what is under way is finished."""
    session, signals = office.session, office.signals
    definitions = Definitions(session.folder, session.read)
    office.project = lambda: definitions.project
    metrics = Metrics(office.state, office.accounts, office.project)
    rota = Rota(definitions, turns, session.settings.jitter, session.one_lane, lambda results: told(metrics, results))
    checks = {"warehouse": office.reach, "state": office.state.reach, "definitions": definitions.reach}
    watch = office.notices.watch(office.state, office.project, lambda: timetable.since(office.state))
    health = Health(rota.alive, checks, metrics.registry)
    with ExitStack() as stack:
        if port is not None:
            port = stack.enter_context(listening(health, port))
        stack.enter_context(watch.kept())
        stack.callback(rota.close)
        rota.start()
        where = "" if port is None else f"; health and metrics on port {port}"
        output.say(f"serving {output.count(len(rota.audiences), 'audience')}; {coming(rota.next())}{where}")
        while not signals.stopped():  # an Event's own wait could meet its signal handler in a deadlock
            time.sleep(PAUSE)
    output.say("stopped: what was under way is finished; what was due and is not done is run by whoever serves next")
    return 0


def told(metrics: Metrics, results: Sequence[Result]) -> None:
    """Count how the syncs of a turn ended; log what went wrong, and what to do."""
    metrics.heard(results)
    for each in results:
        if each.error:
            log.error("sync.failed", sync=each.binding.sync.name, why=each.error.what, do=each.error.do)


def coming(found: tuple[datetime, str] | None) -> str:
    """What comes next, in words."""
    return f"next: {found[1]} at {found[0]:%Y-%m-%d %H:%M} UTC" if found else "none of them is scheduled"


def due(chosen: Chosen, turns: Turns) -> int:
    """Run what is due, one audience after the other, and print how it went; the exit code."""
    scheduled = [(each, project.awake(each, bindings)) for each, bindings in chosen.audiences]
    timetable.begin(turns.state, (each for each, _ in chosen.audiences), turns.now())
    begun: list[tuple[Audience, Sequence[Binding]]] = []
    results: list[Result] = []
    for audience, bindings in scheduled:
        if not bindings or not turns.due(audience):
            continue
        found = taken(turns, audience, bindings)
        for result in found:
            went.tell(result)
        results += found
        if found or turns.stop():
            begun.append((audience, bindings))
    if not begun:
        awake = [(timetable.due(turns.state, each), each.name) for each, bindings in scheduled if bindings]
        output.say(f"nothing is due; {coming(min(awake, default=None))}")
    return went.close(Went(Chosen(begun, chosen.errors), results, {}, strict=False), as_json=False)


def taken(turns: Turns, audience: Audience, bindings: Sequence[Binding]) -> Sequence[Result]:
    """How an audience's turn went; deferred where another worker has it."""
    try:
        return turns.take(audience, bindings)
    except Held as held:
        return [Result(each, error=held) for each in bindings]
