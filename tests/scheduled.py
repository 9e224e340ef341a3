"""Workers that take turns in a small world, by a clock that is driven."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import make_url

from audiences import project
from audiences.audience import Audience
from audiences.schedule import timetable
from audiences.schedule.turn import Turns
from audiences.state import State
from audiences.worker import Result
from world import HEADER, World

ENOUGH = 20  # seconds


def waits(arrived: threading.Event, gate: threading.Event) -> None:
    """A receiver that has heard a call, and answers once the gate is open."""
    arrived.set()
    gate.wait(ENOUGH)


class Clock:
    """The time of day, in UTC, which passes when it is told to."""

    def __init__(self, text: str):
        self.moment = datetime.fromisoformat(text).replace(tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def pass_(self, **delta: float) -> datetime:
        self.moment += timedelta(**delta)
        return self.moment


class Scheduled(World):
    """A world whose audiences have lines of their own."""

    def __init__(self, folder: Path, clock: Clock, **lines: str):
        super().__init__(folder)
        self.clock, self.lines, self.stopped = clock, lines or {"team": "@hourly"}, False
        self.more: dict[str, object] = {}
        (folder / "audiences" / "team.sql").unlink()
        self.people((1, "a@x"))
        for name, line in self.lines.items():
            self.line(name, line)

    def line(self, name: str, line: str, more: str = "", paused: bool = False) -> None:
        """Write an audience with this line, and its zone after a comma."""
        schedule, _, zone = line.partition(", ")
        text = HEADER.replace("@daily", schedule).replace('"L"', f'"{name}"')
        text = text.replace("{more}", "".join(f"-- {each}\n" for each in more.splitlines()))
        zoned = text.replace("-- key", f'-- timezone = "{zone or "UTC"}"\n-- paused = {str(paused).lower()}\n-- key')
        (self.folder / "audiences" / f"{name}.sql").write_text(zoned)

    def read(self) -> project.Project:
        return project.load(self.folder, "duckdb")

    @contextmanager
    def turns(self):
        """A worker's own view: a state database that it has opened itself."""
        state = State(make_url(f"sqlite:///{self.state_file}"))
        try:
            yield Turns(state, self.hired, lambda: self.stopped, self.clock)
        finally:
            state.close()

    @contextmanager
    def hired(self):
        with self.worker(stop=lambda: self.stopped, **self.more) as worker:
            yield worker

    def began(self, turns: Turns) -> None:
        """Read the files, and begin with what they say."""
        self.found = self.read()
        timetable.begin(turns.state, self.found.audiences, self.clock())

    def named(self, name: str) -> Audience:
        [audience] = [each for each in self.found.audiences if each.name == name]
        return audience

    def take(self, turns: Turns, name: str = "team") -> Sequence[Result]:
        """The results of an audience's turn."""
        audience = self.named(name)
        return turns.take(audience, [self.found.bindings[sync.name] for sync in audience.syncs])

    def due(self, turns: Turns, name: str = "team") -> datetime:
        return timetable.due(turns.state, self.named(name))
